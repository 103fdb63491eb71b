//! Draining a member to its end: when it is over, and what it came to.

use std::future;
use std::task::Poll;

use crate::support::{Task, fleet, in_flight, pick, plain};
use equipoise::balancer::DrainOutcome;
use equipoise::member::Overrides;
use equipoise::{Balancer, Flag, Lease, MemberSpec, PickRequest};
use tokio::sync::oneshot;

fn routed() -> Balancer<&'static str> {
    fleet(["a", "b"].map(|name| (name, MemberSpec::new().with_route(name)))).0
}

/// The member that serves a session of the route a.
fn session<W>(balancer: &Balancer<W>) -> Lease<W> {
    let request = PickRequest::new().with_session(Some("a"));
    balancer.pick(&request).unwrap()
}

fn name<W>(lease: &Lease<W>) -> &str {
    lease.member().name()
}

/// A deadline that is over when its sender sends.
fn deadline() -> (oneshot::Sender<()>, impl Future<Output = ()>) {
    let (over, deadline) = oneshot::channel();
    (over, async move { deadline.await.unwrap_or(()) })
}

#[test]
fn a_member_drains_from_the_call_on() {
    let balancer = plain(["a", "b"]);
    let drain = balancer.drain("a").unwrap();
    for _ in 0..4 {
        assert_eq!(name(&pick(&balancer).unwrap()), "b");
    }
    drop(drain);
    assert_eq!(
        name(&pick(&balancer).unwrap()),
        "b",
        "also without the future"
    );
    let overrides = balancer.overrides();
    assert_eq!(overrides["a"], Overrides::new().with_flag(Flag::Draining));
}

#[test]
fn a_name_that_no_member_has_is_an_error() {
    let balancer = plain(["a"]);
    let error = balancer.drain("b").unwrap_err();
    assert_eq!(error.to_string(), "there is no member called \"b\"");
    assert!(balancer.overrides().is_empty());
}

#[test]
fn it_is_over_when_the_last_request_ends_and_not_before() {
    let balancer = plain(["a"]);
    let leases = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    let mut drain = Task::pending(balancer.drain("a").unwrap());
    let [first, last] = leases;
    drop(first);
    assert_eq!(drain.run(), None);
    drop(last);
    assert_eq!(drain.run(), Some(DrainOutcome::Emptied));
    assert!(balancer.member("a").is_some());
    assert_eq!(
        drain.poll(),
        Poll::Ready(DrainOutcome::Emptied),
        "polled again"
    );
}

#[test]
fn a_member_without_requests_is_drained_at_once() {
    let balancer = plain(["a", "b"]);
    let mut drain = Task::new(balancer.drain("a").unwrap());
    assert_eq!(drain.poll(), Poll::Ready(DrainOutcome::Emptied));
    let mut drain = Task::new(balancer.drain("b").unwrap().then_remove());
    assert_eq!(drain.poll(), Poll::Ready(DrainOutcome::Removed));
    assert_eq!(balancer.len(), 1);
}

#[test]
fn a_request_of_a_session_that_comes_meanwhile_is_waited_for() {
    let balancer = routed();
    let first = session(&balancer);
    let mut drain = Task::pending(balancer.drain("a").unwrap().then_remove());
    let second = session(&balancer);
    assert_eq!(name(&second), "a");
    drop(first);
    assert_eq!(drain.run(), None);
    assert!(
        balancer.member("a").is_some(),
        "not removed under its session"
    );
    drop(second);
    assert_eq!(drain.run(), Some(DrainOutcome::Removed));
    assert_eq!(name(&session(&balancer)), "b");
}

#[test]
fn after_the_deadline_sessions_go_elsewhere_and_what_is_in_flight_ends() {
    let balancer = routed();
    let lease = session(&balancer);
    let (over, deadline) = deadline();
    let mut drain = Task::pending(
        balancer
            .drain("a")
            .unwrap()
            .release_sessions_after(deadline),
    );
    let before = session(&balancer);
    assert_eq!(name(&before), "a");
    over.send(()).unwrap();
    assert_eq!(drain.run(), None);
    assert_eq!(name(&session(&balancer)), "b");
    drop(lease);
    assert_eq!(drain.run(), None);
    drop(before);
    assert_eq!(drain.run(), Some(DrainOutcome::Emptied));
    let both = Overrides::new()
        .with_flag(Flag::Draining)
        .with_flag(Flag::Disabled);
    assert_eq!(balancer.overrides()["a"], both);
}

#[test]
fn a_member_that_is_empty_before_the_deadline_is_not_disabled() {
    let balancer = routed();
    let drain = balancer.drain("a").unwrap();
    let mut drain = Task::new(
        drain
            .release_sessions_after(future::ready(()))
            .then_remove(),
    );
    assert_eq!(drain.poll(), Poll::Ready(DrainOutcome::Removed));
    let draining = Overrides::new().with_flag(Flag::Draining);
    assert_eq!(
        balancer.overrides()["a"],
        draining,
        "it stays with the name"
    );
    balancer.insert("a", "a", MemberSpec::new()).unwrap();
    assert_eq!(name(&pick(&balancer).unwrap()), "b");
    balancer.clear_overrides("a");
    assert_eq!(balancer.spec("a").unwrap(), MemberSpec::new());
}

