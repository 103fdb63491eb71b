//! Which members a detector ejects, and when they are back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use equipoise::clock::{Clock, Timestamp};
use equipoise::health::{FailurePercentage, OutlierDetector, SlowMembers, SuccessRate};
use equipoise::member::Cause;
use equipoise::{Balancer, Flag, Lease, MemberSpec, Outcome, PickRequest};

use super::simulation::{MILLI, SECOND, Simulation};

const FAST: Duration = Duration::from_millis(20);

#[test]
fn one_of_ten_that_fails_at_once_gets_no_more_than_its_share_and_then_nearly_nothing() {
    let mut farm = Simulation::of(10);
    let detector = OutlierDetector::new(&farm.balancer);
    let ill = |name: &str| match name {
        // The least busy, as it fails at once: without a detector it takes nearly all.
        "m3" => (500, Duration::ZERO),
        _ => (200, FAST),
    };
    let first = farm.run(SECOND * 2, MILLI, ill);
    assert!(first.by("m3") * 10 <= first.all, "{first:?}");
    let then = farm.run(SECOND * 38, MILLI, ill);
    assert!(then.by("m3") <= 2, "only trials: {then:?}");
    assert_eq!(then.refused, 0);
    assert!(farm.is_out("m3"));

    // It is well 40 s after the beginning; its second ejection lasts 60 s, from 30 s on.
    farm.run(SECOND * 50, MILLI, |_| (200, FAST));
    let last = farm.run(SECOND * 2, MILLI, |_| (200, FAST));
    assert!(last.by("m3") * 12 > last.all, "{last:?}");
    drop(detector);
}

#[test]
fn without_a_detector_one_that_fails_at_once_takes_more_than_its_share() {
    let mut farm = Simulation::of(10);
    let first = farm.run(SECOND * 2, MILLI, |name| match name {
        "m3" => (500, Duration::ZERO),
        _ => (200, FAST),
    });
    assert!(first.by("m3") * 5 > first.all, "{first:?}");
}

#[test]
fn one_of_ten_that_is_ten_times_slower_gets_nearly_nothing_until_it_is_as_fast() {
    let mut farm = Simulation::of(10);
    let detector = OutlierDetector::builder()
        .slow_members(SlowMembers::new().with_min_requests(4))
        .interval(SECOND)
        .watch(&farm.balancer);
    let slow = |name: &str| (200, if name == "m3" { FAST * 10 } else { FAST });
    let first = farm.run(SECOND * 2, MILLI, slow);
    assert!(first.by("m3") * 10 <= first.all, "{first:?}");
    assert!(farm.is_out("m3"));
    let then = farm.run(SECOND * 38, MILLI, slow);
    assert!(
        then.by("m3") <= 2,
        "only trials, which are as slow: {then:?}"
    );

    farm.run(SECOND * 55, MILLI, |_| (200, FAST));
    let last = farm.run(SECOND * 2, MILLI, |_| (200, FAST));
    assert!(last.by("m3") * 12 > last.all, "{last:?}");
    drop(detector);
}

#[test]
fn a_group_that_turns_bad_or_slow_as_a_whole_is_not_ejected() {
    let mut farm = Simulation::of(10);
    let detector = OutlierDetector::builder()
        .slow_members(SlowMembers::new())
        .failure_percentage(FailurePercentage::new())
        .max_ejected_percent(100)
        .interval(SECOND)
        .watch(&farm.balancer);
    farm.run(SECOND * 3, MILLI, |_| (200, FAST));
    for bad in [(500, FAST), (503, Duration::ZERO), (200, FAST * 20)] {
        let served = farm.run(SECOND * 5, MILLI, |_| bad);
        assert_eq!(farm.out(), [""; 0], "{bad:?}");
        assert_eq!(served.refused, 0);
        assert!(
            served
                .members
                .values()
                .all(|&count| count * 20 > served.all),
            "{served:?}"
        );
    }
    drop(detector);
}

