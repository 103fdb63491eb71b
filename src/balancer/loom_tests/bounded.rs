//! The sum of requests in flight that a `BoundedLoad` keeps, against picks, ends and changes
//! of the group at the same time.

use super::super::{Balancer, PickRequest};
use super::{check, empty, join, picked, spawn};
use crate::member::{Flag, MemberSpec};
use crate::scheduler::{BoundedLoad, Rendezvous};

fn two() -> Balancer<()> {
    empty()
        .scheduler(BoundedLoad::new(Rendezvous::new()))
        .member("a", (), MemberSpec::new())
        .member("b", (), MemberSpec::new())
        .build()
        .unwrap()
}

/// The sum shows in the explanation: 125 % of it and one more.
fn assert_sum(balancer: &Balancer<()>, in_flight: u32) {
    let explained = balancer.explain(&PickRequest::new());
    let total = (125 * (in_flight + 1)).div_ceil(100);
    let expected = format!(" {total} requests in flight in total");
    let notes = &explained.details().notes;
    assert!(
        notes.iter().any(|note| note.contains(&expected)),
        "{notes:?}"
    );
}

#[test]
fn loom_the_sum_is_exact_when_two_picks_and_their_ends_are_through() {
    check(|| {
        let balancer = two();
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        let lease = picked(&balancer);
        join(picking);
        assert_sum(&balancer, 1);
        drop(lease);
        assert_sum(&balancer, 0);
    });
}

#[test]
fn loom_the_sum_is_exact_after_an_end_beside_a_pick_of_the_same_member() {
    check(|| {
        let balancer = two();
        balancer.set_flag("b", Flag::Disabled).unwrap();
        let first = picked(&balancer);
        let ending = spawn(move || drop(first));
        let second = picked(&balancer);
        join(ending);
        assert_sum(&balancer, 1);
        drop(second);
        assert_sum(&balancer, 0);
    });
}

#[test]
fn loom_the_sum_is_exact_after_a_member_has_left_and_joined_beside_an_end() {
    check(|| {
        let balancer = two();
        let leases = [picked(&balancer), picked(&balancer)];
        let ending = spawn(move || drop(leases));
        balancer.set_flag("a", Flag::Disabled).unwrap();
        balancer.clear_flag("a", Flag::Disabled).unwrap();
        join(ending);
        assert_sum(&balancer, 0);
        // A sum below zero is shown as zero.
        let lease = picked(&balancer);
        assert_sum(&balancer, 1);
        drop(lease);
    });
}
