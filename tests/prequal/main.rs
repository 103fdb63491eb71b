//! Prequal by its public API: its bounds under load, members that fail at once, and
//! allocations.

#![allow(
    clippy::unwrap_used,
    reason = "a balancer that cannot be set up ends its test"
)]

mod failing;
mod queues;

use std::time::Duration;

use equipoise::clock::{Clock, ManualClock};
use equipoise::random::Random;
use equipoise::scheduler::{Prequal, PrequalReports, ProbeReport};
use equipoise::{Balancer, MemberSpec, PickRequest};

#[test]
fn a_pick_allocates_nothing() {
    for quantile in [0.0, 0.84] {
        let (reports, clock) = (PrequalReports::new(), ManualClock::new());
        let members = (0..100).map(|index| (format!("m{index}"), (), MemberSpec::new()));
        let balancer = Balancer::builder()
            .scheduler(Prequal::new(&reports).with_quantile(quantile))
            .clock(clock.clone())
            .members(members)
            .build()
            .unwrap();
        let random = Random::seeded(1);
        drop(balancer.pick(&PickRequest::new()).unwrap());
        for round in 0..200_u32 {
            // In each fifth round, all reports are too old.
            if round % 5 == 0 {
                clock.advance(Duration::from_secs(2));
            }
            for target in reports.targets(16, &random) {
                let in_flight = round % 7;
                let latency = Duration::from_millis(random.below(50));
                reports.report(target.id, ProbeReport { in_flight, latency }, clock.now());
            }
            let counted = allocation_counter::measure(|| {
                drop(balancer.pick(&PickRequest::new()).unwrap());
                drop(balancer.pick(&PickRequest::new()).unwrap());
            });
            assert_eq!(counted.count_total, 0, "{counted:?}");
        }
    }
}

#[test]
fn threads_that_pick_and_report_at_once_lose_no_request() {
    let (reports, clock) = (PrequalReports::new(), ManualClock::new());
    let balancer = Balancer::builder()
        .scheduler(Prequal::new(&reports).with_quantile(0.5))
        .clock(clock.clone())
        .members((0..30).map(|index| (format!("m{index}"), (), MemberSpec::new())))
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (balancer, reports, clock) = (&balancer, &reports, &clock);
            scope.spawn(move || {
                let random = Random::seeded(seed);
                for _ in 0..3_000 {
                    let lease = balancer.pick(&PickRequest::new()).unwrap();
                    for target in reports.targets(3, &random) {
                        let in_flight = balancer.member(&target.name).unwrap().in_flight();
                        let latency = Duration::from_micros(random.below(100));
                        let report = ProbeReport { in_flight, latency };
                        reports.report(target.id, report, clock.now());
                    }
                    clock.advance(Duration::from_micros(200));
                    drop(lease);
                }
            });
        }
    });
    let members = balancer.members();
    assert_eq!(members.iter().map(|it| it.picked()).sum::<u64>(), 9_000);
    assert!(members.iter().all(|it| it.in_flight() == 0));
}

#[test]
fn a_member_that_never_reports_is_tried_now_and_then() {
    let (reports, clock) = (PrequalReports::new(), ManualClock::new());
    let balancer = Balancer::builder()
        .scheduler(Prequal::new(&reports))
        .clock(clock.clone())
        .seed(1)
        .members((0..4).map(|index| (format!("m{index}"), (), MemberSpec::new())))
        .build()
        .unwrap();
    for _ in 0..10_000 {
        clock.advance(Duration::from_millis(1));
        for name in ["m1", "m2", "m3"] {
            let latency = Duration::from_secs(9);
            let report = ProbeReport {
                in_flight: 500,
                latency,
            };
            reports.report(name, report, clock.now());
        }
        drop(balancer.pick(&PickRequest::new()).unwrap());
    }
    let picked = balancer.member("m0").unwrap().picked();
    // A quarter of a hundredth.
    assert!((10..50).contains(&picked), "{picked} of 10000");
}

#[test]
fn a_new_scheduler_has_the_default_settings_whatever_the_reports_had() {
    let reports = PrequalReports::new();
    drop(Prequal::by_responses(&reports).with_quantile(0.9));
    let balancer = Balancer::builder()
        .scheduler(Prequal::new(&reports))
        .members((0..9).map(|index| (format!("m{index}"), (), MemberSpec::new())))
        .build()
        .unwrap();
    drop(balancer.pick(&PickRequest::new()).unwrap());
    assert_eq!(reports.due(), 3, "members to ask for each pick");
}
