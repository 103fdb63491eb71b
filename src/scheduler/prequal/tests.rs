//! Each rule of Prequal, on a balancer.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::time::Duration;

use super::{Prequal, PrequalReports, ProbeReport};
use crate::balancer::{Balancer, PickError, PickRequest};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::member::{MemberSpec, Outcome, Weight};
use crate::random::Random;

/// A balancer with its clock and reports; its members are `m0`, `m1` and so on.
struct World {
    balancer: Balancer<()>,
    reports: PrequalReports,
    clock: ManualClock,
}

impl World {
    fn new(members: usize, set: impl FnOnce(Prequal) -> Prequal) -> Self {
        Self::of(vec![MemberSpec::new(); members], set)
    }

    fn of(specs: Vec<MemberSpec>, set: impl FnOnce(Prequal) -> Prequal) -> Self {
        let (reports, clock) = (PrequalReports::new(), ManualClock::new());
        let members = specs.into_iter().enumerate();
        let balancer = Balancer::builder()
            .scheduler(set(Prequal::new(&reports).with_exploration(0.0)))
            .clock(clock.clone())
            .seed(7)
            .members(members.map(|(index, spec)| (format!("m{index}"), (), spec)))
            .build()
            .unwrap();
        Self {
            balancer,
            reports,
            clock,
        }
    }

    /// Reports requests in flight and milliseconds of latency.
    fn report(&self, name: &str, in_flight: u32, millis: u64) {
        let latency = Duration::from_millis(millis);
        let report = ProbeReport { in_flight, latency };
        assert!(self.reports.report(name, report, self.clock.now()));
    }

    fn report_all(&self, all: &[(&str, u32, u64)]) {
        for &(name, in_flight, millis) in all {
            self.report(name, in_flight, millis);
        }
    }

    /// Picks a member, whose request ends at once.
    fn pick(&self) -> String {
        let lease = self.balancer.pick(&PickRequest::new()).unwrap();
        lease.member().name().to_owned()
    }

    fn uses_reports(&self) -> bool {
        let explanation = self.balancer.explain(&PickRequest::new());
        explanation.details().samples.is_empty()
    }

    fn reported(&self) -> Vec<String> {
        let members = self.balancer.members().into_iter();
        let names = members.map(|member| member.name().to_owned());
        let has_report = |name: &String| self.balancer.standing(name).is_some();
        names.filter(has_report).collect()
    }
}

#[test]
fn with_quantile_0_the_fewest_requests_in_flight_win_whatever_the_latency() {
    let world = World::new(3, |it| it);
    world.report_all(&[("m0", 4, 1), ("m1", 3, 900), ("m2", 9, 0)]);
    assert_eq!(world.pick(), "m1");
}

#[test]
fn of_cold_reports_the_least_latency_wins() {
    let world = World::new(4, |it| it.with_quantile(0.5));
    world.report_all(&[("m0", 4, 30), ("m1", 3, 40), ("m2", 90, 1), ("m3", 80, 2)]);
    // The quantile of 3, 4, 80 and 90 is 4: two are cold.
    assert_eq!(world.pick(), "m0");
}

#[test]
fn if_all_reports_are_hot_the_fewest_requests_in_flight_win() {
    let world = World::new(4, |it| it.with_quantile(0.1));
    world.report_all(&[("m0", 1, 90), ("m1", 7, 40), ("m2", 6, 90)]);
    // The only cold one leaves the pool by a report that is hot.
    world.report("m0", 8, 1);
    let explanation = world.balancer.explain(&PickRequest::new());
    assert!(explanation.details().notes.is_empty(), "{explanation}");
    assert_eq!(world.pick(), "m2");
}

#[test]
fn with_quantile_1_only_latencies_count() {
    let world = World::new(3, |it| it.with_quantile(1.0));
    world.report_all(&[("m0", 4, 5), ("m1", 3, 9), ("m2", 900, 1)]);
    assert_eq!(world.pick(), "m2");
}

