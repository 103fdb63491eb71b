//! An observer is told every event, once, with the books settled.

use crate::support::{Scribe, Task, capped, pick, seconds};
use equipoise::balancer::events::{Event, EventKind, Interest};
use equipoise::clock::ManualClock;
use equipoise::member::{Cause, MemberKey};
use equipoise::{Balancer, Flag, MemberSpec, Observer, Outcome, PickRequest};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn observed() -> (Balancer<()>, Scribe, ManualClock) {
    let (scribe, clock) = (Scribe::default(), ManualClock::new());
    let balancer = Balancer::builder()
        .observer(scribe.clone())
        .clock(clock.clone())
        .member("a", (), MemberSpec::new().with_route("a"))
        .member(
            "b",
            (),
            MemberSpec::new().with_route("b").with_redirect_route("a"),
        )
        .build();
    (balancer.unwrap(), scribe, clock)
}

#[test]
fn elections_and_sessions_are_heard() {
    let (balancer, scribe, _) = observed();
    let visit = |request: PickRequest<'_>| {
        drop(balancer.pick(&request));
        let mut heard = scribe.take();
        let ended = heard.pop().unwrap();
        assert!(ended.starts_with("ended"), "{ended}");
        heard
    };
    let request = PickRequest::new();
    assert_eq!(visit(request), ["elected a Off"]);
    assert_eq!(
        visit(request.with_session(None)),
        ["elected b New", "new b"]
    );
    assert_eq!(
        visit(request.with_session(Some("b"))),
        ["elected b Hit", "hit b"]
    );
    assert_eq!(
        visit(request.with_session(Some("x"))),
        ["elected a Lost", "lost x to a"]
    );
    balancer.set_flag("b", Flag::Disabled).unwrap();
    scribe.take();
    let redirected = ["elected a Redirected", "lost b to a"];
    assert_eq!(visit(request.with_session(Some("b"))), redirected);
    balancer.clear_flag("b", Flag::Disabled).unwrap();
    scribe.take();
    let tried = [balancer.member("a").unwrap().id()];
    let failed_over = ["elected b Off", "failed over to b from Some(\"a\") after 1"];
    assert_eq!(visit(request.with_tried(&tried)), failed_over);
}

#[test]
fn errors_recoveries_and_changes_of_flags_are_heard() {
    let (balancer, scribe, clock) = observed();
    let lease = pick(&balancer).unwrap();
    scribe.take();
    lease.put_in_error();
    assert_eq!(scribe.take(), ["a: ok -> in error (Health)"]);
    drop(lease);
    scribe.take();
    clock.advance(seconds(60));
    balancer.apply_timed_changes();
    assert_eq!(scribe.take(), ["a: in error -> ok (Health)"]);

    balancer.set_flag("a", Flag::Draining).unwrap();
    balancer.set_flag("a", Flag::Draining).unwrap();
    assert_eq!(scribe.take(), ["a: ok -> draining (Operator)"], "once");
    balancer.insert("a", (), MemberSpec::new()).unwrap();
    assert!(scribe.take().is_empty(), "an operator drains it");
    balancer.clear_overrides("a");
    assert_eq!(scribe.take(), ["a: draining -> ok (Operator)"]);
    balancer.update("a", |spec| spec.with_tier(1)).unwrap();
    assert!(scribe.take().is_empty());
}

#[test]
fn a_forced_recovery_is_heard_of_each_member() {
    let (balancer, scribe, _) = observed();
    for name in ["a", "b"] {
        balancer.set_flag(name, Flag::InError).unwrap();
    }
    let mut heard = scribe.take();
    heard.sort();
    let expected = [
        "a: in error -> ok (Health)",
        "a: ok -> in error (Health)",
        "b: in error -> ok (Health)",
        "b: ok -> in error (Health)",
    ];
    assert_eq!(heard, expected);
}

#[test]
fn a_member_that_ignores_errors_does_not_change() {
    let (balancer, scribe, _) = observed();
    balancer.set_flag("a", Flag::IgnoreErrors).unwrap();
    let lease = pick(&balancer).unwrap();
    scribe.take();
    lease.put_in_error();
    assert!(scribe.take().is_empty());
}

