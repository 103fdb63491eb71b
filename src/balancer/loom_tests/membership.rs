//! Changes of the membership, against leases that end and against picks that started with
//! an older picture.

use std::task::Poll;

use super::super::{PickError, PickRequest};
use super::{Task, check, empty, in_flight, join, one, pick, picked, spawn};
use crate::member::{Flag, MemberSpec};
use crate::scheduler::{Candidates, Pick, PickContext, Scheduler};

#[test]
fn loom_a_removed_member_is_drained_when_its_lease_ends_meanwhile() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let lease = picked(&balancer);
        let state = balancer.member("a").unwrap();
        let ending = spawn(move || drop(lease));
        let removed = balancer.remove("a").unwrap();
        let mut drained = Task::new(removed.drained());
        let at_once = drained.poll();
        join(ending);

        assert_eq!(state.in_flight(), 0);
        if at_once.is_pending() {
            assert!(drained.is_woken());
            assert_eq!(drained.poll(), Poll::Ready(()));
        }
        assert_eq!(pick(&balancer).unwrap_err(), PickError::Empty);
    });
}

#[test]
fn loom_a_removed_member_is_drained_when_the_last_of_two_leases_ends() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let (first, second) = (picked(&balancer), picked(&balancer));
        let removed = balancer.remove("a").unwrap();
        let mut drained = Task::new(removed.drained());
        let ending = spawn(move || drop(first));
        drop(second);
        let at_once = drained.poll();
        join(ending);

        assert_eq!(removed.in_flight(), 0);
        if at_once.is_pending() {
            assert_eq!(drained.resume(), Poll::Ready(()));
        }
    });
}

#[test]
fn loom_a_name_that_comes_back_while_its_lease_ends_keeps_an_exact_count() {
    check(|| {
        let balancer = one(MemberSpec::new().with_max_in_flight(1));
        let lease = picked(&balancer);
        let before = balancer.member("a").unwrap();
        balancer.remove("a").unwrap();
        let ending = spawn(move || drop(lease));
        balancer
            .insert("a", (), MemberSpec::new().with_max_in_flight(1))
            .unwrap();
        let mine = pick(&balancer);
        join(ending);

        assert!(matches!(mine, Ok(_) | Err(PickError::AtCapacity)));
        let after = balancer.member("a").unwrap();
        assert_eq!(after.id(), before.id(), "a lease, or this test, holds it");
        assert_eq!(after.in_flight(), u32::from(mine.is_ok()));
        drop(mine);
        assert_eq!(after.in_flight(), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_name_that_goes_and_comes_back_while_its_lease_ends_is_not_left_out() {
    check(|| {
        let balancer = one(MemberSpec::new().with_max_in_flight(1));
        let lease = picked(&balancer);
        assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
        let ending = spawn(move || drop(lease));
        balancer.remove("a").unwrap();
        balancer
            .insert("a", (), MemberSpec::new().with_max_in_flight(1))
            .unwrap();
        join(ending);

        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
        assert_eq!(in_flight(&balancer, "a"), 0);
    });
}

#[test]
fn loom_a_removed_member_that_is_drained_gets_no_more_requests() {
    check(|| drains_for_good(PickRequest::new()));
}

#[test]
fn loom_a_removed_member_that_is_drained_gets_no_more_sessions() {
    check(|| drains_for_good(PickRequest::new().with_session(Some("r"))));
}

fn drains_for_good(request: PickRequest<'static>) {
    let balancer = one(MemberSpec::new().with_route("r"));
    let other = balancer.clone();
    let picking = spawn(move || other.pick(&request));
    let removed = balancer.remove("a").unwrap();
    let mut drained = Task::new(removed.drained());
    let at_once = drained.poll();
    let lease = join(picking);

    assert_eq!(removed.in_flight(), u32::from(lease.is_ok()));
    if lease.is_ok() {
        assert_eq!(at_once, Poll::Pending, "drained, and then picked");
        drop(lease);
        assert_eq!(drained.resume(), Poll::Ready(()));
    }
}

/// A scheduler that makes claims and does not report them, against its contract.
#[derive(Debug)]
struct Forgetful;

impl Scheduler for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        drop(candidates.claim_first(candidates.iter()));
        Pick::NoneUsable
    }
}

#[test]
fn loom_a_removed_member_is_drained_when_a_claim_comes_to_nothing() {
    check(|| {
        let balancer = one(MemberSpec::new());
        balancer.set_scheduler(Forgetful);
        let other = balancer.clone();
        let picking = spawn(move || pick(&other).is_ok());
        let removed = balancer.remove("a").unwrap();
        let mut drained = Task::new(removed.drained());
        let at_once = drained.poll();
        assert!(!join(picking));

        assert_eq!(removed.in_flight(), 0);
        if at_once.is_pending() {
            assert_eq!(drained.resume(), Poll::Ready(()));
        }
    });
}

#[test]
fn loom_no_member_is_picked_after_the_call_that_disables_it() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let other = balancer.clone();
        let picking = spawn(move || pick(&other));
        balancer.set_flag("a", Flag::Disabled).unwrap();
        let picks = balancer.member("a").unwrap().picked();
        let later = pick(&balancer);
        assert!(matches!(later, Err(PickError::NoneUsable { .. })));
        let earlier = join(picking);

        assert!(matches!(earlier, Ok(_) | Err(PickError::NoneUsable { .. })));
        assert_eq!(picks, u64::from(earlier.is_ok()));
        assert_eq!(in_flight(&balancer, "a"), u32::from(earlier.is_ok()));
        drop(earlier);
        assert_eq!(in_flight(&balancer, "a"), 0);
    });
}

