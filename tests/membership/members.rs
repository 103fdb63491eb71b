//! Insert, update, remove and replace.

use crate::support::{capped, fleet, in_flight, pick, picks, plain, seconds};
use equipoise::{Balancer, EditError, Flag, MemberSpec, RemovedMember, Weight};
use std::thread;

fn names<W>(balancer: &Balancer<W>) -> Vec<String> {
    let members = balancer.members();
    members.iter().map(|m| m.name().to_owned()).collect()
}

#[test]
fn an_insert_under_a_known_name_keeps_who_it_is_and_how_it_fares() {
    let balancer = plain(["a", "b"]);
    let before = balancer.member("a").unwrap();
    let mut lease = pick(&balancer).unwrap();
    lease.record_sent(7);
    balancer.set_flag("a", Flag::FailedCheck).unwrap();
    lease.put_in_error();
    let standing = balancer.standing("a");

    let spec = MemberSpec::new()
        .with_route("new")
        .with_weight(Weight::new(2).unwrap());
    assert_eq!(balancer.insert("a", "payload", spec), Ok(before.id()));

    let after = balancer.member("a").unwrap();
    assert_eq!(
        (after.in_flight(), after.picked(), after.bytes()),
        (1, 1, 7)
    );
    assert!(after.status().contains(Flag::InError));
    assert!(after.status().contains(Flag::FailedCheck));
    assert_eq!(balancer.standing("a"), standing);
    assert_eq!(balancer.spec("a").unwrap().route(), Some("new"));
    assert_eq!(names(&balancer), ["a", "b"], "it keeps its place");
    assert_eq!(*balancer.payload("a").unwrap(), "payload");
    assert_eq!(*lease, "a", "the lease keeps the old payload");
    drop(lease);
    assert_eq!(after.in_flight(), 0);
}

#[test]
fn an_insert_replaces_the_flags_of_the_source() {
    let balancer = plain(["a", "b"]);
    balancer
        .insert("a", "a", MemberSpec::new().with_flag(Flag::Draining))
        .unwrap();
    balancer
        .insert("a", "a", MemberSpec::new().with_flag(Flag::HotStandby))
        .unwrap();
    let status = balancer.member("a").unwrap().status();
    assert_eq!(status.to_string(), "hot standby");
}

#[test]
fn an_update_changes_what_it_changes_and_an_error_goes_on() {
    let (balancer, clock) = fleet(["a", "b"].map(|name| (name, MemberSpec::new())));
    pick(&balancer).unwrap().put_in_error();
    let cap = |spec: MemberSpec| {
        assert!(
            !spec.status().contains(Flag::InError),
            "no source says that"
        );
        spec.with_max_in_flight(5)
    };
    balancer.update("a", cap).unwrap();
    assert!(!balancer.member("a").unwrap().status().is_usable());
    clock.advance(seconds(60));
    balancer.apply_timed_changes();
    assert!(
        balancer.member("a").unwrap().status().is_usable(),
        "its delay goes on"
    );
    assert_eq!(balancer.spec("a").unwrap().max_in_flight(), Some(5));

    let unknown = balancer.update("x", |spec| spec).unwrap_err();
    assert_eq!(unknown.name(), "x");
}

#[test]
fn updates_of_many_threads_are_all_kept() {
    let balancer = plain(["a"]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let more = |spec: MemberSpec| {
                        let tier = spec.tier();
                        spec.with_tier(tier + 1)
                    };
                    balancer.update("a", more).unwrap();
                }
            });
        }
    });
    assert_eq!(balancer.spec("a").unwrap().tier(), 400);
}

#[test]
fn a_removed_member_is_elected_no_more_and_its_leases_go_on() {
    let balancer = plain(["a", "b"]);
    let mut lease = pick(&balancer).unwrap();
    let removed: RemovedMember = balancer.remove("a").unwrap();
    assert_eq!((removed.name(), removed.in_flight()), ("a", 1));
    assert_eq!(removed.id(), lease.member().id());
    assert_eq!(picks(&balancer, 3), "bbb");
    assert!(balancer.member("a").is_none() && balancer.payload("a").is_none());
    assert!(balancer.spec("a").is_none() && balancer.standing("a").is_none());
    assert!(balancer.remove("a").is_err());

    lease.record_received(10);
    lease.put_in_error();
    assert_eq!(*lease, "a");
    let guard = lease.into_guard();
    assert_eq!(removed.in_flight(), 1);
    drop(guard);
    assert_eq!(removed.in_flight(), 0);
    assert_eq!(picks(&balancer, 2), "bb", "its error is nobody else's");
}

#[test]
fn a_lease_outlives_its_balancer() {
    let balancer = plain(["a"]);
    let lease = pick(&balancer).unwrap();
    let member = balancer.member("a").unwrap();
    drop(balancer);
    assert_eq!(*lease, "a");
    drop(lease);
    assert_eq!(member.in_flight(), 0);
}

