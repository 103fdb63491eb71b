//! Shadows whose state depends on the time, though they are only asked: long after the start.

use std::collections::VecDeque;
use std::time::Duration;

use equipoise::clock::{Clock, ManualClock};
use equipoise::scheduler::{
    LeastRequest, PeakEwma, Prequal, PrequalReports, ProbeReport, Shadow, ShadowReport,
    WeightedRandom,
};
use equipoise::{Balancer, Lease, MemberSpec, Outcome, PickRequest, Scheduler};

const HOUR: Duration = Duration::from_secs(3_600);

fn farm(members: usize, shadow: impl Scheduler) -> (Balancer<()>, ManualClock, ShadowReport) {
    let (shadow, clock) = (
        Shadow::new(WeightedRandom::new(), shadow),
        ManualClock::new(),
    );
    let report = shadow.report();
    let balancer = Balancer::builder()
        .scheduler(shadow)
        .clock(clock.clone())
        .seed(7)
        .members((0..members).map(|index| (format!("m{index}"), (), MemberSpec::new())))
        .build()
        .unwrap();
    (balancer, clock, report)
}

/// Returns the share of the picks in which the shadow chose the first member.
fn chosen(report: &ShadowReport) -> f64 {
    let summary = report.summary();
    summary.members[0].chosen as f64 / summary.compared as f64
}

/// How the first member responds.
#[derive(Clone, Copy, Debug)]
enum First {
    FailsAtOnce,
    IsSlow,
}

/// Sends a request every 10 ms, from an hour after the start on; all members but the first
/// take 200 ms.
fn share_of_the_first(shadow: impl Scheduler, first: First) -> f64 {
    let (balancer, clock, report) = farm(4, shadow);
    clock.advance(HOUR);
    let mut running: VecDeque<(u64, Lease<()>)> = VecDeque::new();
    for now in 0..4_000 {
        clock.advance(Duration::from_millis(10));
        for _ in 0..running.len() {
            let Some((end, mut lease)) = running.pop_front() else {
                break;
            };
            if end <= now {
                lease.record_head(Some(200));
                lease.finish(Outcome::Success);
            } else {
                running.push_back((end, lease));
            }
        }
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        match first {
            First::FailsAtOnce if lease.member().name() == "m0" => lease.finish(Outcome::Failure),
            First::IsSlow if lease.member().name() == "m0" => running.push_back((now + 200, lease)),
            _ => running.push_back((now + 20, lease)),
        }
    }
    chosen(&report)
}

#[test]
fn least_request_remembers_the_failures_of_a_member() {
    let share = share_of_the_first(LeastRequest::new(), First::FailsAtOnce);
    assert!(share < 0.1, "{share}");
}

#[test]
fn peak_ewma_remembers_that_a_member_is_slow_or_fails() {
    for first in [First::FailsAtOnce, First::IsSlow] {
        let share = share_of_the_first(PeakEwma::new(), first);
        assert!(share < 0.1, "{first:?}: {share}");
    }
}

#[test]
fn prequal_forgets_failures_after_a_time() {
    let reports = PrequalReports::new();
    let (balancer, clock, report) = farm(4, Prequal::new(&reports));
    let send = |requests: usize, fails: bool| {
        for _ in 0..requests {
            for name in ["m0", "m1", "m2", "m3"] {
                let latency = Duration::from_millis(1);
                let report = ProbeReport {
                    in_flight: 0,
                    latency,
                };
                reports.report(name, report, clock.now());
            }
            let lease = balancer.pick(&PickRequest::new()).unwrap();
            let fails = fails && lease.member().name() == "m0";
            lease.finish(if fails {
                Outcome::Failure
            } else {
                Outcome::Success
            });
        }
    };
    clock.advance(Duration::from_secs(1));
    send(400, true);
    report.reset();
    send(100, false);
    assert!(chosen(&report) < 0.05, "just after: {report}");
    clock.advance(HOUR);
    report.reset();
    send(400, false);
    let share = chosen(&report);
    assert!((0.17..0.33).contains(&share), "{share}");
}

#[test]
fn an_explanation_names_the_member_that_the_shadow_chooses_next() {
    let sampled = LeastRequest::new().with_scan_max(0).unwrap();
    let (balancer, _, report) = farm(30, sampled);
    let chosen = |report: &ShadowReport| -> Vec<u64> {
        let members = report.summary().members.into_iter();
        members.map(|it| it.chosen).collect()
    };
    for _ in 0..200 {
        let text = balancer.explain(&PickRequest::new()).to_string();
        let before = chosen(&report);
        drop(balancer.pick(&PickRequest::new()).unwrap());
        let after = chosen(&report);
        let next = (0..30).find(|&at| before[at] != after[at]).unwrap();
        let named = format!("the shadow leastrequest picks m{next}\n");
        assert!(text.contains(&named), "{next}: {text}");
    }
}