#[test]
fn it_is_heard_when_nobody_is_left() {
    let (balancer, scribe, _) = observed();
    let tried: Vec<_> = balancer
        .members()
        .iter()
        .map(|member| member.id())
        .collect();
    drop(balancer.pick(&PickRequest::new().with_tried(&tried)));
    assert_eq!(scribe.take(), ["nobody left of 2, 2 tried"]);
    for name in ["a", "b"] {
        balancer.set_flag(name, Flag::Disabled).unwrap();
    }
    scribe.take();
    drop(pick(&balancer));
    assert_eq!(scribe.take(), ["nobody left of 2, 0 tried"]);
    drop(balancer.replace_all::<&str>([]).unwrap());
    drop(pick(&balancer));
    assert_eq!(scribe.take(), ["nobody left of 0, 0 tried"]);
}

#[test]
fn it_is_heard_of_a_pick_that_may_not_overtake_the_line() {
    let (balancer, scribe, _) = observed();
    for name in ["a", "b"] {
        balancer
            .update(name, |spec| spec.with_max_in_flight(1))
            .unwrap();
    }
    let held = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    let wait = balancer.pick_wait(&PickRequest::new(), std::future::pending());
    let _waiting = Task::pending(wait);
    scribe.take();
    drop(pick(&balancer).unwrap_err());
    assert_eq!(scribe.take(), ["nobody left of 2, 0 tried"]);
    drop(held);
}

#[test]
fn joining_and_leaving_are_told_with_the_picture_that_shows_them() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let book = told.clone();
    let balancer = Balancer::builder()
        .observer(move |event: &Event<'_>| {
            let what = match event.kind {
                EventKind::Joined => "joined",
                EventKind::Left => "left",
                EventKind::Picked { .. } => "elected",
                EventKind::Changed { .. } => "changed",
                _ => return,
            };
            let name = event.member.map(|member| member.name().to_owned());
            let line = (what, name.unwrap(), event.generation);
            book.lock().unwrap().push(line);
        })
        .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
        .build()
        .unwrap();
    balancer.insert("c", (), MemberSpec::new()).unwrap();
    balancer
        .insert("c", (), MemberSpec::new().with_tier(1))
        .unwrap();
    drop(balancer.remove("a"));
    let lease = pick(&balancer).unwrap();
    balancer
        .replace_all([("d", (), MemberSpec::new())])
        .map(drop)
        .unwrap();
    lease.put_in_error(); // it is a member no more
    pick(&balancer).unwrap().put_in_error();
    balancer.apply_timed_changes();
    let told = told.lock().unwrap();
    let names: Vec<String> = told
        .iter()
        .map(|(what, name, _)| format!("{what} {name}"))
        .collect();
    // The last has no other to stand in for it, and is forgiven at once.
    let mut expected = [
        "joined a",
        "joined b",
        "joined c",
        "left a",
        "elected b",
        "joined d",
        "left b",
        "left c",
        "changed b",
        "elected d",
        "changed d",
        "changed d",
    ];
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "{names:?}");
    let generation = |line: &str| told[names.iter().position(|it| it == line).unwrap()].2;
    assert_eq!(generation("joined a"), generation("joined b"));
    assert!(generation("joined b") < generation("joined c"));
    assert!(generation("joined c") < generation("left a"));
    assert_eq!(generation("left a"), generation("elected b"));
    assert_eq!(generation("joined d"), generation("left b"));
    assert!(generation("elected d") < generation("changed d"));
}

#[test]
fn the_layer_that_changed_is_told() {
    let (balancer, scribe, _) = observed();
    balancer
        .update("a", |spec| spec.with_flag(Flag::HotStandby))
        .unwrap();
    balancer.set_flag("a", Flag::FailedCheck).unwrap();
    balancer.override_member("a", |it| it.with_flag_off(Flag::HotStandby));
    let lines = [
        "a: ok -> hot standby (Source)",
        "a: hot standby -> failed check, hot standby (Health)",
        "a: failed check, hot standby -> failed check (Operator)",
    ];
    assert_eq!(scribe.take(), lines);
}

