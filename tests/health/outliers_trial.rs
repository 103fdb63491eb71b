//! What a member is given after an ejection: one request at a time, until one has succeeded.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use equipoise::balancer::events::{Event, EventKind};
use equipoise::clock::ManualClock;
use equipoise::health::{OutlierDetector, OutlierDetectorBuilder};
use equipoise::member::{LimitOwner, MAX_IN_FLIGHT, MemberKey, Ramp};
use equipoise::{Balancer, Flag, Lease, MemberSpec, Outcome, PickRequest};

const SECOND: Duration = Duration::from_secs(1);

struct Group {
    balancer: Balancer<()>,
    clock: ManualClock,
    detector: Option<OutlierDetector>,
}

impl Group {
    fn new() -> Self {
        Self::with(OutlierDetector::builder())
    }

    fn with(detector: OutlierDetectorBuilder) -> Self {
        let clock = ManualClock::new();
        let balancer = Balancer::builder()
            .clock(clock.clone())
            .ramp(Ramp::over(SECOND * 4))
            .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
            .build()
            .unwrap();
        let detector = Some(detector.watch(&balancer));
        Self {
            balancer,
            clock,
            detector,
        }
    }

    /// Elects "a", or returns `None` if it is not among the next requests.
    fn elect(&self) -> Option<Lease<()>> {
        let mut leases = (0..100).map(|_| self.balancer.pick(&PickRequest::new()).unwrap());
        leases.find(|lease| lease.member().name() == "a")
    }

    fn end(&self, status: u16) {
        let mut lease = self.elect().unwrap();
        lease.record_head(Some(status));
        lease.finish(Outcome::Success);
    }

    fn eject(&self) {
        for _ in 0..5 {
            self.end(500);
        }
        assert!(self.is_ejected());
    }

    fn is_ejected(&self) -> bool {
        let member = self.balancer.member("a").unwrap();
        member.status().contains(Flag::Ejected)
    }

    fn cap(&self) -> u32 {
        self.balancer.member("a").unwrap().max_in_flight()
    }

    /// How long the ejection that holds lasts, in seconds.
    fn lasts(&self) -> u64 {
        let health = self.balancer.member("a").unwrap().health();
        let outage = health.outage(Flag::Ejected).unwrap();
        outage.until.unwrap().since(outage.since).as_secs()
    }
}

#[test]
fn one_request_at_a_time_is_tried_until_one_has_succeeded() {
    let group = Group::new();
    group.eject();
    group.clock.advance(SECOND * 30);
    let first = group.elect().unwrap();
    assert!(group.elect().is_none(), "one is under way");
    drop(first);
    let mut second = group.elect().unwrap();
    assert!(
        group.elect().is_none(),
        "the first was cancelled, which decides nothing"
    );
    second.record_head(Some(200));
    // Its body is still to come.
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    assert!(group.elect().is_some());
    // It ramps up since its ejection is over.
    let explained = group.balancer.explain(&PickRequest::new());
    let weights = explained
        .members()
        .iter()
        .map(|it| it.effective_weight.to_string());
    let weights: Vec<_> = weights.collect();
    assert!(
        weights[0] != weights[1] && weights[1] == weights[2],
        "{weights:?}"
    );
}

#[test]
fn a_request_that_fails_ejects_for_twice_as_long() {
    let group = Group::new();
    group.eject();
    let mut lasted = vec![group.lasts()];
    for _ in 0..4 {
        group.clock.advance(SECOND * 300);
        group.end(503);
        lasted.push(group.lasts());
    }
    assert_eq!(lasted, [30, 60, 120, 240, 300]);
    group.clock.advance(SECOND * 300);
    group.end(200);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
}

#[test]
fn requests_from_before_the_ejection_decide_nothing_afterwards() {
    for (is_good, outcome) in [(true, Outcome::Success), (false, Outcome::Failure)] {
        let group = Group::new();
        let old: Vec<_> = (0..20).map(|_| group.elect().unwrap()).collect();
        group.eject();
        group.clock.advance(SECOND * 30);
        let tried = group.elect().unwrap();
        assert!(group.elect().is_none(), "one is tried beside the old ones");
        for mut lease in old {
            if is_good {
                lease.record_head(Some(200));
            }
            lease.finish(outcome);
        }
        assert!(!group.is_ejected());
        assert_eq!(group.cap(), 1);
        drop(tried);
        group.end(200);
        assert_eq!(group.cap(), MAX_IN_FLIGHT);
    }
}

#[test]
fn requests_from_before_an_ejection_that_a_check_ends_eject_no_more() {
    let group = Group::new();
    let old: Vec<_> = (0..20).map(|_| group.elect().unwrap()).collect();
    group.eject();
    group.balancer.set_flag("a", Flag::FailedCheck).unwrap();
    group.balancer.clear_flag("a", Flag::FailedCheck).unwrap();
    assert!(!group.is_ejected());
    for lease in old {
        lease.finish(Outcome::Failure);
        let cleared = group.balancer.clear_flag("a", Flag::InError);
        cleared.unwrap();
    }
    assert!(!group.is_ejected(), "they began before its checks passed");
    group.eject();
}