#[test]
fn loads_are_compared_for_each_unit_of_weight() {
    let heavy = MemberSpec::new().with_weight(Weight::new(3).unwrap());
    let world = World::of(vec![heavy, MemberSpec::new()], |it| it);
    world.report_all(&[("m0", 5, 1), ("m1", 2, 1)]);
    // 6/3 and 3/1, then 7/3, 8/3; then 9/3 equals 3/1.
    assert_eq!([(); 3].map(|()| world.pick()), ["m0", "m0", "m0"]);
    world.report_all(&[("m0", 9, 1), ("m1", 2, 1)]);
    assert_eq!(world.pick(), "m1");
}

#[test]
fn a_report_counts_for_one_second() {
    let world = World::new(3, |it| it);
    world.report_all(&[("m0", 0, 1), ("m1", 1, 1)]);
    world.clock.advance(Duration::from_millis(999));
    assert!(world.uses_reports());
    world.clock.advance(Duration::from_millis(1));
    assert!(!world.uses_reports());
    let world = World::new(3, |it| it.with_max_age(Duration::from_millis(20)));
    world.report_all(&[("m0", 0, 1), ("m1", 1, 1)]);
    world.clock.advance(Duration::from_millis(20));
    assert!(!world.uses_reports());
}

#[test]
fn a_pick_counts_one_request_in_the_report_that_it_uses() {
    let world = World::new(2, |it| it);
    world.report_all(&[("m0", 0, 1), ("m1", 2, 1)]);
    assert_eq!([world.pick(), world.pick()], ["m0", "m0"]);
    assert_eq!(world.balancer.standing("m0"), Some(2));
    assert_eq!(world.balancer.standing("m1"), Some(2));
}

#[test]
fn a_session_counts_in_the_report_of_its_member() {
    let world = World::new(2, |it| it);
    world.report_all(&[("m0", 0, 1), ("m1", 2, 1)]);
    let session = PickRequest::new().with_session_member(Some("m1"));
    drop(world.balancer.pick(&session).unwrap());
    assert_eq!(world.balancer.standing("m1"), Some(3));
}

#[test]
fn uses_are_rounded_at_random_so_that_the_mean_is_right() {
    let world = World::new(100, |it| it.with_removals_per_pick(1.0));
    let mut twice = 0;
    for _ in 0..2_000 {
        world.report_all(&[("m0", 0, 1), ("m1", 9, 1), ("m2", 9, 1), ("m3", 9, 1)]);
        assert_eq!(world.pick(), "m0");
        twice += u32::from(world.balancer.standing("m0").is_some());
        world.balancer.reset_standings();
    }
    // A removal of the oldest report takes half of those that are used once more.
    let expected = (2.0 / 1.52 - 1.0) * 2_000.0 / 2.0;
    assert!(
        (f64::from(twice) - expected).abs() < 80.0,
        "{twice} of {expected}"
    );
}

#[test]
fn after_its_uses_a_report_is_removed() {
    let world = World::new(100, |it| it.with_removals_per_pick(0.0));
    world.report_all(&[("m0", 0, 1), ("m1", 5, 1), ("m2", 9, 1)]);
    assert_eq!([world.pick(), world.pick()], ["m0", "m1"]);
    assert_eq!(world.reported(), ["m2"]);
}

