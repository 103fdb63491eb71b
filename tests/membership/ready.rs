//! Waiting at the start until enough members could serve.

use crate::support::{Task, fleet, picks, plain, seconds};
use equipoise::{Balancer, Flag, MemberSpec, PickRequest};

#[test]
fn it_resolves_when_enough_members_are_there() {
    let balancer = plain([]);
    assert!(Task::new(balancer.wait_for_members(0)).poll().is_ready());
    let mut ready = Task::pending(balancer.wait_for_members(2));
    balancer.insert("a", "a", MemberSpec::new()).unwrap();
    assert!(ready.run().is_none());
    balancer
        .insert("b", "b", MemberSpec::new().with_flag(Flag::Disabled))
        .unwrap();
    assert!(ready.run().is_none(), "b cannot serve");
    balancer.clear_flag("b", Flag::Disabled).unwrap();
    assert!(ready.run().is_some());
}

#[test]
fn members_in_error_or_draining_are_not_ready() {
    let flags = [
        Flag::Draining,
        Flag::InError,
        Flag::FailedCheck,
        Flag::Stopped,
    ];
    for flag in flags {
        let balancer = plain(["a", "b"]);
        balancer.set_flag("b", flag).unwrap();
        let mut ready = Task::pending(balancer.wait_for_members(2));
        balancer.clear_flag("b", flag).unwrap();
        assert!(ready.run().is_some(), "{flag}");
    }
}

#[test]
fn a_recovery_is_noticed() {
    let failed = MemberSpec::new().with_flag(Flag::InError);
    let (balancer, clock) = fleet([("a", MemberSpec::new()), ("b", failed)]);
    let mut ready = Task::pending(balancer.wait_for_members(2));
    clock.advance(seconds(60));
    balancer.apply_timed_changes();
    assert!(ready.run().is_some());
}

/// Members that are ready for work without being in the group that is elected from now.
fn reserve() -> [MemberSpec; 3] {
    let spec = MemberSpec::new;
    [
        spec().with_flag(Flag::HotStandby),
        spec().with_flag(Flag::HotSpare),
        spec().with_tier(1),
    ]
}

#[test]
fn the_recovery_of_a_member_in_reserve_is_noticed() {
    for spec in reserve() {
        let failed = spec.clone().with_flag(Flag::InError);
        let (balancer, clock) = fleet([("a", MemberSpec::new()), ("b", failed)]);
        let mut ready = Task::pending(balancer.wait_for_members(2));
        clock.advance(seconds(60));
        balancer.apply_timed_changes();
        assert!(balancer.member("b").unwrap().status().is_usable());
        assert!(ready.run().is_some(), "{spec:?}");
    }
}

#[test]
fn the_failure_of_a_member_in_reserve_is_noticed() {
    for spec in reserve() {
        let (balancer, _) = fleet([("a", MemberSpec::new()), ("b", spec.with_route("b"))]);
        let session = PickRequest::new().with_session(Some("b"));
        balancer.pick(&session).unwrap().put_in_error();
        assert_eq!(picks(&balancer, 1), "a");
        drop(Task::pending(balancer.wait_for_members(2)));
    }
}

#[test]
fn it_may_be_dropped_at_any_time() {
    let balancer: Balancer<()> = Balancer::builder().build().unwrap();
    drop(balancer.wait_for_members(3));
    drop(Task::pending(balancer.wait_for_members(3)));
    balancer.insert("a", (), MemberSpec::new()).unwrap();
}
