//! The cap: the last place under it, and the return of a member that was at its cap.

use super::super::PickError;
use super::{capped, check, in_flight, join, one, pick, picked, spawn};
use crate::member::MemberSpec;
use crate::scheduler::ByBusyness;

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
fn loom_two_threads_that_claim_and_end_leave_no_member_at_its_cap() {
    check(|| {
        let balancer = one(capped(1));
        let other = balancer.clone();
        let theirs = spawn(move || pick(&other).is_ok());
        let mine = pick(&balancer).is_ok();
        assert!(mine | join(theirs), "only these two hold it");

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
fn loom_a_pick_that_knows_the_old_cap_parks_no_member_for_ever() {
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

#[test]
fn loom_a_learned_limit_that_is_lowered_while_a_pick_claims_holds_from_then_on() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let limit = balancer.learned_limit("a").unwrap();
        let lowering = spawn(move || limit.set(Some(0)));
        let mine = pick(&balancer);
        join(lowering);

        assert!(matches!(mine, Ok(_) | Err(PickError::AtCapacity)));
        assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
        assert_eq!(in_flight(&balancer, "a"), u32::from(mine.is_ok()));
        drop(mine);
        balancer.learned_limit("a").unwrap().set(None);
        drop(picked(&balancer));
        assert_eq!(in_flight(&balancer, "a"), 0);
    });
}

#[test]
fn loom_a_learned_limit_that_is_raised_while_a_pick_parks_its_member_leaves_it_in() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let limit = balancer.learned_limit("a").unwrap();
        limit.set(Some(0));
        let raising = spawn(move || limit.set(Some(1)));
        let mine = pick(&balancer);
        join(raising);

        assert!(matches!(mine, Ok(_) | Err(PickError::AtCapacity)));
        drop(mine);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_learned_limit_that_is_lowered_while_leases_end_does_not_lock_its_member_out() {
    check(|| {
        let balancer = one(capped(2));
        let leases = [picked(&balancer), picked(&balancer)];
        let limit = leases[0].learned_limit();
        let ending = spawn(move || drop(leases));
        limit.set(Some(1));
        // Parks the member, if it looks before the leases have ended.
        drop(pick(&balancer));
        join(ending);

        assert_eq!(in_flight(&balancer, "a"), 0);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_learned_limit_and_a_specs_cap_that_change_at_once_both_hold() {
    check(|| {
        let balancer = one(capped(1));
        let limit = balancer.learned_limit("a").unwrap();
        let learning = spawn(move || limit.set(Some(2)));
        balancer
            .update("a", |spec| spec.with_max_in_flight(3))
            .unwrap();
        join(learning);

        let _two = [picked(&balancer), picked(&balancer)];
        assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
    });
}

#[test]
fn loom_a_limit_that_is_set_by_two_at_once_is_one_of_theirs_and_no_room_is_lost() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let limit = balancer.learned_limit("a").unwrap();
        limit.set(Some(0));
        assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
        let theirs = limit.clone();
        let raising = spawn(move || theirs.set(Some(2)));
        limit.set(Some(1));
        join(raising);

        assert!(matches!(limit.get(), Some(1 | 2)));
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_learned_limit_that_is_raised_while_the_method_changes_reaches_the_new_one() {
    check(|| {
        let balancer = one(MemberSpec::new());
        let limit = balancer.learned_limit("a").unwrap();
        limit.set(Some(0));
        let raising = spawn(move || limit.set(Some(1)));
        balancer.set_scheduler(ByBusyness::new());
        drop(pick(&balancer));
        join(raising);

        drop(picked(&balancer));
    });
}