#[test]
fn each_pick_removes_in_turn_the_oldest_and_the_worst_report() {
    // The pool does not grow, so uses have no limit.
    let world = World::new(20, |it| it.with_probes_per_pick(1.0));
    let reports = [
        ("m0", 5, 1),
        ("m1", 9, 1),
        ("m2", 0, 1),
        ("m3", 6, 1),
        ("m4", 7, 1),
    ];
    for report in reports {
        world.report_all(&[report]);
        world.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(world.pick(), "m2");
    assert_eq!(world.reported(), ["m1", "m2", "m3", "m4"], "the oldest");
    assert_eq!(world.pick(), "m2");
    assert_eq!(world.reported(), ["m2", "m3", "m4"], "the worst");
    assert_eq!(world.pick(), "m2");
    assert_eq!(world.reported(), ["m3", "m4"], "the oldest");
    assert_eq!(world.pick(), "m3");
    assert_eq!(world.reported(), ["m3", "m4"], "two stay");
}

#[test]
fn the_worst_of_cold_reports_is_that_with_the_highest_latency() {
    let world = World::new(20, |it| {
        it.with_probes_per_pick(0.5)
            .with_removals_per_pick(0.5)
            .with_quantile(1.0)
    });
    world.report_all(&[("m0", 9, 4), ("m1", 1, 9), ("m2", 0, 1), ("m3", 3, 3)]);
    assert_eq!([(); 2].map(|()| world.pick()), ["m2", "m2"]);
    assert_eq!(world.reported(), ["m1", "m2", "m3"], "after two picks");
    assert_eq!([(); 2].map(|()| world.pick()), ["m2", "m2"]);
    assert_eq!(world.reported(), ["m2", "m3"]);
}

#[test]
fn up_to_16_members_reports_are_removed_by_age_only() {
    let world = World::new(16, |it| it);
    world.report_all(&[("m0", 0, 1), ("m1", 100, 1), ("m2", 100, 1)]);
    for _ in 0..50 {
        assert_eq!(world.pick(), "m0");
    }
    assert_eq!(world.reported().len(), 3);
}

#[test]
fn with_fewer_than_two_reports_the_less_busy_of_two_drawn_members_is_picked() {
    let world = World::new(2, |it| it);
    world.report("m0", 0, 1);
    let mut leases = Vec::new();
    for _ in 0..10 {
        leases.push(world.balancer.pick(&PickRequest::new()).unwrap());
    }
    let in_flight = |name| world.balancer.member(name).unwrap().in_flight();
    assert_eq!((in_flight("m0"), in_flight("m1")), (5, 5));
    assert_eq!(
        world.balancer.standing("m0"),
        Some(5),
        "its report counts picks"
    );
}

#[test]
fn the_drawn_members_are_compared_by_weight() {
    let heavy = MemberSpec::new().with_weight(Weight::new(4).unwrap());
    let world = World::of(vec![heavy, MemberSpec::new()], |it| it);
    let leases: Vec<_> = (0..50)
        .map(|_| world.balancer.pick(&PickRequest::new()).unwrap())
        .collect();
    assert_eq!(world.balancer.member("m0").unwrap().in_flight(), 40);
    drop(leases);
}

#[test]
fn a_share_of_the_picks_does_not_use_reports() {
    let world = World::new(20, |it| it.with_exploration(0.25));
    let mut best = 0;
    for _ in 0..2_000 {
        world.report_all(&[("m0", 0, 1), ("m1", 9, 1)]);
        best += u32::from(world.pick() == "m0");
    }
    // Three quarters, and its share of the others.
    assert!((1_450..1_600).contains(&best), "{best}");
}

#[test]
fn full_and_tried_members_are_left_out() {
    let capped = MemberSpec::new().with_max_in_flight(1);
    let specs = vec![capped.clone(), capped.clone(), capped];
    let world = World::of(specs, |it| it);
    world.report_all(&[("m0", 0, 1), ("m1", 1, 1), ("m2", 2, 1)]);
    let request = PickRequest::new();
    let first = world.balancer.pick(&request).unwrap();
    assert_eq!(first.member().name(), "m0");
    let second = world.balancer.pick(&request).unwrap();
    assert_eq!(second.member().name(), "m1");
    let tried = [world.balancer.member("m2").unwrap().id()];
    let after_m2 = PickRequest::new().with_tried(&tried);
    let full = world.balancer.pick(&after_m2).unwrap_err();
    assert_eq!(full, PickError::AtCapacity);
    let third = world.balancer.pick(&request).unwrap();
    assert_eq!(third.member().name(), "m2");
    assert_eq!(
        world.balancer.pick(&request).unwrap_err(),
        PickError::AtCapacity
    );
    drop((first, second, third));
}

#[test]
fn requests_that_have_tried_the_best_member_are_shared_among_the_others() {
    let world = World::new(10, |it| it);
    let tried = [world.balancer.member("m0").unwrap().id()];
    let request = PickRequest::new().with_tried(&tried);
    for _ in 0..900 {
        drop(world.balancer.pick(&request).unwrap());
    }
    for member in world.balancer.members().iter().skip(1) {
        assert!((50..150).contains(&member.picked()), "{member:?}");
    }
}

#[test]
fn members_that_left_or_never_were_have_no_report() {
    let world = World::new(3, |it| it);
    let report = ProbeReport {
        in_flight: 0,
        latency: Duration::ZERO,
    };
    assert!(!world.reports.report("x", report, Timestamp::ORIGIN));
    world.report_all(&[("m0", 0, 1), ("m1", 3, 1), ("m2", 4, 1)]);
    let former = world.balancer.member("m0").unwrap().id();
    world.balancer.remove("m0").unwrap();
    assert!(!world.reports.report("m0", report, Timestamp::ORIGIN));
    assert_eq!(world.pick(), "m1", "the report of m0 is not used");
    world.balancer.insert("m0", (), MemberSpec::new()).unwrap();
    assert!(!world.reports.report(former, report, Timestamp::ORIGIN));
    assert!(world.reports.report("m0", report, Timestamp::ORIGIN));
    assert_eq!(world.pick(), "m0");
}

#[test]
fn members_to_ask_are_spread_evenly_over_picks() {
    let world = World::new(100, |it| it.with_probes_per_pick(0.4));
    let random = Random::seeded(1);
    let asked: Vec<usize> = (0..10)
        .map(|_| {
            world.pick();
            world.reports.targets(16, &random).len()
        })
        .collect();
    assert_eq!(
        asked,
        [0, 0, 1, 0, 0, 1, 0, 1, 0, 0],
        "0.4 is a little less in 2^-16"
    );
}

#[test]
fn without_a_driver_at_most_64_members_are_due() {
    let world = World::new(100, |it| it);
    for _ in 0..1_000 {
        world.pick();
    }
    let random = Random::seeded(1);
    let targets = world.reports.targets(1_000, &random);
    assert_eq!(targets.len(), 64);
    assert_eq!(world.reports.due(), 0);
}

#[test]
fn members_to_ask_are_drawn_uniformly_and_each_once() {
    let world = World::new(7, |it| it);
    let random = Random::seeded(1);
    let mut counts = [0_u32; 7];
    for _ in 0..7_000 {
        world.pick();
        let targets = world.reports.targets(16, &random);
        let mut slots: Vec<_> = targets.iter().map(|it| it.id.slot()).collect();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), 3);
        for slot in slots {
            counts[slot] += 1;
        }
    }
    assert!(
        counts.iter().all(|count| (2_850..3_150).contains(count)),
        "{counts:?}"
    );
    for name in ["m0", "m1", "m2", "m3", "m4"] {
        world.balancer.remove(name).unwrap();
    }
    world.pick();
    assert_eq!(
        world.reports.targets(16, &random).len(),
        2,
        "all that there are"
    );
}