#[test]
fn a_rate_of_failures_far_above_the_others_ejects_though_no_two_are_in_a_row() {
    let counter = AtomicU32::new(0);
    let every_third = |name: &str| {
        let count = counter.fetch_add(u32::from(name == "m3"), Ordering::Relaxed);
        let fails = name == "m3" && count % 3 == 0;
        (if fails { 500 } else { 200 }, FAST)
    };
    let by_rate = OutlierDetector::builder();
    let by_percentage = OutlierDetector::builder()
        .success_rate(None)
        .failure_percentage(FailurePercentage::new().with_percent(30));
    let by_neither = OutlierDetector::builder().success_rate(None);
    for (builder, is_out) in [(by_rate, true), (by_percentage, true), (by_neither, false)] {
        let mut farm = Simulation::of(10);
        let detector = builder.watch(&farm.balancer);
        farm.run(SECOND * 9, MILLI * 5, every_third);
        assert!(!farm.is_out("m3"), "only at the end of an interval");
        farm.run(SECOND * 2, MILLI * 5, every_third);
        assert_eq!(farm.is_out("m3"), is_out, "{detector:?}");
    }
}

#[test]
fn what_was_counted_before_a_long_pause_ejects_no_member() {
    let mut farm = Simulation::of(10);
    let rate = SuccessRate::new().with_min_requests(10);
    let detector = OutlierDetector::builder()
        .consecutive_failures(None)
        .success_rate(rate)
        .watch(&farm.balancer);
    let ill = |name: &str| (if name == "m3" { 500 } else { 200 }, FAST);
    farm.run(SECOND * 9, MILLI * 5, ill);
    farm.clock.advance(SECOND * 3_600);
    farm.run(SECOND, MILLI * 5, |_| (200, FAST));
    assert!(!farm.is_out("m3"));
    farm.run(SECOND * 12, MILLI * 5, ill);
    assert!(farm.is_out("m3"));
    drop(detector);
}

/// Uses the one member that is asked for.
fn used(balancer: &Balancer<()>, name: &str) -> Lease<()> {
    let id = balancer.member(name).unwrap().id();
    loop {
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        if lease.member().id() == id {
            return lease;
        }
    }
}

fn group() -> Balancer<()> {
    Balancer::new(["a", "b", "c", "d"].map(|name| (name, ()))).unwrap()
}

fn is_ejected(balancer: &Balancer<()>, name: &str) -> bool {
    let member = balancer.member(name).unwrap();
    member.status().contains(Flag::Ejected)
}

#[test]
fn failures_without_an_answer_have_a_threshold_of_their_own_if_they_are_told_apart() {
    let causes = [
        Cause::Refused,
        Cause::TimedOut,
        Cause::Tls,
        Cause::Unresolved,
        Cause::Broken,
    ];
    let together = group();
    let detector = OutlierDetector::new(&together);
    for cause in causes.clone() {
        used(&together, "b").fail(cause);
    }
    assert!(is_ejected(&together, "b"));
    drop(detector);

    let apart = group();
    let detector = OutlierDetector::builder()
        .consecutive_local_failures(7)
        .consecutive_failures(2)
        .watch(&apart);
    for cause in causes {
        used(&apart, "b").fail(cause);
    }
    let mut lease = used(&apart, "b");
    lease.record_head(Some(500));
    drop(lease);
    used(&apart, "b").fail(Cause::Refused);
    assert!(
        !is_ejected(&apart, "b"),
        "an answer has ended the one run, and was the first of the other"
    );
    for _ in 0..6 {
        used(&apart, "b").fail(Cause::Refused);
    }
    let health = apart.member("b").unwrap().health().to_string();
    assert!(
        health.ends_with("7 requests in a row without a response"),
        "{health}"
    );
    drop(detector);
}

#[test]
fn gateway_errors_have_a_threshold_of_their_own() {
    let balancer = group();
    let detector = OutlierDetector::builder()
        .consecutive_failures(None)
        .consecutive_gateway_errors(3)
        .watch(&balancer);
    let answer = |status| {
        let mut lease = used(&balancer, "b");
        lease.record_head(Some(status));
        lease.finish(Outcome::Success);
    };
    for status in [500, 501, 502, 503, 500, 503, 502] {
        answer(status);
    }
    assert!(!is_ejected(&balancer, "b"));
    answer(504);
    assert!(is_ejected(&balancer, "b"));
    drop(detector);
}

