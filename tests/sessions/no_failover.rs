//! Requests that insist on their session's member (3.6), and what caps and attempts
//! before do to them.

use crate::support::{abc, by, on, site};
use equipoise::balancer::Reason;
use equipoise::{Flag, PickError, PickRequest, Session};

fn lost(route: &str) -> PickError {
    PickError::SessionLost {
        route: route.into(),
    }
}

#[test]
fn a_session_whose_member_cannot_serve_is_refused() {
    for flag in [
        Flag::InError,
        Flag::Disabled,
        Flag::Stopped,
        Flag::FailedCheck,
    ] {
        let site = abc().without_failover();
        assert_eq!(site.visit("x.B"), by("B", Session::Hit));
        site.set("B", flag);
        assert_eq!(site.visit("x.B"), Err(lost("B")), "{flag}");
        assert_eq!(site.balancer.standing("A"), Some(100), "nobody was elected");
    }
}

#[test]
fn a_session_whose_member_fails_it_is_refused_after_one_attempt() {
    let site = abc().without_failover();
    let lease = site.lease("/", "SID=x.B", &[]).unwrap();
    lease.put_in_error();
    let tried = [lease.member().id()];
    drop(lease);
    let second = site.lease("/", "SID=x.B", &tried);
    assert_eq!(second.unwrap_err(), lost("B"));
}

#[test]
fn a_member_that_ignores_errors_is_not_returned_to_by_the_same_request() {
    let site = abc().without_failover();
    site.set("B", Flag::IgnoreErrors);
    let tried = [site.id("B")];
    assert_eq!(site.lease("/", "SID=x.B", &tried).unwrap_err(), lost("B"));
    assert_eq!(site.visit("x.B"), by("B", Session::Hit));
}

#[test]
fn a_route_that_nobody_owns_and_a_newcomer_are_balanced_as_ever() {
    let site = abc().without_failover();
    assert_eq!(site.visit("x.gone"), by("A", Session::Lost));
    assert_eq!(site.visit("nodot"), by("B", Session::New));
    assert_eq!(site.newcomer(), by("C", Session::New));
    let tried = [site.id("A")];
    let lease = site.lease("/", "theme=dark", &tried).unwrap();
    assert_eq!(lease.member().name(), "B", "they fail over, too");
}

#[test]
fn another_member_of_the_route_may_serve() {
    let standby = on("r").with_flag(Flag::HotStandby);
    let site = site([("A", on("r")), ("B", standby), ("C", on("C"))]).without_failover();
    site.fail("A");
    assert_eq!(site.visit("x.r"), by("B", Session::Hit));
}

#[test]
fn a_member_at_its_cap_sends_its_sessions_elsewhere_where_that_is_allowed() {
    let site = abc();
    let cap = site.balancer.update("B", |spec| spec.with_max_in_flight(1));
    cap.unwrap();
    let held = site.lease("/", "SID=x.B", &[]).unwrap();
    assert_eq!(site.visit("x.B"), by("A", Session::Lost));
    drop(held);
    assert_eq!(site.visit("x.B"), by("B", Session::Hit));
}

#[test]
fn a_member_at_its_cap_is_busy_rather_than_lost_where_failover_is_forbidden() {
    let site = abc().without_failover();
    let cap = site.balancer.update("B", |spec| spec.with_max_in_flight(1));
    cap.unwrap();
    let held = site.lease("/", "SID=x.B", &[]).unwrap();
    assert_eq!(site.visit("x.B"), Err(PickError::AtCapacity));
    drop(held);
    assert_eq!(site.visit("x.B"), by("B", Session::Hit));
}

#[test]
fn an_explanation_tells_a_busy_session_from_a_lost_one() {
    let site = abc();
    let cap = site.balancer.update("B", |spec| spec.with_max_in_flight(1));
    cap.unwrap();
    let request = PickRequest::new()
        .with_session(Some("B"))
        .with_no_failover();
    let held = site.balancer.pick(&request).unwrap();
    assert_eq!(
        site.balancer.pick(&request).unwrap_err(),
        PickError::AtCapacity
    );
    assert_eq!(
        site.balancer.explain(&request).reason(),
        &Reason::AtCapacity
    );
    drop(held);
    site.fail("B");
    assert_eq!(
        site.balancer.explain(&request).reason(),
        &Reason::SessionLost
    );
}