#[test]
fn a_failed_request_counts_as_in_flight_for_a_time() {
    let world = World::new(2, |it| it.with_failure_lifetime(Duration::from_secs(3)));
    let fail = || {
        world.report_all(&[("m0", 0, 1), ("m1", 2, 1)]);
        let lease = world.balancer.pick(&PickRequest::new()).unwrap();
        let name = lease.member().name().to_owned();
        let outcome = if name == "m0" {
            Outcome::Failure
        } else {
            Outcome::Success
        };
        lease.finish(outcome);
        name
    };
    // With its failures it has 1, 2 and then 3 requests, as m1 has.
    let mut failed = 0;
    for _ in 0..30 {
        failed += u32::from(fail() == "m0");
    }
    assert_eq!(failed, 3);
    for _ in 0..20 {
        assert_eq!(fail(), "m1");
    }
    // It halves in two seconds.
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(fail(), "m0");
    world.balancer.reset_standings();
    assert_eq!(fail(), "m0", "all is forgotten");
}

#[test]
fn a_member_that_has_failed_lately_is_hot() {
    let world = World::new(2, |it| it.with_quantile(1.0));
    world.report_all(&[("m0", 0, 1), ("m1", 2, 500)]);
    let lease = world.balancer.pick(&PickRequest::new()).unwrap();
    assert_eq!(lease.member().name(), "m0");
    lease.finish(Outcome::Failure);
    world.report_all(&[("m0", 0, 1), ("m1", 2, 500)]);
    assert_eq!(world.pick(), "m1");
}

