//! A member that stops answering: how many requests wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use equipoise::clock::{Clock, ManualClock};
use equipoise::scheduler::{LeastRequest, PeakEwma, Prequal, PrequalReports, ProbeReport};
use equipoise::{Lease, MemberSpec, Outcome, PickRequest, Scheduler};

use crate::support::{Indexed, clocked, pick};

const CLIENTS: usize = 20;
const SERVICE_MILLIS: u64 = 10;

/// Five members, and clients that each send a request when the last one has ended.
struct ClosedLoop {
    balancer: Indexed,
    clock: ManualClock,
    /// What members report with each response.
    reports: PrequalReports,
}

impl ClosedLoop {
    fn new<S: Scheduler>(scheduler: impl FnOnce(&PrequalReports) -> S) -> Self {
        let reports = PrequalReports::new();
        let (balancer, clock) = clocked(scheduler(&reports), vec![MemberSpec::new(); 5]);
        Self {
            balancer,
            clock,
            reports,
        }
    }

    /// Sends requests for a time, each of which takes 10 ms, except those of `m0` if it is
    /// silent; returns the latter.
    fn send(&self, millis: u64, is_silent: bool) -> Vec<Lease<usize>> {
        let (mut now, mut number, mut idle) = (0, 0, CLIENTS);
        let mut running: BTreeMap<(u64, u64), Lease<usize>> = BTreeMap::new();
        let mut stuck = Vec::new();
        while now < millis {
            for _ in 0..idle {
                let lease = pick(&self.balancer);
                if is_silent && *lease == 0 {
                    stuck.push(lease);
                } else {
                    number += 1;
                    running.insert((now + SERVICE_MILLIS, number), lease);
                }
            }
            let Some(((at, _), lease)) = running.pop_first() else {
                break;
            };
            self.clock.advance(Duration::from_millis(at - now));
            now = at;
            self.respond(lease);
            idle = 1;
        }
        running.into_values().for_each(|lease| self.respond(lease));
        stuck
    }

    fn respond(&self, mut lease: Lease<usize>) {
        lease.record_head(Some(200));
        let report = ProbeReport {
            in_flight: lease.member().in_flight() - 1,
            latency: Duration::from_millis(SERVICE_MILLIS),
        };
        let name = lease.member().name();
        self.reports.report(name, report, self.clock.now());
        lease.finish(Outcome::Success);
    }
}

#[track_caller]
fn assert_few_wait<S: Scheduler>(scheduler: impl Fn(&PrequalReports) -> S) {
    for idle in [0, 20, 40, 100, 300] {
        let it = ClosedLoop::new(&scheduler);
        assert!(it.send(1_000, false).is_empty());
        it.clock.advance(Duration::from_secs(idle));
        let stuck = it.send(15_000, true).len();
        // Until the first response, it may win one drawn pair after another.
        assert!(
            (1..=8).contains(&stuck),
            "{stuck} after {idle} s without requests"
        );
    }
}

#[test]
fn few_requests_wait_for_a_member_that_stops_answering() {
    assert_few_wait(|_| LeastRequest::new());
    assert_few_wait(|_| LeastRequest::new().with_scan_max(0).unwrap());
    assert_few_wait(|_| PeakEwma::new());
    assert_few_wait(Prequal::by_responses);
    assert_few_wait(|reports| Prequal::by_responses(reports).with_quantile(0.84));
}

/// The cost of `m0` becomes the penalty of a failure.
fn fail_at_first(it: &ClosedLoop) {
    let request = PickRequest::new().with_session_member(Some("m0"));
    it.balancer.pick(&request).unwrap().finish(Outcome::Failure);
}

/// Returns how many of 500 requests of 1 ms each `m0` gets.
fn share_of_first(it: &ClosedLoop) -> usize {
    let picks = (0..500).map(|_| {
        let mut lease = pick(&it.balancer);
        it.clock.advance(Duration::from_millis(1));
        lease.record_head(Some(200));
        let at = *lease;
        lease.finish(Outcome::Success);
        at
    });
    picks.filter(|&at| at == 0).count()
}

#[test]
fn a_cost_decays_while_a_download_lasts_or_an_old_request_waits() {
    for has_head in [true, false] {
        let it = ClosedLoop::new(|_| PeakEwma::new());
        let request = PickRequest::new().with_session_member(Some("m0"));
        let mut old = it.balancer.pick(&request).unwrap();
        if has_head {
            old.record_head(Some(200));
        }
        fail_at_first(&it);
        assert_eq!(share_of_first(&it), 0);
        it.clock.advance(Duration::from_secs(120));
        assert!(share_of_first(&it) > 0, "head: {has_head}");
        drop(old);
    }
}

#[test]
fn a_cost_does_not_decay_while_the_request_that_tries_the_member_waits() {
    let it = ClosedLoop::new(|_| PeakEwma::new());
    fail_at_first(&it);
    it.clock.advance(Duration::from_secs(120));
    assert_eq!(it.send(60_000, true).len(), 1);
}