#[test]
fn requests_that_last_for_hours_do_not_keep_a_member_from_being_tried() {
    let group = Group::new();
    let mut sockets: Vec<_> = (0..5).map(|_| group.elect().unwrap()).collect();
    group.eject();
    assert_eq!(group.cap(), 6);
    // Some end while it is out, and others while it is tried.
    drop((sockets.pop(), sockets.pop()));
    assert_eq!(group.cap(), 4);
    group.clock.advance(SECOND * 30);
    let first = group.elect().unwrap();
    assert!(group.elect().is_none());
    drop(sockets.pop());
    assert_eq!(group.cap(), 3);
    assert!(group.elect().is_none(), "one is under way");
    drop(first);
    // It fails, and is tried again, beside two that are still there.
    group.end(503);
    assert!(group.is_ejected());
    assert_eq!((group.cap(), group.lasts()), (3, 60));
    group.clock.advance(SECOND * 60);
    group.end(200);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    drop(sockets);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
}

#[test]
fn the_smallest_of_all_limits_counts_and_the_end_of_a_trial_leaves_the_others() {
    let group = Group::new();
    let told = group.balancer.learned_limit("a").unwrap();
    let adaptive = told.clone().for_owner(LimitOwner::Adaptive);
    told.set(Some(100));
    adaptive.set(Some(7));
    group.eject();
    assert_eq!(group.cap(), 1);
    adaptive.set(Some(9));
    assert_eq!(group.cap(), 1);
    group.clock.advance(SECOND * 30);
    group.end(200);
    assert_eq!(group.cap(), 9);
    adaptive.set(None);
    assert_eq!(group.cap(), 100);
}

#[test]
fn an_active_check_that_passes_ends_ejection_and_trial() {
    let group = Group::new();
    let id = group.balancer.member("a").unwrap().id();
    let detector = group.detector.as_ref().unwrap();
    group.eject();
    detector.check_passed(id);
    assert!(!group.is_ejected());
    assert_eq!(group.cap(), MAX_IN_FLIGHT);

    group.eject();
    group.clock.advance(SECOND * 100);
    drop(group.elect().unwrap());
    assert_eq!(group.cap(), 1);
    detector.check_passed(id);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);

    group.eject();
    group.balancer.set_flag("a", Flag::FailedCheck).unwrap();
    assert!(group.is_ejected());
    group.balancer.clear_flag("a", Flag::FailedCheck).unwrap();
    assert!(!group.is_ejected(), "the check passes again");
}

fn passes(group: &Group) {
    let a = MemberKey::Name("a");
    group.balancer.apply_check_results([(a, None)]);
}

#[test]
fn checks_that_pass_end_an_ejection_and_a_request_tries_the_member() {
    let group = Group::new();
    group.eject();
    passes(&group);
    assert!(!group.is_ejected());
    assert_eq!(group.cap(), 1, "one at a time");
    passes(&group);
    assert_eq!(group.cap(), 1, "a check ends no trial");
    group.end(500);
    assert!(group.is_ejected());
    assert_eq!(group.lasts(), 60, "the trial has failed");
    passes(&group);
    group.end(200);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    passes(&group);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    assert!(!group.is_ejected());
}

#[test]
fn checks_that_pass_end_no_ejection_by_another() {
    let group = Group::new();
    group.balancer.eject("a", SECOND * 9, "by hand").unwrap();
    passes(&group);
    assert!(group.is_ejected());
    group.balancer.recover("a").unwrap();

    // The longer one holds.
    group.eject();
    group.balancer.eject("a", SECOND * 90, "by hand").unwrap();
    passes(&group);
    assert!(group.is_ejected());
}

#[test]
fn checks_end_no_ejection_if_they_are_not_to() {
    let builder = OutlierDetector::builder().checks_end_ejections(false);
    let group = Group::with(builder);
    group.eject();
    passes(&group);
    group.balancer.set_flag("a", Flag::FailedCheck).unwrap();
    passes(&group);
    assert!(group.is_ejected());
    group.clock.advance(SECOND * 30);
    group.end(200);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
}

#[test]
fn an_ejection_that_ends_early_is_followed_by_no_trial() {
    let group = Group::new();
    group.eject();
    group.balancer.recover("a").unwrap();
    assert_eq!(group.cap(), MAX_IN_FLIGHT);

    // Forced recovery: no other member is left.
    group.eject();
    for name in ["b", "c"] {
        group.balancer.set_flag(name, Flag::Disabled).unwrap();
    }
    let leases: Vec<_> = (0..9).map(|_| group.elect().unwrap()).collect();
    assert_eq!(leases.len(), 9);
}