#[test]
fn what_a_client_cancels_or_the_caller_accepts_is_no_failure() {
    let balancer = group();
    let detector = OutlierDetector::builder()
        .failure_statuses(|status| status >= 500 && status != 501)
        .consecutive_failures(2)
        .watch(&balancer);
    for _ in 0..9 {
        drop(used(&balancer, "b"));
        let mut lease = used(&balancer, "b");
        lease.record_head(Some(501));
        drop(lease);
    }
    assert!(!is_ejected(&balancer, "b"));
    for _ in 0..2 {
        let mut lease = used(&balancer, "b");
        lease.record_head(Some(200));
        lease.fail(Cause::BrokenBody);
    }
    assert!(
        is_ejected(&balancer, "b"),
        "answers that break off are failures"
    );
    drop(detector);
}

/// Fails so many requests of a member.
fn fail(balancer: &Balancer<()>, name: &str, count: u32) {
    for _ in 0..count {
        if is_ejected(balancer, name) {
            return;
        }
        used(balancer, name).fail("an example");
    }
}

#[test]
fn members_that_are_drained_or_disabled_are_not_counted() {
    let balancer = group();
    let detector = OutlierDetector::builder()
        .max_ejected_percent(50)
        .panic_threshold(0)
        .watch(&balancer);
    fail(&balancer, "a", 5);
    assert!(is_ejected(&balancer, "a"));
    // Of three that take part one may be out, of four two.
    balancer.set_flag("d", Flag::Disabled).unwrap();
    fail(&balancer, "b", 9);
    assert!(!is_ejected(&balancer, "b"));
    balancer.clear_flag("d", Flag::Disabled).unwrap();
    fail(&balancer, "b", 9);
    assert!(is_ejected(&balancer, "b"));
    // Three again: of the two the one that would be back first is back at once.
    balancer.set_flag("d", Flag::Draining).unwrap();
    assert!(!is_ejected(&balancer, "a") && is_ejected(&balancer, "b"));
    drop(detector);
}

#[test]
fn a_member_that_leaves_while_it_is_out_makes_room_and_joins_again_as_new() {
    let balancer = group();
    let detector = OutlierDetector::builder().watch(&balancer);
    fail(&balancer, "a", 5);
    fail(&balancer, "b", 9);
    assert!(is_ejected(&balancer, "a") && !is_ejected(&balancer, "b"));
    balancer.remove("a").unwrap();
    fail(&balancer, "c", 9);
    assert!(!is_ejected(&balancer, "c"), "most are bad");
    let mut lease = used(&balancer, "b");
    lease.record_head(Some(200));
    drop(lease);
    fail(&balancer, "c", 9);
    assert!(is_ejected(&balancer, "c"));
    balancer.insert("a", (), MemberSpec::new()).unwrap();
    let member = balancer.member("a").unwrap();
    assert_eq!(member.max_in_flight(), equipoise::member::MAX_IN_FLIGHT);
    assert!(member.status().is_usable());
    drop(detector);
}

#[test]
fn the_last_usable_member_is_never_ejected() {
    let balancer = group();
    let detector = OutlierDetector::builder()
        .max_ejected_percent(100)
        .panic_threshold(0)
        .watch(&balancer);
    for name in ["a", "b", "c"] {
        fail(&balancer, name, 5);
        assert!(is_ejected(&balancer, name));
    }
    fail(&balancer, "d", 99);
    assert!(!is_ejected(&balancer, "d"));
    // The last that serves goes: those that are out have to do.
    balancer.set_flag("d", Flag::Disabled).unwrap();
    assert!(
        !["a", "b", "c"]
            .iter()
            .any(|name| is_ejected(&balancer, name))
    );
    drop(detector);
}

