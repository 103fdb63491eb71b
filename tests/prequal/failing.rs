//! A member that fails at once gets no more than its share, though its reports look idle.

use std::collections::VecDeque;
use std::time::Duration;

use equipoise::clock::{Clock, ManualClock};
use equipoise::random::Random;
use equipoise::scheduler::{Prequal, PrequalReports, ProbeReport};
use equipoise::{Balancer, Lease, MemberSpec, Outcome, PickRequest};

/// How members report.
#[derive(Clone, Copy, Debug)]
enum Reporting {
    /// They are asked after this share of the picks.
    Asked(f64),
    /// With each response.
    WithResponses,
}

/// Picks 5000 times, once in a millisecond. The first of the members fails at once; the
/// others take `steps` milliseconds. Returns the share of the first one.
fn share_of_the_failing(
    members: usize,
    steps: usize,
    reporting: Reporting,
    set: impl Fn(Prequal) -> Prequal,
) -> f64 {
    const PICKS: u32 = 5_000;
    let (reports, clock) = (PrequalReports::new(), ManualClock::new());
    let prequal = match reporting {
        Reporting::Asked(share) => Prequal::new(&reports).with_probes_per_pick(3.0 * share),
        Reporting::WithResponses => Prequal::by_responses(&reports),
    };
    let balancer = Balancer::builder()
        .scheduler(set(prequal))
        .clock(clock.clone())
        .seed(1)
        .members((0..members).map(|index| (format!("m{index}"), (), MemberSpec::new())))
        .build()
        .unwrap();
    let report = |name: &str| {
        let in_flight = balancer.member(name).unwrap().in_flight();
        // The latency of the failing member is low, too.
        let millis = if name == "m0" { 0 } else { steps as u64 };
        let latency = Duration::from_millis(millis);
        reports.report(name, ProbeReport { in_flight, latency }, clock.now());
    };
    let finish = |lease: Lease<()>, outcome| {
        let name = lease.member().name().to_owned();
        lease.finish(outcome);
        if matches!(reporting, Reporting::WithResponses) {
            report(&name);
        }
    };
    let random = Random::seeded(2);
    let mut running: VecDeque<Option<Lease<()>>> = (0..steps).map(|_| None).collect();
    let mut failed = 0;
    for _ in 0..PICKS {
        clock.advance(Duration::from_millis(1));
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        if lease.member().name() == "m0" {
            finish(lease, Outcome::Failure);
            failed += 1;
            running.push_back(None);
        } else {
            running.push_back(Some(lease));
        }
        if let Some(ended) = running.pop_front().flatten() {
            finish(ended, Outcome::Success);
        }
        for target in reports.targets(16, &random) {
            if matches!(reporting, Reporting::Asked(_)) {
                report(&target.name);
            }
        }
    }
    f64::from(failed) / f64::from(PICKS)
}

#[test]
fn it_gets_at_most_its_share_whether_others_are_idle_or_busy() {
    let ways = [0.0, 0.02, 1.0].map(Reporting::Asked);
    for reporting in ways.into_iter().chain([Reporting::WithResponses]) {
        for members in [2, 4, 40] {
            for steps in [0, 1, 50, 1_000] {
                for quantile in [0.0, 0.84] {
                    let set = |it: Prequal| it.with_quantile(quantile);
                    let share = share_of_the_failing(members, steps, reporting, set);
                    let case = (members, steps, reporting, quantile);
                    assert!(share <= 1.0 / members as f64, "{case:?}: {share}");
                }
            }
        }
    }
}

#[test]
fn without_the_rule_it_would_get_most_requests() {
    let without = |it: Prequal| it.with_failure_lifetime(Duration::ZERO);
    let share = share_of_the_failing(4, 20, Reporting::Asked(1.0), without);
    assert!(share > 0.7, "{share}");
    let with = share_of_the_failing(4, 20, Reporting::Asked(1.0), |it| it);
    assert!(with < 0.05, "{with}");
}

const DAY: Duration = Duration::from_secs(86_400);

/// Four members of one balancer, on a clock that starts a second after its origin.
struct Farm {
    balancer: Balancer<()>,
    reports: PrequalReports,
    clock: ManualClock,
}

impl Farm {
    fn new() -> Self {
        let (reports, clock) = (PrequalReports::new(), ManualClock::new());
        clock.advance(Duration::from_secs(1));
        let balancer = Balancer::builder()
            .scheduler(Prequal::new(&reports))
            .clock(clock.clone())
            .seed(3)
            .members((0..4).map(|index| (format!("m{index}"), (), MemberSpec::new())))
            .build()
            .unwrap();
        Self {
            balancer,
            reports,
            clock,
        }
    }

    /// Reports the requests in flight of all members.
    fn report_all(&self) {
        for member in self.balancer.members() {
            let in_flight = member.in_flight();
            let latency = Duration::from_millis(1);
            let report = ProbeReport { in_flight, latency };
            self.reports.report(member.id(), report, self.clock.now());
        }
    }

    /// Returns how many of 400 requests the first member gets; all end at once.
    fn share_of_the_first(&self) -> u64 {
        let picked = || self.balancer.member("m0").unwrap().picked();
        let before = picked();
        for _ in 0..400 {
            self.report_all();
            let lease = self.balancer.pick(&PickRequest::new()).unwrap();
            lease.finish(Outcome::Success);
        }
        picked() - before
    }

    fn fail_by_sessions(&self, failures: usize) {
        let session = PickRequest::new().with_session_member(Some("m0"));
        for _ in 0..failures {
            let lease = self.balancer.pick(&session).unwrap();
            lease.finish(Outcome::Failure);
        }
    }
}

#[test]
fn a_failure_is_forgotten_for_good() {
    let farm = Farm::new();
    farm.fail_by_sessions(3);
    assert_eq!(farm.share_of_the_first(), 0, "just after the failures");
    // After 24.9 days, a time in 32 bits of milliseconds has covered half of its circle.
    for days in [1, 24, 10, 30] {
        farm.clock.advance(DAY * days);
        let share = farm.share_of_the_first();
        assert!((70..130).contains(&share), "{share} of 400, {days} days on");
    }
}

#[test]
fn failures_of_sessions_are_forgotten_though_no_pick_follows() {
    let farm = Farm::new();
    farm.fail_by_sessions(100);
    farm.clock.advance(Duration::from_secs(600));
    let share = farm.share_of_the_first();
    assert!((70..130).contains(&share), "{share} of 400");
}

#[test]
fn a_response_with_an_error_status_is_a_failure_whatever_the_outcome() {
    for status in [429, 500, 503] {
        let farm = Farm::new();
        let mut running: VecDeque<(u64, Lease<()>)> = VecDeque::new();
        let mut refused = 0;
        for now in 0..2_000 {
            farm.clock.advance(Duration::from_millis(1));
            while running.front().is_some_and(|(end, _)| *end <= now) {
                let (_, mut lease) = running.pop_front().unwrap();
                lease.record_head(Some(200));
                lease.finish(Outcome::Success);
            }
            farm.report_all();
            let mut lease = farm.balancer.pick(&PickRequest::new()).unwrap();
            if lease.member().name() == "m0" {
                refused += 1;
                lease.record_head(Some(status));
                lease.finish(Outcome::Success);
            } else {
                running.push_back((now + 20, lease));
            }
        }
        assert!(refused <= 500, "status {status}: {refused} of 2000");
    }
}
