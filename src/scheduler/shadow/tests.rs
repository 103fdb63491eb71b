//! A shadow on a balancer: what is compared, and that it changes nothing.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use super::Shadow;
use crate::balancer::{Balancer, PickRequest};
use crate::clock::{Clock, ManualClock};
use crate::member::{Ended, MemberId, MemberSpec, MemberState, Outcome, Weight};
use crate::random::Random;
use crate::scheduler::{
    ByBusyness, ByRequests, ByTraffic, Candidates, GroupChange, Maglev, Needs, Pick, PickContext,
    Plan, PlanMembers, Prequal, PrequalReports, ProbeReport, Scheduler,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn balancer(members: usize, scheduler: impl Scheduler) -> Balancer<()> {
    Balancer::builder()
        .scheduler(scheduler)
        .clock(ManualClock::new())
        .seed(7)
        .members((0..members).map(|index| (format!("m{index}"), (), MemberSpec::new())))
        .build()
        .unwrap()
}

fn name_of_pick(balancer: &Balancer<()>, request: &PickRequest<'_>) -> String {
    let lease = balancer.pick(request).unwrap();
    lease.member().name().to_owned()
}

/// Draws one member and the random numbers that it was given, without a plan.
#[derive(Debug, Default)]
struct Draws(Arc<Mutex<Vec<u64>>>);

impl Draws {
    fn draw<'c>(&self, candidates: &Candidates<'c>, random: &Random) -> Option<MemberId> {
        let number = random.next_u64();
        self.0.lock().unwrap().push(number);
        let index = usize::try_from(number % candidates.len() as u64).unwrap();
        Some(candidates.at(index)?.id())
    }
}

impl Scheduler for Draws {
    fn name(&self) -> &'static str {
        "draws"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let drawn = self.draw(candidates, context.random());
        match drawn.map(|member| candidates.claim(member)) {
            Some(Ok(claim)) => Pick::Claimed(claim),
            _ => candidates.claim_first(candidates.iter()),
        }
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        self.draw(candidates, context.random())
    }
}

#[test]
fn a_scheduler_agrees_with_itself() {
    let shadow = Shadow::new(ByRequests::new(), ByRequests::new());
    let report = shadow.report();
    let balancer = balancer(3, shadow);
    balancer
        .update("m1", |spec| spec.with_weight(Weight::new(3).unwrap()))
        .unwrap();
    for _ in 0..200 {
        drop(balancer.pick(&PickRequest::new()).unwrap());
    }
    // Sessions reach both.
    let session = PickRequest::new().with_session_member(Some("m2"));
    for _ in 0..10 {
        drop(balancer.pick(&session).unwrap());
        drop(balancer.pick(&PickRequest::new()).unwrap());
    }
    let summary = report.summary();
    assert_eq!(
        (summary.compared, summary.unknown),
        (210, 0),
        "sessions are not compared"
    );
    assert_eq!(summary.agreement(), Some(1.0));
    assert_eq!(
        (summary.regret, summary.busier, summary.less_busy),
        (0.0, 0, 0)
    );
}

#[test]
fn regret_is_the_difference_of_the_loads_at_the_picks() {
    let shadow = Shadow::new(ByRequests::new(), ByBusyness::weighted());
    let report = shadow.report();
    let balancer = balancer(2, shadow);
    let pick = || balancer.pick(&PickRequest::new()).unwrap();
    let leases = [pick(), pick(), pick()];
    // m0 has two, m1 one; the next turn is that of m1, and so on.
    assert_eq!(report.summary().regret, 0.0);
    drop(leases);
    let long = pick();
    assert_eq!(long.member().name(), "m1");
    drop(pick());
    drop(pick());
    let summary = report.summary();
    assert_eq!((summary.compared, summary.agreed), (6, 5));
    assert_eq!((summary.busier, summary.less_busy), (1, 0));
    assert_eq!(
        (summary.regret, summary.mean_regret()),
        (1.0, Some(1.0 / 6.0))
    );
    let [m0, m1] = summary.members.as_slice() else {
        panic!("two members")
    };
    assert_eq!((m0.picked, m0.chosen, m0.agreed), (3, 4, 3));
    assert_eq!((m1.picked, m1.chosen, m1.agreed), (3, 2, 2));
    drop(long);
}

#[test]
fn loads_are_divided_by_weights() {
    let shadow = Shadow::new(First, ByBusyness::weighted());
    let report = shadow.report();
    let balancer = Balancer::builder()
        .scheduler(shadow)
        .member("small", (), MemberSpec::new())
        .member(
            "large",
            (),
            MemberSpec::new().with_weight(Weight::new(4).unwrap()),
        )
        .build()
        .unwrap();
    let one = balancer.pick(&PickRequest::new()).unwrap();
    let before = report.summary().regret;
    let two = balancer.pick(&PickRequest::new()).unwrap();
    // Two requests on weight 1, and the one that would be on weight 4.
    assert!(
        (report.summary().regret - before - 1.75).abs() < 1e-5,
        "{report}"
    );
    drop((one, two));
}