#[test]
fn cancelled_requests_are_no_failures() {
    let world = World::new(2, |it| it);
    for _ in 0..9 {
        world.report_all(&[("m0", 0, 1), ("m1", 2, 1)]);
        let lease = world.balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "m0");
        lease.finish(Outcome::Cancelled);
    }
}

#[test]
fn picks_follow_from_the_seed_and_an_explanation_names_the_next() {
    let worlds = [(); 2].map(|()| World::new(40, |it| it.with_quantile(0.5).with_exploration(0.3)));
    let mut picks: [Vec<String>; 2] = [(); 2].map(|()| Vec::new());
    for (world, picks) in worlds.iter().zip(&mut picks) {
        let random = Random::seeded(3);
        for round in 0..400 {
            let explanation = world.balancer.explain(&PickRequest::new());
            let named = explanation.picked().unwrap().name.to_string();
            picks.push(world.pick());
            assert_eq!(picks.last(), Some(&named), "round {round}");
            for target in world.reports.targets(3, &random) {
                let in_flight = u32::try_from(random.below(5)).unwrap();
                world.report(&target.name, in_flight, random.below(9));
            }
            world
                .clock
                .advance(Duration::from_millis(random.below(300)));
        }
    }
    assert_eq!(picks[0], picks[1]);
}

#[test]
fn an_explanation_shows_what_is_compared() {
    let world = World::new(3, |it| it.with_quantile(0.5));
    world.report_all(&[("m0", 4, 30), ("m1", 3, 40), ("m2", 90, 1)]);
    let request = PickRequest::new().with_hash(7);
    let text = world.balancer.explain(&request).to_string();
    for part in [
        "prequal picks m0",
        "m0 5, m1 4, m2 91",
        "m0 is cold, with a latency of 30ms",
        "m1 is cold, with a latency of 40ms",
        "of the cold members, that with the least latency is picked",
        "ignores the request's hash key",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = World::new(3, |it| it)
        .balancer
        .explain(&request)
        .to_string();
    for part in ["drawn: m", "two members are drawn"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_slot_that_is_used_again_has_the_state_of_its_new_member() {
    let world = World::new(2, |it| it);
    world.report_all(&[("m0", 0, 1), ("m1", 2, 1)]);
    for _ in 0..5 {
        let lease = world.balancer.pick(&PickRequest::new()).unwrap();
        lease.finish(Outcome::Failure);
    }
    world.balancer.remove("m0").unwrap();
    world.balancer.insert("x", (), MemberSpec::new()).unwrap();
    world.report_all(&[("x", 0, 1), ("m1", 2, 1)]);
    let scores = world.balancer.explain(&PickRequest::new());
    let scores: Vec<f64> = scores.details().scores.iter().map(|it| it.score).collect();
    assert!(scores.contains(&1.0), "{scores:?}: x has no failures");
}
