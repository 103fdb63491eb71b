//! A change of the scheduler, against picks and ends that read the old one.

use super::super::{Balancer, PickRequest};
use super::{capped, check, empty, in_flight, join, one, pick, picked, spawn};
use crate::member::MemberSpec;
use crate::scheduler::{ByBusyness, ByRequests};

fn two() -> Balancer<()> {
    empty()
        .member("a", (), MemberSpec::new().with_route("r"))
        .member("b", (), MemberSpec::new())
        .build()
        .unwrap()
}

/// Nothing is in flight, and the scheduler's state agrees: it picks the members that a
/// scheduler with the facts would pick.
fn assert_idle_and_even(balancer: &Balancer<()>) {
    assert_eq!(in_flight(balancer, "a"), 0);
    assert_eq!(in_flight(balancer, "b"), 0);
    let leases = [(); 4].map(|()| {
        let explained = balancer.explain(&PickRequest::new());
        let lease = picked(balancer);
        let expected = explained.picked().map(|member| &*member.name);
        assert_eq!(Some(lease.member().name()), expected);
        lease
    });
    assert_eq!(in_flight(balancer, "a"), 2);
    assert_eq!(in_flight(balancer, "b"), 2);
    drop(leases);
}

#[test]
fn loom_a_lease_that_ends_while_bybusyness_takes_over_is_no_load() {
    check(|| {
        let balancer = two();
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        balancer.set_scheduler(ByBusyness::new());
        join(ending);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_lease_that_ends_while_one_bybusyness_follows_another_is_no_load() {
    check(|| {
        let balancer = two();
        balancer.set_scheduler(ByBusyness::new());
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        balancer.set_scheduler(ByBusyness::weighted());
        join(ending);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_lease_that_begins_and_ends_while_bybusyness_takes_over_is_no_load() {
    check(|| {
        let balancer = two();
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        balancer.set_scheduler(ByBusyness::new());
        join(picking);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_full_member_whose_lease_ends_while_the_scheduler_changes_is_not_left_out() {
    check(|| {
        let balancer = one(capped(1));
        let lease = picked(&balancer);
        assert!(pick(&balancer).is_err());
        let ending = spawn(move || drop(lease));
        balancer.set_scheduler(ByRequests::new());
        drop(pick(&balancer));
        join(ending);

        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_request_that_the_old_scheduler_picked_for_is_load_to_the_new_one() {
    check(|| load_moves_over(PickRequest::new()));
}

#[test]
fn loom_a_session_that_the_old_scheduler_was_notified_of_is_load_to_the_new_one() {
    check(|| load_moves_over(PickRequest::new().with_session(Some("r"))));
}

fn load_moves_over(request: PickRequest<'static>) {
    let balancer = two();
    let other = balancer.clone();
    let picking = spawn(move || other.pick(&request).unwrap());
    balancer.set_scheduler(ByBusyness::new());
    let first = join(picking);

    let second = picked(&balancer);
    assert_ne!(first.member().name(), second.member().name());
    drop((first, second));
    assert_idle_and_even(&balancer);
}

#[test]
fn loom_bybusyness_knows_every_load_when_two_threads_are_through() {
    check(|| {
        let balancer = two();
        balancer.set_scheduler(ByBusyness::new());
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        drop(picked(&balancer));
        join(picking);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_bybusyness_knows_the_load_of_a_session_beside_a_request() {
    check(|| {
        let balancer = two();
        balancer.set_scheduler(ByBusyness::new());
        let lease = picked(&balancer);
        let other = balancer.clone();
        let session = spawn(move || {
            let request = PickRequest::new().with_session(Some("r"));
            drop(other.pick(&request).unwrap());
        });
        drop(lease);
        join(session);
        assert_idle_and_even(&balancer);
    });
}
