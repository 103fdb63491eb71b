//! Clocks that stand still or go backwards, and delays at the ends of their range.

use crate::support::{fleet, pick, picks, seconds};
use equipoise::clock::{Clock, Timestamp};
use equipoise::member::Ramp;
use equipoise::{Flag, MemberSpec, PickRequest};
use std::time::Duration;

#[test]
fn a_clock_that_stands_still_keeps_who_failed_out_and_nobody_else() {
    let (balancer, _) = fleet(["a", "b"].map(|name| (name, MemberSpec::new())));
    pick(&balancer).unwrap().put_in_error();
    assert_eq!(picks(&balancer, 100), "b".repeat(100));
}

#[test]
fn a_clock_that_goes_backwards_only_delays_a_recovery() {
    let (balancer, clock) = fleet(["a", "b"].map(|name| (name, MemberSpec::new())));
    clock.advance(seconds(100));
    pick(&balancer).unwrap().put_in_error();
    clock.set(Timestamp::ORIGIN);
    assert_eq!(picks(&balancer, 2), "bb");
    clock.advance(seconds(159));
    assert_eq!(picks(&balancer, 2), "bb");
    clock.advance(seconds(1));
    assert!(picks(&balancer, 2).contains('a'));
    clock.set(Timestamp::ORIGIN);
    assert!(
        picks(&balancer, 2).contains('a'),
        "who has recovered stays so"
    );
}

#[test]
fn a_delay_of_nothing_lets_the_next_request_try_again_but_not_the_same() {
    let spec = || MemberSpec::new().with_recovery_delay(Duration::ZERO);
    let (balancer, _) = fleet([("a", spec()), ("b", spec())]);
    let lease = pick(&balancer).unwrap();
    lease.put_in_error();
    assert!(!lease.member().status().is_usable());
    let tried = [lease.member().id()];
    let again = balancer.pick(&PickRequest::new().with_tried(&tried));
    assert_eq!(*again.unwrap(), "b");
    assert_eq!(picks(&balancer, 2), "ab");
    assert_eq!(balancer.member("a").unwrap().recoveries(), 1);
}

#[test]
fn a_delay_without_end_never_ends() {
    let spec = MemberSpec::new().with_recovery_delay(Duration::MAX);
    let (balancer, clock) = fleet([("a", spec), ("b", MemberSpec::new())]);
    pick(&balancer).unwrap().put_in_error();
    clock.set(Timestamp::from_nanos(u64::MAX - 1));
    assert_eq!(picks(&balancer, 2), "bb");
    balancer.clear_flag("a", Flag::InError).unwrap();
    assert!(picks(&balancer, 2).contains('a'), "except by hand");
}

#[test]
fn an_error_at_the_end_of_time_is_one_all_the_same() {
    let (balancer, clock) = fleet(["a", "b"].map(|name| (name, MemberSpec::new())));
    clock.set(Timestamp::from_nanos(u64::MAX));
    pick(&balancer).unwrap().put_in_error();
    assert_eq!(picks(&balancer, 2).len(), 2);
    assert_eq!(clock.now(), Timestamp::from_nanos(u64::MAX));
}

#[test]
fn what_is_due_first_is_told() {
    let short = MemberSpec::new().with_recovery_delay(seconds(5));
    let (balancer, clock) = fleet([
        ("a", MemberSpec::new()),
        ("b", short),
        ("c", MemberSpec::new()),
    ]);
    assert_eq!(balancer.next_timed_change(), None);
    for name in ["a", "b"] {
        balancer.set_flag(name, Flag::InError).unwrap();
    }
    assert_eq!(
        balancer.next_timed_change(),
        Some(Timestamp::ORIGIN + seconds(5))
    );
    clock.advance(seconds(5));
    balancer.apply_timed_changes();
    assert_eq!(
        balancer.next_timed_change(),
        Some(Timestamp::ORIGIN + seconds(60))
    );
    clock.advance(seconds(55));
    balancer.apply_timed_changes();
    assert_eq!(balancer.next_timed_change(), None);
}

#[test]
fn each_error_is_forgiven_in_its_own_time() {
    let names = ["a", "b", "c", "d"];
    let (balancer, clock) = fleet(names.map(|name| (name, MemberSpec::new())));
    for name in &names[..3] {
        balancer.set_flag(name, Flag::InError).unwrap();
        clock.advance(seconds(10));
    }
    clock.advance(seconds(30));
    let mut usable = Vec::new();
    for _ in 0..3 {
        balancer.apply_timed_changes();
        let members = balancer.members();
        usable.push(members.iter().filter(|m| m.status().is_usable()).count());
        clock.advance(seconds(10));
    }
    assert_eq!(usable, [2, 3, 4]);
}

#[test]
fn a_clock_that_jumps_back_keeps_all_that_is_due_and_only_delays_it() {
    let names = ["a", "b", "c", "d"];
    let ramp = Ramp::over(seconds(16));
    let (balancer, clock) = fleet(names.map(|name| (name, MemberSpec::new().with_ramp(ramp))));
    clock.advance(seconds(1_000));
    balancer.set_flag("a", Flag::InError).unwrap();
    balancer.eject("b", seconds(30), "slow").unwrap();
    balancer.set_flag("c", Flag::FailedCheck).unwrap();
    balancer.clear_flag("c", Flag::FailedCheck).unwrap();
    clock.advance(seconds(8));
    balancer.apply_timed_changes();
    clock.set(Timestamp::ORIGIN);
    for _ in 0..100 {
        assert!(!picks(&balancer, 1).contains(['a', 'b']));
    }
    let due = balancer.next_timed_change().unwrap();
    assert_eq!(
        due,
        Timestamp::ORIGIN + seconds(1_009),
        "the next step of c"
    );
    // Far ahead, everything is over at once.
    clock.set(Timestamp::ORIGIN + seconds(1_100));
    balancer.apply_timed_changes();
    let usable = |name| balancer.member(name).unwrap().status().is_usable();
    assert!(names.into_iter().all(usable));
    let ramps = balancer.explain(&PickRequest::new());
    let sixteenths: Vec<u32> = ramps
        .members()
        .iter()
        .map(|it| it.effective_weight.units() / 100)
        .collect();
    assert_eq!(
        sixteenths,
        [1, 1, 16, 16],
        "those that have recovered just now ramp up"
    );
    // Back again: a ramp that is over stays over, one under way begins again.
    clock.set(Timestamp::ORIGIN);
    assert!(names.into_iter().all(usable));
    balancer.set_flag("d", Flag::Draining).unwrap();
    assert_eq!(
        balancer.next_timed_change(),
        Some(Timestamp::ORIGIN + seconds(1_102))
    );
}

#[test]
fn a_clock_that_stands_still_with_much_due_costs_no_renewal() {
    let names = ["a", "b", "c"];
    let ramp = Ramp::over(seconds(16));
    let (balancer, _) = fleet(names.map(|name| (name, MemberSpec::new().with_ramp(ramp))));
    balancer.set_flag("a", Flag::InError).unwrap();
    balancer.eject("b", seconds(30), "slow").unwrap();
    balancer.recover("b").unwrap();
    let due = balancer.next_timed_change();
    assert_eq!(due, Some(Timestamp::ORIGIN + seconds(2)));
    for _ in 0..100 {
        assert_eq!(picks(&balancer, 1).len(), 1);
        assert_eq!(balancer.next_timed_change(), due);
    }
}
