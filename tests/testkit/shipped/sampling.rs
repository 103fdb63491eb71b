//! The laws of schedulers that draw members, or compare their loads.

use std::sync::Mutex;
use std::time::Duration;

use equipoise::clock::Timestamp;
use equipoise::member::{Ended, MemberId, MemberState};
use equipoise::scheduler::{
    Candidates, GroupChange, LeastRequest, Needs, PeakEwma, Pick, PickContext, PickDetails, Plan,
    PlanMembers, Prequal, PrequalReports, ProbeReport, Scheduler, WeightedRandom,
};
use equipoise::testkit::laws;

use super::keeps_the_contract;

#[test]
fn weighted_random_keeps_its_shares_whatever_the_load() {
    keeps_the_contract(WeightedRandom::new);
    laws::shares_by_weight(WeightedRandom::new, 1, 0.04).unwrap();
    laws::honours_ramps(WeightedRandom::new, 50, 0.04).unwrap();
    laws::is_monotone_in_weight(WeightedRandom::new, 1, 0.04).unwrap();
    laws::starves_none(WeightedRandom::new, 20.0).unwrap();
    laws::shares_failovers(WeightedRandom::new, 1.3).unwrap();
    laws::is_no_sinkhole(WeightedRandom::new, 0, 1.15).unwrap();
    // Chance repeats members.
    laws::is_smooth(WeightedRandom::new, |_| 2.0, |_| 2.0).unwrap_err();
}

/// The laws of a scheduler that compares loads: shares by weight need load.
fn keeps_the_laws_of_loads<S: Scheduler>(make: impl Fn() -> S, tolerance: f64) {
    keeps_the_contract(&make);
    laws::honours_ramps(&make, 400, tolerance).unwrap();
    laws::shares_failovers(&make, 1.3).unwrap();
    laws::is_no_sinkhole(&make, 20, 1.0).unwrap();
}

/// While all members are idle, a heavier one is preferred.
fn prefers_heavy_members_while_all_are_idle<S: Scheduler>(make: impl Fn() -> S) {
    laws::starves_none(&make, 20.0).unwrap_err();
}

#[test]
fn least_request_shares_by_weight_under_load_and_is_no_sinkhole() {
    keeps_the_laws_of_loads(LeastRequest::new, 0.01);
    laws::shares_by_weight(LeastRequest::new, 400, 0.01).unwrap();
    laws::is_monotone_in_weight(LeastRequest::new, 400, 0.01).unwrap();
    prefers_heavy_members_while_all_are_idle(LeastRequest::new);
    let drawing = || LeastRequest::new().with_scan_max(0).unwrap();
    keeps_the_laws_of_loads(drawing, 0.02);
    let many = || drawing().with_choices(10).unwrap();
    laws::is_no_sinkhole(many, 20, 1.0).unwrap();
}

/// Two of `n` equal members are drawn, so that a member is picked by at most `2 / n` of the
/// requests, whatever its load.
#[test]
fn a_member_that_is_drawn_gets_at_most_twice_its_share_also_without_a_debt() {
    let careless = || LeastRequest::new().with_failure_debt(0, Duration::from_secs(1));
    let drawing = || careless().unwrap().with_scan_max(0).unwrap();
    laws::is_no_sinkhole(drawing, 0, 2.1).unwrap();
    laws::is_no_sinkhole(drawing, 0, 1.5).unwrap_err();
    // A scan has no such bound: the debt is what protects it.
    laws::is_no_sinkhole(|| careless().unwrap(), 0, 2.5).unwrap_err();
    let careless = || {
        PeakEwma::new()
            .with_failure_penalty(Duration::ZERO)
            .unwrap()
    };
    laws::is_no_sinkhole(careless, 0, 2.1).unwrap();
    laws::is_no_sinkhole(careless, 0, 1.5).unwrap_err();
}

#[test]
fn peak_ewma_shares_by_weight_under_load_and_is_no_sinkhole() {
    keeps_the_laws_of_loads(PeakEwma::new, 0.02);
    laws::is_monotone_in_weight(PeakEwma::new, 400, 0.02).unwrap();
    let many = || PeakEwma::new().with_choices(10).unwrap();
    laws::is_no_sinkhole(many, 20, 1.0).unwrap();
}

/// Prequal, whose members report with each response how many requests are in flight.
#[derive(Debug)]
struct Reporting {
    prequal: Prequal,
    reports: PrequalReports,
    now: Mutex<Timestamp>,
}

impl Reporting {
    fn new(make: impl Fn(&PrequalReports) -> Prequal) -> Self {
        let reports = PrequalReports::new();
        Self {
            prequal: make(&reports),
            reports,
            now: Mutex::new(Timestamp::ORIGIN),
        }
    }
}

impl Scheduler for Reporting {
    fn name(&self) -> &'static str {
        self.prequal.name()
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        *self.now.lock().unwrap() = context.now().unwrap();
        self.prequal.pick(candidates, context)
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        self.prequal.peek(candidates, context)
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        self.prequal.explain(candidates, context)
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.prequal.on_session_pick(candidates, member);
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        self.prequal.on_ended(member, ended);
        let report = ProbeReport {
            in_flight: member.in_flight(),
            latency: ended.elapsed.unwrap_or(Duration::MAX),
        };
        let now = *self.now.lock().unwrap();
        self.reports.report(member.id(), report, now);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.prequal.on_group_change(group);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        self.prequal.plan(members)
    }

    fn reset(&self) {
        self.prequal.reset();
    }

    fn standing(&self, member: MemberId) -> Option<i64> {
        self.prequal.standing(member)
    }

    fn needs(&self) -> Needs {
        self.prequal.needs() | Needs::ELAPSED
    }
}

#[test]
fn prequal_without_reports_keeps_the_laws_of_its_fallback() {
    keeps_the_laws_of_loads(|| Prequal::new(&PrequalReports::new()), 0.02);
}

#[test]
fn prequal_with_reports_shares_by_weight_under_load_and_is_no_sinkhole() {
    keeps_the_laws_of_loads(|| Reporting::new(Prequal::by_responses), 0.06);
    // With latencies, failures keep a member from being chosen.
    let by_latency = || Reporting::new(|it| Prequal::by_responses(it).with_quantile(0.84));
    laws::survives_churn(by_latency).unwrap();
    laws::is_no_sinkhole(by_latency, 20, 1.0).unwrap();
}
