//! What may cross threads, and what may be printed.

use equipoise::balancer::{
    Builder, Drain, DrainOutcome, Drained, EditSummary, LearnedLimit, MemberExplanation,
    MemberSource, MembersReady, PickWait, Reason,
};
use equipoise::clock::{ManualClock, SystemClock, Timestamp};
use equipoise::member::{EffectiveWeight, Labels, MemberKey};
use equipoise::random::Random;
use equipoise::scheduler::{HeartbeatReading, Needs};
use equipoise::session::{ParseStickySessionError, PresentedSession, SessionSource};
use equipoise::{
    Balancer, BuildError, ByBusyness, ByRequests, ByTraffic, EditError, Eligibility, Ended,
    Explanation, Flag, Guard, Heartbeat, HeartbeatReadings, Lease, MemberId, MemberSpec,
    MemberState, Outcome, PickError, PickRequest, RemovedMember, Session, Status, StickySession,
    UnknownMember, Weight, WeightError,
};
use std::fmt::Debug;

fn crosses_threads<T: Debug + Send + Sync + 'static>() {}

fn may_fail<E: std::error::Error + Clone + PartialEq + Send + Sync + 'static>() {}

#[test]
fn everything_public_crosses_threads_and_can_be_printed() {
    crosses_threads::<Balancer<String>>();
    crosses_threads::<Lease<String>>();
    crosses_threads::<(LearnedLimit, MemberKey<'static>)>();
    crosses_threads::<(Guard, RemovedMember, Drained, MembersReady<String>)>();
    crosses_threads::<(PickRequest<'static>, EditSummary, MemberSource<u8>)>();
    crosses_threads::<(Drain<String>, DrainOutcome, Labels)>();
    crosses_threads::<(Explanation, MemberExplanation, Reason, Eligibility)>();
    crosses_threads::<(MemberSpec, MemberState, MemberId, Status, Flag)>();
    crosses_threads::<(Weight, EffectiveWeight, Outcome, Ended, Session)>();
    crosses_threads::<(ByRequests, ByBusyness, ByTraffic, Heartbeat)>();
    crosses_threads::<(HeartbeatReadings, HeartbeatReading, Needs, Random)>();
    crosses_threads::<(ManualClock, SystemClock, Timestamp)>();
    crosses_threads::<(StickySession, PresentedSession<'static>, SessionSource)>();
}

#[test]
fn errors_are_errors() {
    may_fail::<PickError>();
    may_fail::<BuildError>();
    may_fail::<EditError>();
    may_fail::<UnknownMember>();
    may_fail::<WeightError>();
    may_fail::<ParseStickySessionError>();
}

#[test]
fn what_waits_may_be_spawned_and_what_builds_may_be_sent() {
    fn is_sent<T: Send>(_: &T) {}
    let balancer = Balancer::new([("a", String::new())]).unwrap();
    let wait: PickWait<'static, _, _> = balancer.pick_wait(&PickRequest::new(), async {});
    is_sent(&wait);
    let builder: Builder<String> = Balancer::builder();
    is_sent(&builder);
}

#[test]
fn a_payload_that_cannot_cross_threads_is_fine_on_one() {
    let balancer = Balancer::new([("a", std::rc::Rc::new(1))]).unwrap();
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    assert_eq!(**lease, 1);
}

#[test]
fn a_clone_of_a_balancer_is_the_same_balancer() {
    let balancer = Balancer::new([("a", 1), ("b", 2)]).unwrap();
    let clone = balancer.clone();
    drop(clone.remove("a"));
    assert_eq!(balancer.len(), 1);
    assert!(!format!("{balancer:?}").is_empty());
}
