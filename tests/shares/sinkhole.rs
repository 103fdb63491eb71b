//! A member that fails at once: it must not attract requests by being idle.

use std::collections::VecDeque;
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::scheduler::{LeastRequest, PeakEwma};
use equipoise::{Lease, MemberSpec, Outcome, Scheduler};

use crate::support::{Indexed, clocked, pick, weight};

/// Four members, of which `m0` fails at once or does not. Other requests take 100 ms, and
/// each millisecond brings a new one.
struct Farm {
    balancer: Indexed,
    clock: ManualClock,
    running: VecDeque<(u32, Lease<usize>)>,
    now: u32,
}

/// How `m0` responds.
#[derive(Clone, Copy, Debug)]
enum First {
    FailsAtOnce,
    /// Responds at once with this status, which is not reported as a failure.
    RespondsAtOnce(u16),
    IsWell,
}

impl Farm {
    fn new(scheduler: impl Scheduler) -> Self {
        let (balancer, clock) = clocked(scheduler, vec![MemberSpec::new(); 4]);
        Self {
            balancer,
            clock,
            running: VecDeque::new(),
            now: 0,
        }
    }

    /// Sends so many requests; returns how many of them `m0` gets.
    fn send(&mut self, requests: u32, first: First) -> u32 {
        let mut count = 0;
        for _ in 0..requests {
            self.now += 1;
            self.clock.advance(Duration::from_millis(1));
            while self.running.front().is_some_and(|one| one.0 <= self.now) {
                let (_, mut lease) = self.running.pop_front().unwrap();
                lease.record_head(Some(200));
                lease.finish(Outcome::Success);
            }
            let mut lease = pick(&self.balancer);
            count += u32::from(*lease == 0);
            match first {
                First::FailsAtOnce if *lease == 0 => lease.finish(Outcome::Failure),
                First::RespondsAtOnce(status) if *lease == 0 => {
                    lease.record_head(Some(status));
                    lease.finish(Outcome::Success);
                }
                _ => self.running.push_back((self.now + 100, lease)),
            }
        }
        count
    }
}

/// Asserts the bound: a quarter of the first requests, and far less after that; then what
/// a member that is well again gets.
#[track_caller]
fn assert_no_sink(scheduler: impl Scheduler, first: First) {
    let mut farm = Farm::new(scheduler);
    let early = farm.send(200, first);
    assert!(early <= 50, "{early} of the first 200");
    let late = farm.send(20_000, first);
    assert!(late <= 1_000, "{late} of 20000");
    farm.send(120_000, First::IsWell);
    let share = farm.send(20_000, First::IsWell);
    assert!(
        (4_000..6_500).contains(&share),
        "{share} of 20000 once it is well"
    );
}

#[test]
fn a_member_that_fails_at_once_gets_at_most_its_fair_share() {
    assert_no_sink(LeastRequest::new(), First::FailsAtOnce);
    assert_no_sink(
        LeastRequest::new().with_scan_max(0).unwrap(),
        First::FailsAtOnce,
    );
    assert_no_sink(PeakEwma::new(), First::FailsAtOnce);
}

#[test]
fn a_member_that_responds_with_errors_at_once_gets_at_most_its_fair_share() {
    for status in [429, 500, 503] {
        assert_no_sink(LeastRequest::new(), First::RespondsAtOnce(status));
        assert_no_sink(PeakEwma::new(), First::RespondsAtOnce(status));
    }
}

/// What the failure debt is for: without it, the member gets most requests.
#[test]
fn without_a_failure_debt_a_member_that_fails_at_once_is_a_sink() {
    let scheduler = || LeastRequest::new().with_failure_debt(0, Duration::from_secs(1));
    let scanned = Farm::new(scheduler().unwrap()).send(20_000, First::FailsAtOnce);
    assert!(scanned > 19_000, "{scanned}");
    let drawn = scheduler().unwrap().with_scan_max(0).unwrap();
    let drawn = Farm::new(drawn).send(20_000, First::FailsAtOnce);
    assert!(drawn > 9_000, "{drawn}");
    let careless = PeakEwma::new()
        .with_failure_penalty(Duration::ZERO)
        .unwrap();
    let careless = Farm::new(careless).send(20_000, First::FailsAtOnce);
    assert!(careless > 9_000, "{careless}");
}

/// Few requests, one after the other: an old debt must not keep a member out for long.
#[test]
fn a_debt_is_forgotten_after_some_half_lives() {
    let (balancer, clock) = clocked(LeastRequest::new(), vec![MemberSpec::new(); 4]);
    let failed = pick(&balancer);
    let at = *failed;
    failed.finish(Outcome::Failure);
    let share = |balancer: &Indexed| (0..400).filter(|_| *pick(balancer) == at).count();
    assert_eq!(share(&balancer), 0);
    clock.advance(Duration::from_secs(19));
    assert_eq!(share(&balancer), 0, "a quarter of a request is left");
    clock.advance(Duration::from_secs(2));
    let share = share(&balancer);
    assert!((70..130).contains(&share), "{share}");
}

#[test]
fn a_member_with_most_of_the_weight_that_fails_at_once_loses_its_share() {
    let mut specs = vec![weight(300)];
    specs.resize(17, weight(1));
    let (balancer, clock) = clocked(LeastRequest::new(), specs);
    let mut heavy = 0;
    for _ in 0..10_000 {
        clock.advance(Duration::from_millis(1));
        let lease = pick(&balancer);
        let fails = *lease == 0;
        heavy += u32::from(fails);
        lease.finish(if fails {
            Outcome::Failure
        } else {
            Outcome::Success
        });
    }
    assert!(heavy < 1_000, "{heavy} of 10000");
}