/// Picks the first candidate.
#[derive(Debug)]
struct First;

impl Scheduler for First {
    fn name(&self) -> &'static str {
        "first"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }
}

#[test]
fn a_shadow_that_names_no_member_is_not_compared() {
    let shadow = Shadow::new(ByRequests::new(), First);
    let report = shadow.report();
    let balancer = balancer(2, shadow);
    drop(balancer.pick(&PickRequest::new()).unwrap());
    let summary = report.summary();
    assert_eq!(
        (summary.compared, summary.unknown, summary.agreement()),
        (0, 1, None)
    );
}

#[test]
fn the_active_scheduler_picks_as_without_a_shadow() {
    let alone = Draws::default();
    let (numbers, shadowed, shadows) = (alone.0.clone(), Draws::default(), Draws::default());
    let (with, of_shadow) = (shadowed.0.clone(), shadows.0.clone());
    let alone = balancer(9, alone);
    let both = balancer(9, Shadow::new(shadowed, shadows));
    for _ in 0..100 {
        let request = PickRequest::new();
        assert_eq!(
            name_of_pick(&alone, &request),
            name_of_pick(&both, &request)
        );
    }
    assert_eq!(*numbers.lock().unwrap(), *with.lock().unwrap());
    let of_shadow = of_shadow.lock().unwrap();
    assert!(
        of_shadow
            .iter()
            .all(|it| !numbers.lock().unwrap().contains(it))
    );
}

#[test]
fn a_shadow_draws_new_numbers_at_each_pick_and_the_same_for_one_seed() {
    let drawn = [(); 2].map(|()| {
        let draws = Draws::default();
        let numbers = draws.0.clone();
        // The active scheduler draws nothing.
        let balancer = balancer(5, Shadow::new(ByRequests::new(), draws));
        for _ in 0..50 {
            drop(balancer.pick(&PickRequest::new()).unwrap());
        }
        numbers.lock().unwrap().clone()
    });
    assert_eq!(drawn[0], drawn[1]);
    let mut once = drawn[0].clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), 50);
}

#[test]
fn each_scheduler_has_its_own_plan() {
    let shadow = Shadow::new(Maglev::new(), Planned);
    let (report, balancer) = (shadow.report(), balancer(20, shadow));
    let alone = self::balancer(20, Maglev::new());
    for key in 0..100 {
        let request = PickRequest::new().with_hash(key);
        assert_eq!(
            name_of_pick(&balancer, &request),
            name_of_pick(&alone, &request)
        );
        // After an explanation, too.
        let picked = balancer
            .explain(&request)
            .picked()
            .map(|it| it.name.to_string());
        assert_eq!(picked, Some(name_of_pick(&alone, &request)));
    }
    let summary = report.summary();
    assert_eq!((summary.compared, summary.unknown), (100, 0), "{summary}");
    assert_eq!(summary.members[3].chosen, 100);
}

/// Picks the fourth member by a plan.
#[derive(Debug)]
struct Planned;

impl Scheduler for Planned {
    fn name(&self) -> &'static str {
        "planned"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        candidates.plan::<MemberId>().copied()
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        members.iter().nth(3).map(|one| Plan::new(one.id()))
    }

    fn needs(&self) -> Needs {
        Needs::PLAN | Needs::WAKE_ON_END
    }
}

#[test]
fn a_shadow_needs_no_waking_of_waiting_requests() {
    let shadow = Shadow::new(ByRequests::new(), Planned);
    assert_eq!(shadow.needs(), Needs::PLAN);
    let shadow = Shadow::new(Planned, Prequal::new(&PrequalReports::new()));
    let all = Needs::PLAN | Needs::WAKE_ON_END | Needs::CLOCK | Needs::ENDED;
    assert_eq!(shadow.needs(), all);
}

/// Panics in one of its methods.
#[derive(Debug)]
struct Panics(&'static str);

impl Panics {
    fn at(&self, method: &str) {
        assert_ne!(self.0, method, "on purpose");
    }
}

impl Scheduler for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        self.at("peek");
        candidates.iter().next().map(|one| one.id())
    }

    fn on_session_pick(&self, _: &Candidates<'_>, _: &MemberState) {
        self.at("on_session_pick");
    }

    fn on_ended(&self, _: &MemberState, _: &Ended) {
        self.at("on_ended");
    }

    fn on_group_change(&self, _: &GroupChange<'_>) {
        self.at("on_group_change");
    }

    fn plan(&self, _: &PlanMembers<'_>) -> Option<Plan> {
        self.at("plan");
        None
    }

    fn reset(&self) {
        self.at("reset");
    }

    fn needs(&self) -> Needs {
        Needs::PLAN | Needs::ENDED
    }
}

