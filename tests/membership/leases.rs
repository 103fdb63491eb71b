//! How leases and guards end, and what is measured of them.

use crate::support::{Scribe, pick, seconds};
use equipoise::clock::{Clock, ManualClock};
use equipoise::scheduler::{Candidates, Needs, Pick, PickContext};
use equipoise::{Balancer, Ended, Lease, MemberSpec, MemberState, Outcome, PickRequest, Scheduler};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

fn observed(with_elapsed: bool) -> (Balancer<()>, Scribe, ManualClock) {
    let clock = ManualClock::new();
    let scribe = Scribe::default().with_elapsed(with_elapsed);
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .observer(scribe.clone())
        .member("a", (), MemberSpec::new())
        .build();
    (balancer.unwrap(), scribe, clock)
}

#[test]
fn a_lease_ends_with_what_is_said_or_left_unsaid() {
    type End = fn(Lease<()>);
    let ends: [(End, &str); 8] = [
        (drop, "Cancelled"),
        (|lease| lease.finish(Outcome::Success), "Success"),
        (|lease| lease.finish(Outcome::Failure), "Failure"),
        (|lease| lease.finish(Outcome::Cancelled), "Cancelled"),
        (|lease| drop(lease.into_guard()), "Cancelled"),
        (
            |lease| lease.into_guard().finish(Outcome::Success),
            "Success",
        ),
        (
            |lease| {
                let _lease = lease;
                panic!("while it is held");
            },
            "Failure",
        ),
        (
            |lease| {
                let _guard = lease.into_guard();
                panic!("while it is held");
            },
            "Failure",
        ),
    ];
    for (end, outcome) in ends {
        let (balancer, scribe, _) = observed(false);
        let mut lease = pick(&balancer).unwrap();
        scribe.take();
        lease.record_sent(3);
        lease.record_received(5);
        let _ = catch_unwind(AssertUnwindSafe(|| end(lease)));
        let expected = format!("ended a {outcome} None 3/5 with 0 left");
        assert_eq!(scribe.take(), [expected], "once");
    }
}

#[test]
fn bytes_of_guard_and_lease_are_one_sum_and_count_at_once() {
    let (balancer, scribe, _) = observed(false);
    let mut lease = pick(&balancer).unwrap();
    lease.record_sent(10);
    assert_eq!(balancer.member("a").unwrap().bytes_sent(), 10);
    let mut guard = lease.into_guard();
    guard.record_sent(1);
    guard.record_received(20);
    assert_eq!(balancer.member("a").unwrap().bytes(), 31);
    drop(guard);
    assert!(
        scribe
            .take()
            .contains(&"ended a Cancelled None 11/20 with 0 left".into())
    );
}

#[test]
fn elapsed_time_is_measured_only_when_an_observer_asks() {
    for (asked, elapsed) in [(false, "None"), (true, "Some(7)")] {
        let (balancer, scribe, clock) = observed(asked);
        let lease = pick(&balancer).unwrap();
        clock.advance(seconds(7));
        lease.finish(Outcome::Success);
        let expected = format!("ended a Success {elapsed} 0/0 with 0 left");
        assert_eq!(scribe.take()[1], expected);
    }
}

#[test]
fn a_request_that_brings_the_time_is_measured_from_there() {
    let (balancer, scribe, clock) = observed(true);
    let start = clock.now();
    clock.advance(seconds(2));
    let request = PickRequest::new().with_now(start);
    let lease = balancer.pick(&request).unwrap();
    clock.advance(seconds(3));
    drop(lease);
    assert_eq!(
        scribe.take()[1],
        "ended a Cancelled Some(5) 0/0 with 0 left"
    );
}

/// The first that can be claimed; writes down what it is told.
#[derive(Debug)]
struct Listens {
    needs: Needs,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Scheduler for Listens {
    fn name(&self) -> &'static str {
        "listens"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let now = context.now().map(|now| now.as_nanos());
        self.heard
            .lock()
            .unwrap()
            .push(format!("pick {now:?} {:?}", context.hash()));
        candidates.claim_first(candidates.iter())
    }

    fn on_ended(&self, _: &MemberState, ended: &Ended) {
        let line = format!("ended {:?}", ended.elapsed);
        self.heard.lock().unwrap().push(line);
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}

#[test]
fn a_scheduler_is_told_what_it_asks_for_and_no_more() {
    let rows: [(Needs, &[&str]); 5] = [
        (Needs::NONE, &["pick None Some(9)"]),
        (Needs::CLOCK, &["pick Some(0) Some(9)"]),
        (Needs::ENDED, &["pick None Some(9)", "ended None"]),
        (Needs::ELAPSED, &["pick None Some(9)", "ended Some(1s)"]),
        (
            Needs::CLOCK | Needs::ELAPSED,
            &["pick Some(0) Some(9)", "ended Some(1s)"],
        ),
    ];
    for (needs, told) in rows {
        let (heard, clock) = (Arc::default(), ManualClock::new());
        let scheduler = Listens {
            needs,
            heard: Arc::clone(&heard),
        };
        let balancer = Balancer::builder()
            .scheduler(scheduler)
            .clock(clock.clone())
            .member("a", (), MemberSpec::new())
            .build()
            .unwrap();
        let lease = balancer.pick(&PickRequest::new().with_hash(9)).unwrap();
        clock.advance(seconds(1));
        drop(lease);
        assert_eq!(*heard.lock().unwrap(), told, "{needs:?}");
    }
}

#[test]
fn an_error_restarts_with_each_failure_and_outlasts_a_success() {
    let (balancer, _, clock) = observed(false);
    let [first, second] = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    balancer.insert("b", (), MemberSpec::new()).unwrap();
    first.put_in_error();
    clock.advance(seconds(50));
    second.put_in_error();
    second.finish(Outcome::Success);
    clock.advance(seconds(50));
    balancer.apply_timed_changes();
    assert!(!balancer.member("a").unwrap().status().is_usable());
    clock.advance(seconds(10));
    balancer.apply_timed_changes();
    assert!(balancer.member("a").unwrap().status().is_usable());
}
