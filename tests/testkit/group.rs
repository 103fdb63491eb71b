//! Members without a balancer.

use std::time::Duration;

use equipoise::scheduler::{Maglev, Scheduler};
use equipoise::testkit::{Group, GroupPickError};
use equipoise::{
    ByBusyness, ByRequests, ByTraffic, Flag, MemberSpec, Outcome, PickRequest, Weight,
};

fn group<S: Scheduler>(scheduler: S, members: usize) -> Group<S> {
    let mut group = Group::new(scheduler);
    for at in 0..members {
        group.insert(&format!("m{at}"), MemberSpec::new());
    }
    group
}

#[test]
fn flags_decide_which_members_are_eligible() {
    let mut group = group(ByRequests::new(), 2);
    let spare = group.insert("spare", MemberSpec::new().with_flag(Flag::HotSpare));
    let ids: Vec<_> = ["m0", "m1"].map(|name| group.id(name).unwrap()).into();
    let picked = |group: &mut Group<_>| group.pick(&PickRequest::new()).unwrap();
    assert_eq!([picked(&mut group), picked(&mut group)], [ids[0], ids[1]]);
    assert!(group.set_flag("m0", Flag::Draining));
    let next = [picked(&mut group), picked(&mut group)];
    assert!(next.contains(&spare) && next.contains(&ids[1]), "{next:?}");
    assert!(group.clear_flag("m0", Flag::Draining));
    assert_ne!(picked(&mut group), spare);
    assert!(!group.set_flag("m7", Flag::Draining), "there is none");
}

#[test]
fn a_removed_member_keeps_its_slot_until_its_requests_end() {
    let mut group = group(ByBusyness::new(), 1);
    let first = group.pick(&PickRequest::new()).unwrap();
    assert!(group.remove("m0") && group.is_empty());
    let other = group.insert("other", MemberSpec::new());
    assert_ne!(other.slot(), first.slot());
    assert_eq!(group.insert("m0", MemberSpec::new()), first, "it returns");
    assert_eq!(group.member("m0").unwrap().in_flight(), 1);
    assert!(group.remove("m0"));
    assert!(group.end(first, Outcome::Success));
    assert_eq!(group.in_flight(), 0);
    let again = group.insert("m0", MemberSpec::new());
    assert_ne!(again, first);
    assert_eq!(again.slot(), first.slot(), "the slot is free again");
}

#[test]
fn facts_can_be_set() {
    let mut by_bytes = group(ByTraffic::new(), 2);
    assert!(by_bytes.add_bytes("m0", 10, 20));
    let second = by_bytes.id("m1").unwrap();
    assert_eq!(by_bytes.pick(&PickRequest::new()), Ok(second));

    let mut by_load = group(ByBusyness::new(), 2);
    let (first, second) = (by_load.id("m0").unwrap(), by_load.id("m1").unwrap());
    assert_eq!(by_load.set_in_flight("m0", 3), 3);
    assert_eq!(by_load.pick(&PickRequest::new()), Ok(second));
    assert_eq!(by_load.set_in_flight("m0", 0), 0);
    assert_eq!(by_load.pick(&PickRequest::new()), Ok(first));
    assert_eq!(by_load.in_flight(), 2);
}

#[test]
fn sessions_pick_given_members_also_those_that_drain() {
    let mut group = group(ByRequests::new(), 2);
    let (first, second) = (group.id("m0").unwrap(), group.id("m1").unwrap());
    assert_eq!(group.pick_session("m0"), Some(first));
    assert_eq!(
        group.pick(&PickRequest::new()),
        Ok(second),
        "it counts as a pick"
    );
    group.set_flag("m0", Flag::Draining);
    assert_eq!(group.pick_session("m0"), Some(first));
    group.set_flag("m0", Flag::Disabled);
    assert_eq!(group.pick_session("m0"), None);
    assert_eq!(group.in_flight(), 3);
}

#[test]
fn a_claim_that_is_left_is_released() {
    let group = group(ByRequests::new(), 1);
    let request = PickRequest::new();
    group.with_candidates(&request, |_, candidates, _| {
        let claimed = candidates.claim_first(candidates.iter());
        drop(claimed);
        assert_eq!(group.member("m0").unwrap().in_flight(), 1);
    });
    assert_eq!(group.member("m0").unwrap().in_flight(), 0);
}

#[test]
fn a_plan_is_made_again_after_a_change() {
    let mut group = group(Maglev::with_table_size(251).unwrap(), 2);
    let request = PickRequest::new().with_hash(7);
    let owner = group.pick(&request).unwrap();
    assert_eq!(group.peek(&request), Some(owner));
    let name = if group.id("m0") == Some(owner) {
        "m0"
    } else {
        "m1"
    };
    assert!(group.remove(name));
    let other = group.pick(&request).unwrap();
    assert_ne!(other, owner);
    assert!(
        group.update(if name == "m0" { "m1" } else { "m0" }, |spec| {
            spec.with_weight(Weight::new(9).unwrap())
                .with_max_in_flight(1)
        })
    );
    assert_eq!(group.pick(&request), Err(GroupPickError::AtCapacity));
}

#[test]
fn a_reset_makes_all_members_start_equal() {
    let mut group = group(ByRequests::new(), 2);
    group.advance(Duration::from_secs(1));
    let first = group.pick(&PickRequest::new()).unwrap();
    group.reset();
    assert_eq!(group.pick(&PickRequest::new()), Ok(first));
    assert_eq!(group.scheduler().name(), "byrequests");
    assert_eq!((group.len(), group.is_empty()), (2, false));
}

#[test]
fn a_member_that_returns_keeps_its_health() {
    let mut group = group(ByRequests::new(), 1);
    let member = group.pick(&PickRequest::new()).unwrap();
    group.set_flag("m0", Flag::InError);
    group.set_flag("m0", Flag::Draining);
    group.remove("m0");
    assert_eq!(group.insert("m0", MemberSpec::new()), member);
    let request = PickRequest::new();
    assert_eq!(group.pick(&request), Err(GroupPickError::NoneUsable));
    group.clear_flag("m0", Flag::InError);
    assert_eq!(group.pick(&request), Ok(member), "it drains no more");
}