#[test]
fn loom_a_source_that_drains_a_member_as_an_operator_does_is_not_lost() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let other = balancer.clone();
        let operator = spawn(move || other.set_flag("a", Flag::Draining).unwrap());
        let draining = |spec: MemberSpec| spec.with_flag(Flag::Draining);
        balancer.update("a", draining).unwrap();
        join(operator);
        balancer.clear_overrides("a");

        let drains = MemberSpec::new().with_flag(Flag::Draining);
        assert_eq!(balancer.spec("a"), Some(drains));
    });
}

#[test]
fn loom_a_pick_finds_the_other_one_while_one_is_disabled() {
    check(|| {
        let balancer = empty()
            .member("a", (), MemberSpec::new())
            .member("b", (), MemberSpec::new())
            .build()
            .unwrap();
        let other = balancer.clone();
        let picking = spawn(move || picked(&other));
        balancer.set_flag("a", Flag::Disabled).unwrap();
        assert_eq!(picked(&balancer).member().name(), "b");
        let earlier = join(picking);

        assert_eq!(earlier.member().in_flight(), 1);
        drop(earlier);
        assert_eq!(in_flight(&balancer, "a"), 0);
        assert_eq!(in_flight(&balancer, "b"), 0);
    });
}

#[test]
fn loom_a_pick_finds_a_member_while_one_member_replaces_another() {
    check(|| {
        let balancer = empty()
            .member("a", (), MemberSpec::new())
            .member("z", (), MemberSpec::new().with_tier(1))
            .build()
            .unwrap();
        let other = balancer.clone();
        let picking = spawn(move || picked(&other));
        let removed = balancer.remove("a").unwrap();
        balancer.insert("b", (), MemberSpec::new()).unwrap();
        let later = picked(&balancer);
        assert_eq!(later.member().name(), "b");
        let earlier = join(picking);

        // While neither of the two exists, "z" serves.
        let picks = |name| u32::from(earlier.member().name() == name);
        assert_eq!(removed.in_flight(), picks("a"));
        assert_eq!(in_flight(&balancer, "b"), 1 + picks("b"));
        assert_eq!(in_flight(&balancer, "z"), picks("z"));
        drop((earlier, later));
        assert_eq!(removed.in_flight(), 0);
        assert_eq!(in_flight(&balancer, "b"), 0);
    });
}

#[test]
fn loom_a_request_gets_a_member_or_the_reason_while_a_slot_changes_hands() {
    check(|| slot_changes_hands(PickRequest::new()));
}

#[test]
fn loom_a_session_gets_a_member_or_the_reason_while_a_slot_changes_hands() {
    check(|| slot_changes_hands(PickRequest::new().with_session(Some("r"))));
}

/// Only the pick's own picture holds the first member, so that the second gets its slot as
/// soon as possible.
fn slot_changes_hands(request: PickRequest<'static>) {
    let balancer = one(MemberSpec::new().with_route("r"));
    let other = balancer.clone();
    let picking = spawn(move || other.pick(&request));
    drop(balancer.remove("a"));
    balancer
        .insert("b", (), MemberSpec::new().with_route("r"))
        .unwrap();
    let later = balancer.pick(&request);
    assert_eq!(later.unwrap().member().name(), "b");

    match join(picking) {
        Ok(lease) => {
            assert_eq!(lease.member().in_flight(), 1);
            let picks = u32::from(lease.member().name() == "b");
            assert_eq!(in_flight(&balancer, "b"), picks);
        }
        Err(error) => assert_eq!(error, PickError::Empty),
    }
    assert_eq!(in_flight(&balancer, "b"), 0);
    drop(picked(&balancer));
}

#[test]
fn loom_a_pick_with_an_older_view_meets_all_of_an_edit_or_nothing() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let other = balancer.clone();
        let picking = spawn(move || picked(&other));
        let mut edit = balancer.edit();
        edit.remove("a");
        edit.insert("b", (), MemberSpec::new());
        let removed = edit.apply().unwrap().removed;
        assert_eq!(picked(&balancer).member().name(), "b");
        let lease = join(picking);

        // Before the edit "a" exists, and after it "b": at each moment one of them exists.
        let picks = |name| u32::from(lease.member().name() == name);
        assert_eq!(removed[0].in_flight(), picks("a"));
        assert_eq!(in_flight(&balancer, "b"), picks("b"));
        drop(lease);
        assert_eq!(removed[0].in_flight() + in_flight(&balancer, "b"), 0);
    });
}

#[test]
fn loom_of_two_sources_that_bring_one_name_one_is_refused() {
    check(|| {
        let balancer = empty().build().unwrap();
        let other = balancer.source("two");
        let two = spawn(move || {
            let mut edit = other.edit();
            edit.insert("a", (), MemberSpec::new());
            edit.insert("two", (), MemberSpec::new());
            edit.apply().is_ok()
        });
        let mut edit = balancer.source("one").edit();
        edit.insert("one", (), MemberSpec::new());
        edit.insert("a", (), MemberSpec::new());
        let one = edit.apply().is_ok();
        let two = join(two);

        assert!(one != two, "the first has it");
        let (winner, loser) = if one { ("one", "two") } else { ("two", "one") };
        assert_eq!(balancer.source_of("a").as_deref(), Some(winner));
        assert!(balancer.member(winner).is_some() && balancer.member(loser).is_none());
    });
}