#[test]
fn a_cause_is_told_with_the_change_and_with_the_end() {
    let causes = Arc::new(Mutex::new(Vec::new()));
    let book = causes.clone();
    let balancer = Balancer::new(["a", "b", "c"].map(|name| (name, ()))).unwrap();
    let observing = balancer.observe(move |event: &Event<'_>| {
        let (what, cause) = match event.kind {
            EventKind::Changed { cause, .. } => ("changed", cause),
            EventKind::Ended(ended) => ("ended", ended.cause.as_ref()),
            EventKind::FailedOver { cause, .. } => ("failed over", cause),
            _ => return,
        };
        book.lock().unwrap().push((what, cause.cloned()));
    });
    let take = || std::mem::take(&mut *causes.lock().unwrap());
    let refused = || Some(Cause::Refused);

    let lease = pick(&balancer).unwrap();
    let tried = [lease.member().id()];
    lease.put_in_error_because(Cause::Refused);
    lease.fail(Cause::Refused);
    assert_eq!(take(), [("changed", refused()), ("ended", refused())]);

    let request = PickRequest::new().with_tried(&tried);
    let lease = balancer
        .pick(&request.with_cause(Some(&Cause::Refused)))
        .unwrap();
    lease.finish(Outcome::Success);
    assert_eq!(take(), [("failed over", refused()), ("ended", None)]);

    let guard = pick(&balancer).unwrap().into_guard();
    guard.put_in_error_because("disk full");
    guard.fail("disk full");
    let words = || Some(Cause::from("disk full"));
    assert_eq!(take(), [("changed", words()), ("ended", words())]);

    pick(&balancer).unwrap().finish(Outcome::Failure);
    assert_eq!(take(), [("ended", None)], "none was given");
    drop(observing);
}

#[test]
fn the_time_to_the_head_is_measured_only_if_it_is_wanted() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let clock = ManualClock::new();
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .member("a", (), MemberSpec::new())
        .build()
        .unwrap();
    let ends = Scribe::of(Interest::ENDED);
    balancer.observe(ends.clone()).keep();
    let mut before = pick(&balancer).unwrap();
    let book = heads.clone();
    let observing = balancer.observe(move |event: &Event<'_>| match event.kind {
        EventKind::Responded {
            time_to_head,
            status,
        } => book.lock().unwrap().push((time_to_head, status)),
        EventKind::Ended(ended) => book.lock().unwrap().push((ended.time_to_head, None)),
        _ => {}
    });
    let take = || std::mem::take(&mut *heads.lock().unwrap());
    clock.advance(seconds(1));
    before.record_head(Some(200));
    drop(before);
    assert_eq!(
        take(),
        [(None, Some(200)), (None, None)],
        "no observer wanted it"
    );

    let mut lease = pick(&balancer).unwrap();
    clock.advance(seconds(2));
    lease.record_head(Some(503));
    clock.advance(seconds(3));
    drop(lease);
    let two = Some(seconds(2));
    assert_eq!(take(), [(two, Some(503)), (two, None)]);

    let mut lease = pick(&balancer).unwrap();
    drop(observing);
    lease.record_head(None);
    drop(lease);
    assert!(take().is_empty());
    assert_eq!(ends.take().len(), 3, "ends are told all the time");
}