#[test]
fn a_drain_that_another_call_takes_back_says_so_and_removes_nothing() {
    let balancer = plain(["a"]);
    let takers: [fn(&Balancer<&'static str>); 3] = [
        |balancer| drop(balancer.clear_flag("a", Flag::Draining)),
        |balancer| drop(balancer.clear_overrides("a")),
        |balancer| balancer.override_member("a", |_| Overrides::new()),
    ];
    for take_back in takers {
        let lease = pick(&balancer).unwrap();
        let (over, deadline) = deadline();
        let drain = balancer
            .drain("a")
            .unwrap()
            .release_sessions_after(deadline);
        let mut drain = Task::pending(drain.then_remove());
        take_back(&balancer);
        over.send(()).unwrap();
        assert_eq!(drain.run(), Some(DrainOutcome::Resumed));
        drop((drain, lease));
        assert!(balancer.member("a").unwrap().status().is_usable());
        balancer.clear_overrides("a");
    }
}

#[test]
fn a_member_that_its_source_drains_too_drains_on_without_the_override() {
    let draining = MemberSpec::new().with_flag(Flag::Draining).with_route("a");
    let balancer = fleet([("a", draining), ("b", MemberSpec::new())]).0;
    let lease = session(&balancer);
    let mut drain = Task::pending(balancer.drain("a").unwrap());
    balancer.clear_overrides("a");
    drop(lease);
    assert_eq!(drain.run(), Some(DrainOutcome::Emptied));
}

#[test]
fn a_member_that_another_call_removes_is_waited_for_too() {
    let balancer = plain(["a"]);
    let lease = pick(&balancer).unwrap();
    let mut kept = Task::pending(balancer.drain("a").unwrap());
    let mut removing = Task::pending(balancer.drain("a").unwrap().then_remove());
    drop(balancer.remove("a"));
    assert_eq!((kept.run(), removing.run()), (None, None));
    drop(lease);
    assert_eq!(kept.run(), Some(DrainOutcome::Removed));
    assert_eq!(removing.run(), Some(DrainOutcome::Removed));
}

#[test]
fn a_member_that_is_removed_and_inserted_again_drains_on_until_that_is_taken_back() {
    let balancer = plain(["a"]);
    let lease = pick(&balancer).unwrap();
    let mut drain = Task::pending(balancer.drain("a").unwrap().then_remove());
    drop(balancer.remove("a"));
    balancer.insert("a", "new", MemberSpec::new()).unwrap();
    assert_eq!(drain.run(), None);
    assert!(pick(&balancer).is_err(), "the override is the name's");
    balancer.clear_overrides("a");
    assert_eq!(drain.run(), Some(DrainOutcome::Resumed));
    assert_eq!(*pick(&balancer).unwrap(), "new", "it was not removed");
    drop(lease);
}

#[test]
fn a_source_that_replaces_its_members_does_not_end_the_drain() {
    let balancer = plain(["a", "b"]);
    let lease = pick(&balancer).unwrap();
    assert_eq!(name(&lease), "a");
    let mut drain = Task::pending(balancer.drain("a").unwrap());
    let members = ["a", "b"].map(|name| (name, "new", MemberSpec::new().with_tier(1)));
    balancer.replace_all(members).unwrap();
    assert_eq!(drain.run(), None);
    assert_eq!(in_flight(&balancer, "a"), 1);
    drop(lease);
    assert_eq!(drain.run(), Some(DrainOutcome::Emptied));
}

#[test]
fn a_drain_that_is_dropped_disturbs_no_other() {
    let balancer = plain(["a"]);
    let lease = pick(&balancer).unwrap();
    let mut drains = [(); 3].map(|()| Task::pending(balancer.drain("a").unwrap().then_remove()));
    let [first, .., last] = &mut drains;
    *first = Task::pending(balancer.drain("a").unwrap().then_remove());
    drop(lease);
    assert_eq!(last.run(), Some(DrainOutcome::Removed));
    assert_eq!(drains[0].run(), Some(DrainOutcome::Removed));
}

#[test]
fn a_member_in_error_drains_as_any_other() {
    let balancer = plain(["a", "b"]);
    let lease = pick(&balancer).unwrap();
    lease.put_in_error();
    let mut drain = Task::pending(balancer.drain("a").unwrap());
    balancer.clear_flag("a", Flag::InError).unwrap();
    assert_eq!(drain.run(), None);
    drop(lease);
    assert_eq!(drain.run(), Some(DrainOutcome::Emptied));
}

#[test]
fn a_member_of_another_source_is_emptied_and_left_to_that_source() {
    let balancer = Balancer::<()>::builder().build().unwrap();
    let source = balancer.source("dns:api");
    source.insert("a", (), MemberSpec::new()).unwrap();
    balancer.insert("b", (), MemberSpec::new()).unwrap();
    let mut drain = Task::new(balancer.drain("a").unwrap().then_remove());
    assert_eq!(drain.poll(), Poll::Ready(DrainOutcome::Emptied));
    assert!(balancer.member("a").is_some());
    assert!(source.remove("a").is_ok());
}
