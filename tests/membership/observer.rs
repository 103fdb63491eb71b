//! An observer hears every event, once, with the books settled.

use crate::support::{Scribe, pick, seconds};
use equipoise::clock::ManualClock;
use equipoise::{Balancer, Flag, MemberSpec, MemberState, Observer, PickRequest, Session, Status};
use std::sync::{Arc, OnceLock};

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
    let failed_over = ["elected b Off", "failed over to b after 1"];
    assert_eq!(visit(request.with_tried(&tried)), failed_over);
}

#[test]
fn errors_recoveries_and_changes_of_flags_are_heard() {
    let (balancer, scribe, clock) = observed();
    let lease = pick(&balancer).unwrap();
    scribe.take();
    lease.put_in_error();
    assert_eq!(scribe.take(), ["a: ok -> in error", "ejected a"]);
    drop(lease);
    scribe.take();
    clock.advance(seconds(60));
    balancer.notice_time();
    assert_eq!(scribe.take(), ["a: in error -> ok"]);

    balancer.set_flag("a", Flag::Draining).unwrap();
    balancer.set_flag("a", Flag::Draining).unwrap();
    assert_eq!(scribe.take(), ["a: ok -> draining"], "once");
    balancer.insert("a", (), MemberSpec::new()).unwrap();
    assert!(scribe.take().is_empty(), "an operator drains it");
    balancer.clear_overrides("a");
    assert_eq!(scribe.take(), ["a: draining -> ok"]);
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
        "a: in error -> ok",
        "a: ok -> in error",
        "b: in error -> ok",
        "b: ok -> in error",
    ];
    assert_eq!(heard, expected);
}

#[test]
fn a_member_that_ignores_errors_is_not_said_to_be_ejected() {
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
    let wait = balancer.pick_wait(PickRequest::new(), std::future::pending());
    let _waiting = crate::support::Task::pending(wait);
    scribe.take();
    drop(pick(&balancer).unwrap_err());
    assert_eq!(scribe.take(), ["nobody left of 2, 0 tried"]);
    drop(held);
}

/// Changes the balancer from inside every hook.
#[derive(Debug, Default)]
struct Meddler(Arc<OnceLock<Balancer<()>>>);

impl Meddler {
    fn meddle(&self, name: &str) {
        if let Some(balancer) = self.0.get() {
            balancer
                .insert("late", (), MemberSpec::new().with_tier(1))
                .unwrap();
            let _ = balancer.update(name, |spec| spec.with_tier(0));
            drop(balancer.explain(&PickRequest::new()));
        }
    }
}

impl Observer for Meddler {
    fn elected(&self, member: &MemberState, _: Session) {
        self.meddle(member.name());
    }

    fn ended(&self, member: &MemberState, _: &equipoise::Ended) {
        self.meddle(member.name());
    }

    fn ejected(&self, member: &MemberState) {
        self.meddle(member.name());
    }

    fn status_changed(&self, member: &MemberState, _: Status, _: Status) {
        self.meddle(member.name());
    }
}

#[test]
fn hooks_run_outside_every_lock() {
    let balancer_slot = Arc::default();
    let balancer = Balancer::builder()
        .observer(Meddler(Arc::clone(&balancer_slot)))
        .member("a", (), MemberSpec::new())
        .build()
        .unwrap();
    balancer_slot.set(balancer.clone()).unwrap();
    let lease = pick(&balancer).unwrap();
    lease.put_in_error();
    drop(lease);
    balancer.set_flag("a", Flag::Draining).unwrap();
    drop(balancer.remove("a"));
    assert_eq!(balancer.members().len(), 1);
}