#[test]
fn each_time_is_measured_only_if_it_is_wanted_and_heads_are_known_without_it() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let clock = ManualClock::new();
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .member("a", (), MemberSpec::new())
        .build()
        .unwrap();
    let use_once = |status: Option<u16>| {
        let mut lease = pick(&balancer).unwrap();
        clock.advance(seconds(1));
        lease.record_head(status);
        clock.advance(seconds(2));
        drop(lease);
        ends.lock().unwrap().pop().unwrap()
    };
    let heads = Scribe::of(Interest::RESPONDED);
    balancer.observe(heads.clone()).keep();
    /// The seconds to the end and to the head, whether there was a head, and its status.
    type End = (Option<u64>, Option<u64>, bool, Option<u16>);
    struct Ends(Arc<Mutex<Vec<End>>>, Interest);
    impl Observer for Ends {
        fn observe(&self, event: &Event<'_>) {
            if let EventKind::Ended(ended) = event.kind {
                let [elapsed, head] = [ended.elapsed, ended.time_to_head];
                let secs = |time: Option<Duration>| time.map(|time| time.as_secs());
                let found = (secs(elapsed), secs(head), ended.has_response, ended.status);
                self.0.lock().unwrap().push(found);
            }
        }

        fn interest(&self) -> Interest {
            self.1
        }
    }
    let observing = balancer.observe(Ends(ends.clone(), Interest::ENDED));
    assert_eq!(use_once(Some(0)), (None, None, true, Some(0)));
    drop(observing);
    let to_head = Interest::ENDED | Interest::TIME_TO_HEAD;
    let observing = balancer.observe(Ends(ends.clone(), to_head));
    assert_eq!(use_once(None), (None, Some(1), true, None));
    drop(observing);
    let observing = balancer.observe(Ends(ends.clone(), Interest::ELAPSED));
    assert_eq!(use_once(Some(200)), (Some(3), None, true, Some(200)));
    let timed = balancer.observe(Ends(Arc::default(), Interest::TIME_TO_HEAD));
    assert_eq!(use_once(None), (Some(3), Some(1), true, None));
    drop(timed);
    drop(pick(&balancer).unwrap());
    let unanswered = ends.lock().unwrap().pop().unwrap();
    assert_eq!(unanswered, (Some(0), None, false, None));
    drop(observing);
    assert_eq!(heads.take().len(), 4);
}

#[test]
fn checks_that_pass_are_told_also_where_they_change_nothing() {
    let (balancer, _, _) = observed();
    let scribe = Scribe::of(Interest::PASSED_CHECK | Interest::CHANGED);
    let observing = balancer.observe(scribe.clone());
    let [a, b, gone] = ["a", "b", "gone"].map(MemberKey::Name);
    balancer.apply_check_results([(a, None), (gone, None), (b, None)]);
    assert_eq!(scribe.take(), ["passed a", "passed b"]);

    balancer.apply_check_results([(a, Some(Cause::Refused)), (b, None)]);
    assert_eq!(scribe.take().len(), 2);
    balancer.apply_check_results([(a, None)]);
    let told = scribe.take();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1], "passed a", "after the change: {told:?}");
    drop(observing);
}

#[test]
fn it_is_told_how_many_wait() {
    let (balancer, _, _) = observed();
    let scribe = Scribe::of(Interest::WAITING);
    let observing = balancer.observe(scribe.clone());
    for name in ["a", "b"] {
        balancer
            .update(name, |spec| spec.with_max_in_flight(1))
            .unwrap();
    }
    let held = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    let wait = || {
        let wait = balancer.pick_wait(&PickRequest::new(), std::future::pending());
        Task::pending(wait)
    };
    let (first, mut second) = (wait(), wait());
    assert!(second.poll().is_pending());
    assert_eq!(scribe.take(), ["1 in line", "2 in line"]);
    drop(first);
    let _third = wait();
    assert_eq!(scribe.take(), ["2 in line"], "one has left");
    drop((held, observing));
}

#[test]
fn a_request_that_has_waited_is_timed_from_its_election() {
    let clock = ManualClock::new();
    let builder = Balancer::builder().clock(clock.clone());
    let balancer = builder.member("a", (), capped(1)).build().unwrap();
    let scribe = Scribe::of(Interest::ELAPSED);
    balancer.observe(scribe.clone()).keep();
    let held = pick(&balancer).unwrap();
    let request = PickRequest::new().with_now(balancer.now());
    let mut waiting = Task::pending(balancer.pick_wait(&request, std::future::pending()));
    clock.advance(seconds(10));
    drop(held);
    let lease = waiting.run().unwrap().unwrap();
    clock.advance(seconds(2));
    drop(lease);
    let last = scribe.take().pop();
    assert_eq!(
        last.as_deref(),
        Some("ended a Cancelled Some(2) 0/0 with 0 left")
    );
}