#[test]
fn a_detector_that_is_dropped_ejects_no_more() {
    let balancer = group();
    let detector = OutlierDetector::new(&balancer);
    fail(&balancer, "a", 4);
    drop(detector);
    fail(&balancer, "a", 20);
    assert!(!is_ejected(&balancer, "a"));

    OutlierDetector::new(&balancer).detach();
    fail(&balancer, "a", 5);
    assert!(is_ejected(&balancer, "a"));
}

#[test]
fn an_error_whose_body_breaks_off_is_one_failure() {
    let balancer = group();
    let detector = OutlierDetector::builder()
        .consecutive_failures(4)
        .watch(&balancer);
    let ends: [fn(Lease<()>); 4] = [
        |lease| lease.fail(Cause::BrokenBody),
        |lease| lease.fail(Cause::TimedOut),
        |lease| lease.fail(Cause::Status(500)),
        |lease| lease.finish(Outcome::Failure),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        assert!(!is_ejected(&balancer, "b"), "after {number}");
        let mut lease = used(&balancer, "b");
        lease.record_head(Some(500));
        end(lease);
    }
    assert!(is_ejected(&balancer, "b"));
    let health = balancer.member("b").unwrap().health().to_string();
    assert!(health.ends_with("4 failures in a row"), "{health}");
    drop(detector);
}

#[test]
fn errors_and_bodies_that_break_off_make_one_row() {
    let balancer = group();
    let detector = OutlierDetector::builder()
        .consecutive_failures(4)
        .watch(&balancer);
    for number in 0..4 {
        assert!(!is_ejected(&balancer, "b"), "after {number}");
        let mut lease = used(&balancer, "b");
        if number < 2 {
            lease.record_head(Some(200));
            lease.fail(Cause::BrokenBody);
        } else {
            // It ends well, as an error.
            lease.record_head(Some(500));
            lease.finish(Outcome::Success);
        }
    }
    assert!(is_ejected(&balancer, "b"));
    drop(detector);
}

#[test]
fn a_request_that_began_before_the_detector_counts_once() {
    let balancer = group();
    let old: Vec<_> = (0..4).map(|_| used(&balancer, "b")).collect();
    let detector = OutlierDetector::builder()
        .consecutive_failures(5)
        .watch(&balancer);
    for mut lease in old {
        lease.record_head(Some(500));
        lease.fail(Cause::Status(500));
    }
    assert!(!is_ejected(&balancer, "b"), "four have failed");
    used(&balancer, "b").fail("an example");
    assert!(is_ejected(&balancer, "b"));
    drop(detector);
}

/// Counts how often it is read.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicU32>);

impl Clock for Counted {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::Relaxed);
        Timestamp::ORIGIN
    }
}

#[test]
fn a_detector_reads_no_clock_for_a_request_unless_it_looks_for_slow_members() {
    let slow = OutlierDetector::builder().slow_members(SlowMembers::new());
    let plain = OutlierDetector::builder();
    // One of eight answers looks whether the interval is over.
    for (builder, expected) in [(plain, 10), (slow, 170)] {
        let clock = Counted::default();
        let members = [("a", (), MemberSpec::new())];
        let balancer = Balancer::builder().clock(clock.clone()).members(members);
        let balancer = balancer.build().unwrap();
        let detector = builder.watch(&balancer);
        let before = clock.0.load(Ordering::Relaxed);
        for _ in 0..80 {
            let mut lease = used(&balancer, "a");
            lease.record_head(Some(200));
            lease.finish(Outcome::Success);
        }
        let read = clock.0.load(Ordering::Relaxed) - before;
        assert_eq!(read, expected, "for 80 requests");
        drop(detector);
    }
}

#[test]
fn one_that_goes_on_failing_after_all_have_failed_is_ejected_at_the_end_of_an_interval() {
    let mut farm = Simulation::of(4);
    let detector = OutlierDetector::new(&farm.balancer);
    // The ejection that each failure asks for is refused: most are ill.
    farm.run(SECOND * 95, MILLI, |_| (500, FAST));
    assert!(!farm.is_out("m3"));
    farm.run(SECOND * 11, MILLI, |name| match name {
        "m3" => (500, FAST),
        _ => (200, FAST),
    });
    assert!(farm.is_out("m3"));
    drop(detector);
}
