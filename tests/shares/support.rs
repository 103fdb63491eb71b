//! Balancers of members `m0`, `m1`, .. with weights, on a clock that stands still.

use equipoise::clock::ManualClock;
use equipoise::scheduler::{LeastRequest, PeakEwma, Rotation, WeightedRandom};
use equipoise::{Balancer, Lease, MemberSpec, PickRequest, Scheduler, Weight};

/// A balancer whose members' payloads are their indices.
pub(crate) type Indexed = Balancer<usize>;

pub(crate) fn weight(weight: u32) -> MemberSpec {
    MemberSpec::new().with_weight(Weight::new(weight).unwrap())
}

pub(crate) fn balancer(scheduler: impl Scheduler, specs: Vec<MemberSpec>) -> Indexed {
    clocked(scheduler, specs).0
}

pub(crate) fn clocked(scheduler: impl Scheduler, specs: Vec<MemberSpec>) -> (Indexed, ManualClock) {
    let clock = ManualClock::new();
    let members = specs.into_iter().enumerate();
    let balancer = Balancer::builder()
        .scheduler(scheduler)
        .seed(7)
        .clock(clock.clone())
        .members(members.map(|(at, spec)| (format!("m{at}"), at, spec)))
        .build()
        .unwrap();
    (balancer, clock)
}

pub(crate) fn pick(balancer: &Indexed) -> Lease<usize> {
    balancer.pick(&PickRequest::new()).unwrap()
}

/// The index of the member that is picked; the request ends at once.
pub(crate) fn picked(balancer: &Indexed) -> usize {
    *pick(balancer)
}

/// How often each of `members` is picked by so many requests that end at once.
pub(crate) fn counts(balancer: &Indexed, picks: usize) -> Vec<usize> {
    let mut counts = vec![0; balancer.len()];
    for _ in 0..picks {
        counts[picked(balancer)] += 1;
    }
    counts
}

/// Asserts that `count` is within `tolerance` of `expected`, as a share of `expected`.
#[track_caller]
pub(crate) fn assert_near(count: usize, expected: f64, tolerance: f64) {
    let off = (count as f64 - expected).abs();
    assert!(off <= tolerance * expected, "{count}, expected {expected}");
}

/// Every scheduler that these tests are about. Twice those that draw among many members and
/// scan few.
pub(crate) fn every() -> Vec<Box<dyn Scheduler>> {
    vec![
        Box::new(LeastRequest::new()),
        Box::new(LeastRequest::new().with_scan_max(0).unwrap()),
        Box::new(PeakEwma::new()),
        Box::new(Rotation::new()),
        Box::new(WeightedRandom::new()),
    ]
}