#[test]
fn a_panic_of_the_shadow_ends_the_comparison_and_nothing_else() {
    for method in [
        "peek",
        "on_session_pick",
        "on_ended",
        "on_group_change",
        "plan",
        "reset",
    ] {
        let shadow = Shadow::new(ByRequests::new(), Panics(method));
        let report = shadow.report();
        let balancer = balancer(2, shadow);
        let request = PickRequest::new();
        balancer.reset_standings();
        let names = [(); 4].map(|()| name_of_pick(&balancer, &request));
        assert_eq!(names, ["m0", "m1", "m0", "m1"], "{method}");
        assert!(balancer.members().iter().all(|it| it.in_flight() == 0));
        let summary = report.summary();
        assert!(summary.has_panicked, "{method}");
        assert!(report.to_string().contains("has panicked"), "{method}");
        let text = balancer.explain(&request).to_string();
        assert!(text.contains("the shadow panics has panicked"), "{text}");
    }
}

#[test]
fn an_explanation_shows_both() {
    let balancer = balancer(2, Shadow::new(ByRequests::new(), Compares));
    let text = balancer.explain(&PickRequest::new()).to_string();
    for part in [
        "shadow picks m0",
        "the shadow compares picks m1",
        "the shadow draws m0, m1",
        "the shadow compares digits: m0 3, m1 1.5",
        "of the shadow: a remark",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Compares fixed scores.
#[derive(Debug)]
struct Compares;

impl Scheduler for Compares {
    fn name(&self) -> &'static str {
        "compares"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, _: &PickContext<'_>) -> Pick<'c> {
        candidates.claim_first(candidates.iter())
    }

    fn peek(&self, candidates: &Candidates<'_>, _: &PickContext<'_>) -> Option<MemberId> {
        candidates.iter().nth(1).map(|one| one.id())
    }

    fn explain(
        &self,
        candidates: &Candidates<'_>,
        _: &PickContext<'_>,
    ) -> crate::scheduler::PickDetails {
        let ids: Vec<_> = candidates.iter().map(|one| one.id()).collect();
        crate::scheduler::PickDetails::comparing("digits")
            .sample(ids[0])
            .sample(ids[1])
            .score(ids[0], 3.0)
            .score(ids[1], 1.5)
            .note("a remark")
    }
}

#[test]
fn the_counts_of_a_slot_are_those_of_its_present_member() {
    let shadow = Shadow::new(ByRequests::new(), ByTraffic::new());
    let report = shadow.report();
    let balancer = balancer(2, shadow);
    for _ in 0..10 {
        drop(balancer.pick(&PickRequest::new()).unwrap());
    }
    balancer.remove("m0").unwrap();
    let names = |report: &super::ShadowReport| -> Vec<String> {
        let members = report.summary().members.into_iter();
        members.map(|it| it.name.to_string()).collect()
    };
    assert_eq!(names(&report), ["m0", "m1"], "what was counted stays");
    balancer.insert("x", (), MemberSpec::new()).unwrap();
    assert_eq!(names(&report), ["x", "m1"]);
    assert_eq!(report.summary().members[0].picked, 0);
    report.reset();
    let summary = report.summary();
    assert_eq!((summary.compared, summary.members[1].picked), (0, 0));
}

#[test]
fn the_state_of_a_shadow_follows_the_picks_that_happened() {
    let (reports, clock) = (PrequalReports::new(), ManualClock::new());
    let shadow = Shadow::new(ByRequests::new(), Prequal::new(&reports));
    let balancer = Balancer::builder()
        .scheduler(shadow)
        .clock(clock.clone())
        .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
        .build()
        .unwrap();
    for (name, in_flight) in [("a", 0), ("b", 2)] {
        let latency = Duration::ZERO;
        let report = ProbeReport { in_flight, latency };
        assert!(reports.report(name, report, clock.now()));
    }
    let shadow_picks = || {
        let text = balancer.explain(&PickRequest::new()).to_string();
        let found = text.split("the shadow prequal picks ").nth(1);
        found.and_then(|it| it.lines().next()).unwrap().to_owned()
    };
    assert_eq!(shadow_picks(), "a");
    let session = PickRequest::new().with_session_member(Some("a"));
    for _ in 0..4 {
        balancer.pick(&session).unwrap().finish(Outcome::Success);
    }
    assert_eq!(shadow_picks(), "b", "a has four more requests");
}
