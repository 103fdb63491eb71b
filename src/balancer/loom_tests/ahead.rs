//! Turns that were made ahead: they are taken without the lock, while they are made and
//! withdrawn under it.

use super::super::{Balancer, PickRequest};
use super::{capped, check, empty, in_flight, join, picked, spawn};
use crate::member::{Flag, MemberSpec};

/// Two members of equal weight, of which "a" has a route and a cap, after so many picks. After
/// one, the next pick makes turns, and opens them.
fn two_after(picks: u32, cap: u32) -> Balancer<()> {
    let balancer = empty()
        .member("a", (), capped(cap).with_route("r"))
        .member("b", (), MemberSpec::new())
        .build()
        .unwrap();
    for _ in 0..picks {
        drop(picked(&balancer));
    }
    balancer
}

/// The same, after enough picks that a turn of "b" and then one of "a" are made and not
/// taken.
fn two(cap: u32) -> Balancer<()> {
    two_after(3, cap)
}

fn hit(balancer: &Balancer<()>) {
    let request = PickRequest::new().with_session(Some("r"));
    drop(balancer.pick(&request).unwrap());
}

/// The books agree with the picks that were counted: each pick gave a member its weight, and
/// took the total from the member that was picked.
fn assert_exact(balancer: &Balancer<()>) {
    let members = balancer.members();
    let counts = members.iter().map(|member| member.picked());
    let all: u64 = counts.sum();
    for member in &members {
        let own = i64::try_from(member.picked()).unwrap();
        let standing = 100 * i64::try_from(all).unwrap() - 200 * own;
        assert_eq!(balancer.standing(member.name()), Some(standing));
    }
}

/// The scheduler picks what a comparison of all members gives.
fn assert_usable(balancer: &Balancer<()>) {
    let sum = ["a", "b"].map(|name| balancer.standing(name).unwrap());
    assert_eq!(sum[0] + sum[1], 0);
    for _ in 0..3 {
        let explained = balancer.explain(&PickRequest::new());
        let lease = picked(balancer);
        let expected = explained.picked().map(|member| &*member.name);
        assert_eq!(Some(lease.member().name()), expected);
    }
    assert_eq!(in_flight(balancer, "a") + in_flight(balancer, "b"), 0);
}

/// Each pick counts once, and those of sessions, too.
fn two_picks_against_a_hit(balancer: &Balancer<()>) {
    let other = balancer.clone();
    let picking = spawn(move || {
        drop(picked(&other));
        drop(picked(&other));
    });
    hit(balancer);
    join(picking);
    assert_exact(balancer);
    assert_usable(balancer);
}

#[test]
fn loom_a_turn_is_taken_or_withdrawn() {
    check(|| {
        let balancer = two(9);
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        hit(&balancer);
        join(picking);
        assert_exact(&balancer);
        assert_usable(&balancer);
    });
}

#[test]
fn loom_two_picks_take_two_turns_while_more_are_made() {
    check(|| {
        let balancer = two(9);
        let other = balancer.clone();
        let picking = spawn(move || {
            drop(picked(&other));
            drop(picked(&other));
        });
        drop(picked(&balancer));
        join(picking);
        assert_exact(&balancer);
        let counts = balancer
            .members()
            .iter()
            .map(|member| member.picked())
            .collect::<Vec<_>>();
        assert_eq!(counts, [3, 3]);
    });
}

#[test]
fn loom_turns_are_made_against_a_change_of_the_group() {
    check(|| {
        let balancer = two(9);
        let other = balancer.clone();
        let picking = spawn(move || {
            drop(picked(&other));
            drop(picked(&other));
        });
        balancer.set_flag("b", Flag::Draining).unwrap();
        join(picking);
        assert_eq!(picked(&balancer).member().name(), "a");
        balancer.clear_flag("b", Flag::Draining).unwrap();
        assert_usable(&balancer);
    });
}

#[test]
fn loom_a_turn_whose_member_is_full_against_a_session() {
    check(|| {
        let balancer = two(1);
        // The next turn is that of "a".
        drop(picked(&balancer));
        let session = PickRequest::new().with_session(Some("r"));
        let held = balancer.pick(&session).unwrap();
        for _ in 0..3 {
            drop(picked(&balancer));
        }
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        drop(held);
        hit(&balancer);
        join(picking);
        assert_usable(&balancer);
    });
}

#[test]
fn loom_a_turn_whose_member_became_full_against_a_question() {
    check(|| {
        let balancer = two(1);
        // Two threads find a turn of "a", which has room for one.
        let other = balancer.clone();
        let picking = spawn(move || {
            let leases = [picked(&other), picked(&other)];
            drop(leases);
        });
        let _ = balancer.standing("a");
        let lease = picked(&balancer);
        drop(lease);
        join(picking);
        assert_usable(&balancer);
    });
}

#[test]
fn loom_turns_are_opened_against_the_note_of_a_session() {
    check(|| {
        let balancer = two_after(1, 9);
        two_picks_against_a_hit(&balancer);
    });
}

#[test]
fn loom_turns_that_repeat_a_round_are_withdrawn() {
    check(|| {
        // The turns that are not taken yet are copies of a round.
        let balancer = two_after(9, 9);
        two_picks_against_a_hit(&balancer);
    });
}

#[test]
fn loom_a_refused_turn_against_a_change_of_the_group() {
    check(|| {
        let standby = MemberSpec::new().with_flag(Flag::HotStandby);
        let balancer = empty()
            .member("a", (), MemberSpec::new())
            .member("b", (), standby)
            .build()
            .unwrap();
        for _ in 0..3 {
            drop(picked(&balancer));
        }
        let other = balancer.clone();
        // It takes a turn of "a", which then leaves the group; "b" joins.
        let picking = spawn(move || drop(picked(&other)));
        balancer.set_flag("a", Flag::Disabled).unwrap();
        join(picking);
        // Each was alone in the group, so each has paid what it gained.
        for name in ["a", "b"] {
            assert_eq!(balancer.standing(name), Some(0), "{name}");
        }
    });
}
