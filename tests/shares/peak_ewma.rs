//! Latencies: peaks, decay, and what a new or unknown member gets.

use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::scheduler::PeakEwma;
use equipoise::{MemberSpec, Outcome, PickRequest};

use crate::support::{Indexed, assert_near, balancer, clocked, counts, pick, weight};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_slow_member_gets_fewer_requests_until_its_cost_has_decayed() {
    let (balancer, clock) = clocked(PeakEwma::new(), vec![MemberSpec::new(); 4]);
    let mut slow = pick(&balancer);
    let at = *slow;
    clock.advance(millis(500));
    slow.record_head(None);
    slow.finish(Outcome::Success);
    let cost = || balancer.standing(&format!("m{at}")).unwrap();
    assert!((499_000..=500_000).contains(&cost()), "{}", cost());
    let share = || {
        let counts = counts(&balancer, 1);
        counts[at]
    };
    for _ in 0..300 {
        clock.advance(millis(1));
        assert_eq!(share(), 0, "each other one is faster");
    }
    // The others' costs decay too: they respond in no time.
    clock.advance(Duration::from_secs(10));
    drop(pick(&balancer));
    let left = cost();
    assert!((177_000..180_000).contains(&left), "e^-1.03 of it: {left}");
}

#[test]
fn a_peak_counts_at_once_and_faster_responses_lower_it_slowly() {
    let (balancer, clock) = clocked(PeakEwma::new(), vec![MemberSpec::new()]);
    let respond = |after| {
        let mut lease = pick(&balancer);
        clock.advance(millis(after));
        lease.record_head(Some(200));
        lease.finish(Outcome::Success);
        drop(pick(&balancer));
        balancer.standing("m0").unwrap()
    };
    let peak = respond(800);
    assert!((730_000..=800_000).contains(&peak), "{peak}");
    for _ in 0..99 {
        respond(100);
    }
    let after = respond(100);
    assert!((300_000..400_000).contains(&after), "{after}");
    let peak = respond(2_000);
    assert!((1_600_000..=2_000_000).contains(&peak), "{peak}");
}

#[test]
fn a_cancelled_request_counts_only_if_it_was_slow() {
    let (balancer, clock) = clocked(PeakEwma::new(), vec![MemberSpec::new()]);
    let before = balancer.standing("m0").unwrap();
    assert!((9_990..=10_000).contains(&before), "the default: {before}");
    drop(pick(&balancer));
    assert_eq!(balancer.standing("m0").unwrap(), before);
    let lease = pick(&balancer);
    clock.advance(millis(300));
    drop(lease);
    let after = balancer.standing("m0").unwrap();
    assert!((290_000..=300_000).contains(&after), "{after}");
}

#[test]
fn a_failure_counts_as_five_seconds() {
    let (balancer, _) = clocked(PeakEwma::new(), vec![MemberSpec::new(); 2]);
    let failed = pick(&balancer);
    let name = failed.member().name().to_owned();
    failed.finish(Outcome::Failure);
    let cost = balancer.standing(&name).unwrap();
    assert!((4_999_000..=5_000_000).contains(&cost), "{cost}");
    assert_ne!(pick(&balancer).member().name(), name);
}

#[test]
fn a_member_of_unknown_cost_gets_one_request_until_it_responds() {
    let unknown = PeakEwma::new().with_default_cost(Duration::ZERO).unwrap();
    let (balancer, clock) = clocked(unknown, vec![MemberSpec::new(); 2]);
    let mut known = pick(&balancer);
    let at = *known;
    clock.advance(millis(10));
    known.record_head(None);
    known.finish(Outcome::Success);
    let first = pick(&balancer);
    assert_ne!(*first, at, "it costs nothing so far");
    let held: Vec<_> = (0..50).map(|_| pick(&balancer)).collect();
    assert!(held.iter().all(|lease| **lease == at));
}

#[test]
fn shares_of_members_that_are_equally_fast_are_the_weights() {
    let weights = [1, 2, 3, 4, 10];
    let balancer = balancer(PeakEwma::new(), weights.map(weight).into());
    let held: Vec<_> = (0..2_000).map(|_| pick(&balancer)).collect();
    let mut counts = [0; 5];
    held.iter().for_each(|lease| counts[**lease] += 1);
    for (count, weight) in counts.into_iter().zip(weights) {
        assert_near(count, 100.0 * f64::from(weight), 0.08);
    }
}

/// A member whose cost is low, however wrongly, is drawn in two of n picks.
#[test]
fn a_member_that_seems_fast_gets_at_most_two_shares() {
    let (balancer, clock) = clocked(PeakEwma::new(), vec![MemberSpec::new(); 20]);
    for at in 1..20 {
        let name = format!("m{at}");
        let request = PickRequest::new().with_session_member(Some(&name));
        let slow = balancer.pick(&request).unwrap();
        clock.advance(millis(200));
        slow.finish(Outcome::Success);
    }
    assert_near(counts(&balancer, 20_000)[0], 2_000.0, 0.06);
}

/// Sends requests to the first member by its session; each responds after 5 ms.
fn respond_to_sessions(balancer: &Indexed, clock: &ManualClock, requests: u32, every: Duration) {
    for _ in 0..requests {
        clock.advance(every);
        let session = PickRequest::new().with_session_member(Some("m0"));
        let mut lease = balancer.pick(&session).unwrap();
        clock.advance(millis(5));
        lease.record_head(Some(200));
        lease.finish(Outcome::Success);
    }
}

#[test]
fn the_times_of_sessions_count_though_nothing_else_is_picked() {
    let (balancer, clock) = clocked(PeakEwma::new(), vec![MemberSpec::new(); 2]);
    drop(pick(&balancer));
    respond_to_sessions(&balancer, &clock, 100, Duration::from_secs(10));
    let cost = balancer.standing("m0").unwrap();
    assert!((4_000..6_000).contains(&cost), "{cost} us");
}

#[test]
fn a_cost_is_updated_however_long_it_was_left_alone() {
    let (balancer, clock) = clocked(PeakEwma::new(), vec![MemberSpec::new(); 2]);
    let session = PickRequest::new().with_session_member(Some("m0"));
    balancer.pick(&session).unwrap().finish(Outcome::Failure);
    // Times of costs wrap after 208 days.
    clock.advance(Duration::from_secs(110 * 86_400));
    drop(pick(&balancer));
    assert_eq!(balancer.standing("m0"), Some(0), "nothing is left of it");
    respond_to_sessions(&balancer, &clock, 10, millis(5));
    let cost = balancer.standing("m0").unwrap();
    assert!((4_000..6_000).contains(&cost), "{cost} us");
}
