//! What random lives have found, each as short as it can be told.

use equipoise::balancer::Reason;
use equipoise::{Balancer, ByTraffic, Flag, MemberSpec, PickError, PickRequest};

/// Forced recovery forgives every error at once: then no recovery is due any more.
#[test]
fn an_error_that_was_forgiven_is_nothing_to_wait_for() {
    let balancer = Balancer::new([("a", ())]).unwrap();
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    lease.put_in_error();
    let tried = [lease.member().id()];
    let refused = balancer.pick(&PickRequest::new().with_tried(&tried));
    assert_eq!(balancer.members()[0].recoveries(), 1, "forgiven");
    assert_eq!(refused.unwrap_err().retry_after(), None);
    assert_eq!(balancer.next_timed_change(), None);
}

#[test]
fn a_member_that_is_named_twice_as_tried_counts_once() {
    let full = MemberSpec::new().with_max_in_flight(1);
    let balancer = Balancer::builder()
        .member("a", (), full.clone())
        .member("b", (), full)
        .build()
        .unwrap();
    let a = balancer.pick(&PickRequest::new()).unwrap();
    let _b = balancer.pick(&PickRequest::new()).unwrap();
    let both = balancer.pick(&PickRequest::new()).unwrap_err();
    assert_eq!(both, PickError::AtCapacity);
    let twice = [a.member().id(), a.member().id()];
    let refused = balancer.pick(&PickRequest::new().with_tried(&twice));
    assert_eq!(refused.unwrap_err(), PickError::AtCapacity, "b will do");
}

#[test]
fn a_reset_makes_the_standing_of_absent_members_equal_too() {
    let balancer = Balancer::new([("a", ()), ("b", ())]).unwrap();
    balancer.set_scheduler(ByTraffic::new());
    let mut lease = balancer.pick(&PickRequest::new()).unwrap();
    lease.record_received(1_000);
    drop(lease);
    // Only a pick looks at the bytes; the second sees those of `a`.
    drop(balancer.pick(&PickRequest::new()).unwrap());
    assert_eq!(balancer.standing("a"), Some(1_000));
    balancer.set_flag("a", Flag::Disabled).unwrap();
    balancer.reset_standings();
    assert_eq!(balancer.standing("a"), Some(0));
}

#[test]
fn an_explanation_calls_a_full_member_full_and_not_lost() {
    let spec = MemberSpec::new().with_route("r").with_max_in_flight(1);
    let balancer = Balancer::builder().member("a", (), spec).build().unwrap();
    let _lease = balancer.pick(&PickRequest::new()).unwrap();
    let request = PickRequest::new()
        .with_session(Some("r"))
        .with_no_failover();
    let explanation = balancer.explain(&request);
    assert_eq!(balancer.pick(&request).unwrap_err(), PickError::AtCapacity);
    assert_eq!(explanation.reason(), &Reason::AtCapacity);
}

/// A name that comes back while a lease of it lives is whom it was, and comes last.
#[test]
fn who_returns_keeps_its_standing_and_comes_last() {
    let balancer = Balancer::new([("a", ()), ("b", ())]).unwrap();
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    let id = lease.member().id();
    drop(balancer.remove("a"));
    assert_eq!(balancer.insert("a", (), MemberSpec::new()), Ok(id));
    assert_eq!(balancer.standing("a"), Some(-100));
    let names: Vec<String> = balancer
        .members()
        .iter()
        .map(|member| member.name().to_owned())
        .collect();
    assert_eq!(names, ["b", "a"]);
}