#[test]
fn a_name_that_returns_while_a_lease_lives_gets_its_state_back() {
    let (balancer, _) = fleet([("a", capped(1)), ("b", MemberSpec::new())]);
    let lease = pick(&balancer).unwrap();
    let id = lease.member().id();
    drop(balancer.remove("a"));
    assert_eq!(balancer.insert("a", "again", capped(1)), Ok(id));
    assert_eq!(
        (in_flight(&balancer, "a"), names(&balancer)),
        (1, vec!["b".into(), "a".into()])
    );
    assert_eq!(picks(&balancer, 2), "bb", "it is at its cap");
    drop(lease);
    assert_eq!(in_flight(&balancer, "a"), 0);
    assert!(picks(&balancer, 2).contains('a'));
}

#[test]
fn an_error_is_remembered_over_a_return_but_not_over_a_new_start() {
    let balancer = plain(["a", "b"]);
    let lease = pick(&balancer).unwrap();
    lease.put_in_error();
    drop(balancer.remove("a"));
    balancer.insert("a", "a", MemberSpec::new()).unwrap();
    assert!(!balancer.member("a").unwrap().status().is_usable());

    let id = lease.member().id();
    drop(lease);
    drop(balancer.remove("a"));
    assert_ne!(
        balancer.insert("a", "a", MemberSpec::new()),
        Ok(id),
        "nobody knew it any more"
    );
    let fresh = balancer.member("a").unwrap();
    assert_eq!((fresh.picked(), fresh.in_flight()), (0, 0));
    assert!(fresh.status().is_usable());
    assert_eq!(balancer.standing("a"), Some(0));
}

#[test]
fn a_place_in_tables_is_used_again_only_when_its_leases_are_gone() {
    let balancer = plain(["a"]);
    let lease = pick(&balancer).unwrap();
    let slot = lease.member().id().slot();
    drop(balancer.remove("a"));
    for round in 0..100 {
        let name = format!("n{round}");
        let id = balancer
            .insert(name.as_str(), "n", MemberSpec::new())
            .unwrap();
        assert_ne!(id.slot(), slot);
        assert!(id.slot() < 64, "places do not grow without bound");
        drop(balancer.remove(&name));
    }
}

#[test]
fn a_replacement_is_a_difference_by_name() {
    let balancer = plain(["a", "b", "c", "d"]);
    let id = |name: &str| balancer.member(name).unwrap().id();
    let (b, d) = (id("b"), id("d"));
    let lease = pick(&balancer).unwrap();
    let spec = MemberSpec::new;
    let done = balancer
        .replace_all([("d", "D", spec()), ("e", "E", spec()), ("b", "B", spec())])
        .unwrap();
    assert_eq!(done.updated, [d, b]);
    assert_eq!(done.inserted, [id("e")]);
    let removed: Vec<(&str, u32)> = done
        .removed
        .iter()
        .map(|r| (r.name(), r.in_flight()))
        .collect();
    assert_eq!(removed, [("a", 1), ("c", 0)]);
    assert_eq!(
        names(&balancer),
        ["b", "d", "e"],
        "who stays keeps its place"
    );
    assert_eq!(*balancer.payload("d").unwrap(), "D");
    assert_eq!(*lease, "a");
    assert_eq!(picks(&balancer, 3).len(), 3);

    let done = balancer.replace_all::<&str>([]).unwrap();
    assert_eq!(
        (done.inserted.len(), done.updated.len(), done.removed.len()),
        (0, 0, 3)
    );
    assert!(balancer.is_empty());
}

#[test]
fn a_name_that_occurs_twice_changes_nothing() {
    let balancer = plain(["a", "b"]);
    drop(pick(&balancer).unwrap());
    let spec = || MemberSpec::new().with_tier(3);
    let error = balancer.replace_all([("b", "B", spec()), ("c", "C", spec()), ("b", "B", spec())]);
    assert_eq!(
        error.unwrap_err(),
        EditError::DuplicateName { name: "b".into() }
    );
    assert_eq!(names(&balancer), ["a", "b"]);
    assert_eq!(*balancer.payload("b").unwrap(), "b");
    assert_eq!(balancer.spec("b").unwrap().tier(), 0);
    assert_eq!(balancer.standing("b"), Some(100));
}

#[test]
fn a_replacement_is_never_seen_in_halves() {
    let balancer = plain(["a", "b"]);
    let spec = MemberSpec::new;
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for _ in 0..300 {
                balancer.replace_all([("c", "c", spec())]).unwrap();
                balancer
                    .replace_all([("a", "a", spec()), ("b", "b", spec())])
                    .unwrap();
            }
        });
        while !changes.is_finished() {
            let seen = names(&balancer).concat();
            assert!(seen == "ab" || seen == "c", "{seen}");
            drop(pick(&balancer).expect("there always is somebody"));
        }
    });
}
