//! The cap: the last place under it, and the way back of whoever was at it.

use super::super::PickError;
use super::{capped, check, in_flight, join, one, pick, picked, spawn};
use crate::member::MemberSpec;

#[test]
fn loom_the_last_place_under_a_cap_is_given_once() {
    check(|| {
        let balancer = one(capped(1));
        let other = balancer.clone();
        let theirs = spawn(move || pick(&other));
        let mine = pick(&balancer);
        let theirs = join(theirs);

        let results = [mine, theirs];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        for result in &results {
            assert!(!matches!(result, Err(error) if *error != PickError::AtCapacity));
        }
        assert_eq!(in_flight(&balancer, "a"), 1);

        drop(results);
        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
        assert_eq!(in_flight(&balancer, "a"), 0);
    });
}

#[test]
fn loom_a_member_whose_last_lease_ends_while_it_is_found_full_is_not_left_out() {
    check(|| {
        let balancer = one(capped(1));
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        let mine = pick(&balancer);
        join(ending);

        assert!(matches!(mine, Ok(_) | Err(PickError::AtCapacity)));
        drop(mine);
        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_two_threads_that_claim_and_end_leave_nobody_at_its_cap() {
    check(|| {
        let balancer = one(capped(1));
        let other = balancer.clone();
        let theirs = spawn(move || pick(&other).is_ok());
        let mine = pick(&balancer).is_ok();
        assert!(mine | join(theirs), "nobody holds it but these two");

        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_cap_that_is_lowered_while_a_lease_ends_does_not_lock_its_member_out() {
    check(|| {
        let balancer = one(capped(2));
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        balancer
            .update("a", |spec| spec.with_max_in_flight(1))
            .unwrap();
        // Parks the member, if it looks before the lease has ended.
        drop(pick(&balancer));
        join(ending);

        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_cap_that_is_lowered_below_what_is_in_flight_does_not_lock_its_member_out() {
    check(|| {
        let balancer = one(capped(2));
        let leases = [picked(&balancer), picked(&balancer)];
        let ending = spawn(move || drop(leases));
        balancer
            .update("a", |spec| spec.with_max_in_flight(1))
            .unwrap();
        drop(pick(&balancer));
        join(ending);

        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_cap_that_is_raised_while_a_lease_ends_does_not_lock_its_member_out() {
    check(|| {
        let balancer = one(capped(1));
        let lease = picked(&balancer);
        assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
        let ending = spawn(move || drop(lease));
        balancer
            .update("a", |spec| spec.with_max_in_flight(2))
            .unwrap();
        let second = picked(&balancer);
        join(ending);

        assert_eq!(in_flight(&balancer, "a"), 1);
        let third = picked(&balancer);
        assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
        drop((second, third));
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_pick_that_knows_the_old_cap_parks_nobody_for_ever() {
    check(|| {
        let balancer = one(capped(1));
        let lease = picked(&balancer);
        let other = balancer.clone();
        let picking = spawn(move || drop(pick(&other)));
        balancer
            .update("a", MemberSpec::without_max_in_flight)
            .unwrap();
        join(picking);

        drop(picked(&balancer));
        drop(lease);
        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
    });
}