#[test]
fn a_trial_whose_request_hangs_ends_when_no_other_member_is_left() {
    let group = Group::new();
    group.eject();
    group.clock.advance(SECOND * 30);
    let hangs = group.elect().unwrap();
    for name in ["b", "c"] {
        assert_eq!(group.cap(), 1);
        group.balancer.remove(name).unwrap();
    }
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    drop((group.elect().unwrap(), hangs));
}

#[test]
fn a_detector_that_is_dropped_ends_its_trials() {
    let mut group = Group::new();
    group.eject();
    group.clock.advance(SECOND * 30);
    drop(group.elect().unwrap());
    assert_eq!(group.cap(), 1);
    drop(group.detector.take());
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
}

#[test]
fn without_trials_a_member_serves_fully_at_once() {
    let group = Group::with(OutlierDetector::builder().trial(false));
    group.eject();
    group.clock.advance(SECOND * 30);
    let leases = [group.elect().unwrap(), group.elect().unwrap()];
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    group.eject();
    passes(&group);
    assert!(!group.is_ejected());
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    drop(leases);
}

#[test]
fn an_observer_that_panics_when_it_is_told_of_an_ejection_leaves_no_member_out() {
    let group = Group::new();
    let panics = group.balancer.observe(|event: &Event<'_>| {
        let is_ejection = matches!(event.kind, EventKind::Ejected { .. });
        assert!(!is_ejection, "an example");
    });
    for _ in 0..4 {
        group.end(500);
    }
    let fifth = catch_unwind(AssertUnwindSafe(|| group.end(500)));
    assert!(fifth.is_err() && group.is_ejected());
    drop(panics);
    group.clock.advance(SECOND * 30);
    assert_eq!(group.cap(), 1);
    group.end(200);
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    group.eject();
    assert_eq!(group.lasts(), 60);
}

#[test]
fn jitter_prolongs_and_an_ejection_by_another_is_left_alone() {
    let jittered = |seed| {
        let builder = OutlierDetector::builder().jitter(SECOND * 20).seed(seed);
        let group = Group::with(builder);
        group.eject();
        group
    };
    let lasted: BTreeSet<_> = (0..20).map(|seed| jittered(seed).lasts()).collect();
    assert!(lasted.iter().all(|it| (30..=50).contains(it)), "{lasted:?}");
    assert!(lasted.len() > 5, "{lasted:?}");
    let group = jittered(7);
    group.clock.advance(SECOND * 50);
    group.end(200);

    group.balancer.eject("a", SECOND, "by hand").unwrap();
    group.clock.advance(SECOND);
    assert!(group.elect().is_some());
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
}

#[test]
fn while_all_of_a_tier_are_on_trial_those_that_would_come_next_go_on_serving() {
    let reserves = [
        MemberSpec::new().with_flag(Flag::HotStandby),
        MemberSpec::new().with_flag(Flag::HotSpare),
        MemberSpec::new().with_tier(1),
    ];
    for reserve in reserves {
        let clock = ManualClock::new();
        let ordinary = ["a", "b"].map(|name| (name, (), MemberSpec::new()));
        let balancer = Balancer::builder()
            .clock(clock.clone())
            .members(ordinary)
            .member("r", (), reserve.clone())
            .build()
            .unwrap();
        let detector = OutlierDetector::builder()
            .max_ejected_percent(100)
            .panic_threshold(0)
            .watch(&balancer);
        let pick = || balancer.pick(&PickRequest::new()).unwrap();
        let is_reserve = |lease: &Lease<()>| lease.member().name() == "r";
        for _ in 0..40 {
            let mut lease = pick();
            lease.record_head(Some(if is_reserve(&lease) { 200 } else { 500 }));
        }
        assert!(is_reserve(&pick()), "all others are out");

        clock.advance(SECOND * 31);
        let leases: Vec<_> = (0..30).map(|_| pick()).collect();
        let (served, mut tried): (Vec<_>, Vec<_>) = leases.into_iter().partition(is_reserve);
        assert_eq!(tried.len(), 2, "one request for each on trial: {reserve:?}");
        assert_eq!(served.len(), 28);

        for lease in &mut tried {
            lease.record_head(Some(200));
        }
        drop((served, tried));
        assert!((0..30).all(|_| !is_reserve(&pick())), "{reserve:?}");
        drop(detector);
    }
}

#[test]
fn a_trial_that_does_not_end_lets_another_request_try_in_time() {
    let group = Group::new();
    group.eject();
    group.clock.advance(SECOND * 30);
    let first = group.elect().unwrap();
    group.clock.advance(SECOND * 29);
    group.detector.as_ref().unwrap().evaluate();
    assert!(group.elect().is_none(), "one is under way");
    group.clock.advance(SECOND * 11);
    group.detector.as_ref().unwrap().evaluate();
    let mut second = group.elect().unwrap();
    assert!(group.elect().is_none(), "two are under way");
    second.record_head(Some(200));
    assert_eq!(group.cap(), MAX_IN_FLIGHT);
    drop(first);
}
