//! Sessions whose member is known by its name.

use crate::support::{by, on};
use equipoise::balancer::Reason;
use equipoise::{Balancer, Flag, MemberId, MemberSpec, PickError, PickRequest, Session};

fn plain() -> MemberSpec {
    MemberSpec::new()
}

fn over<const N: usize>(members: [(&str, MemberSpec); N]) -> Balancer<()> {
    let members = members.map(|(name, spec)| (name, (), spec));
    Balancer::builder().members(members).build().unwrap()
}

/// Which member serves the session of this one, and how it fared; `explain` has to agree.
fn visit(
    balancer: &Balancer<()>,
    name: &str,
    tried: &[MemberId],
) -> Result<(String, Session), PickError> {
    let request = PickRequest::new().with_session_member(Some(name));
    pick(balancer, &request.with_tried(tried))
}

fn pick(
    balancer: &Balancer<()>,
    request: &PickRequest<'_>,
) -> Result<(String, Session), PickError> {
    let explained = balancer.explain(request);
    let lease = balancer.pick(request);
    let foreseen = explained.picked().map(|member| member.name.as_ref());
    let came = lease.as_ref().ok().map(|lease| lease.member().name());
    assert_eq!(foreseen, came, "{explained}");
    let lease = lease?;
    Ok((lease.member().name().to_owned(), lease.session()))
}

#[test]
fn a_member_needs_no_route_and_serves_its_sessions_in_whatever_role() {
    let balancer = over([
        ("a", plain()),
        ("draining", plain().with_flag(Flag::Draining)),
        ("spare", plain().with_flag(Flag::HotSpare)),
        ("standby", plain().with_flag(Flag::HotStandby)),
        ("tier", plain().with_tier(1)),
    ]);
    for name in ["draining", "spare", "standby", "tier", "a"] {
        for _ in 0..3 {
            assert_eq!(visit(&balancer, name, &[]), by(name, Session::Hit));
        }
    }
}

#[test]
fn a_hit_is_in_the_books_as_that_of_a_route_is() {
    let routed = over([("a", on("a")), ("b", on("b"))]);
    let named = over([("a", plain()), ("b", plain())]);
    for member in ["b", "b", "a", "b"] {
        let request = PickRequest::new().with_session(Some(member));
        drop(routed.pick(&request).unwrap());
        visit(&named, member, &[]).unwrap();
    }
    for member in ["a", "b"] {
        assert_eq!(named.standing(member), routed.standing(member));
    }
}

#[test]
fn a_session_whose_member_cannot_serve_is_lost_to_another() {
    for flag in [
        Flag::Disabled,
        Flag::Stopped,
        Flag::InError,
        Flag::FailedCheck,
    ] {
        let balancer = over([("a", plain()), ("b", plain())]);
        balancer.set_flag("b", flag).unwrap();
        assert_eq!(visit(&balancer, "b", &[]), by("a", Session::Lost), "{flag}");
    }
    let balancer = over([("a", plain()), ("b", plain().with_max_in_flight(1))]);
    assert_eq!(visit(&balancer, "gone", &[]), by("a", Session::Lost));
    let request = PickRequest::new().with_session_member(Some("b"));
    let _full = balancer.pick(&request).unwrap();
    assert_eq!(visit(&balancer, "b", &[]), by("a", Session::Lost));
    let tried = [balancer.member("a").unwrap().id()];
    assert_eq!(
        visit(&balancer, "a", &tried).unwrap_err(),
        PickError::AtCapacity
    );
}

#[test]
fn its_route_and_its_redirect_route_are_followed_before_another_is_elected() {
    let balancer = over([
        ("a", plain()),
        ("b", on("r").with_redirect_route("s")),
        ("b-standby", on("r").with_flag(Flag::HotStandby)),
        ("c", plain().with_redirect_route("s")),
        ("d", on("s").with_tier(1)),
    ]);
    balancer.set_flag("b", Flag::Disabled).unwrap();
    balancer.set_flag("c", Flag::Disabled).unwrap();
    let redirected = by("d", Session::Redirected);
    assert_eq!(visit(&balancer, "b", &[]), redirected);
    assert_eq!(visit(&balancer, "c", &[]), redirected);
    balancer.set_flag("d", Flag::Disabled).unwrap();
    let standby = by("b-standby", Session::Redirected);
    assert_eq!(visit(&balancer, "b", &[]), standby);
    assert_eq!(visit(&balancer, "c", &[]), by("a", Session::Lost));
}

#[test]
fn without_failover_only_its_own_member_serves_it() {
    let balancer = over([("a", plain()), ("b", plain().with_max_in_flight(1))]);
    let request = PickRequest::new()
        .with_session_member(Some("b"))
        .with_no_failover();
    let full = balancer.pick(&request).unwrap();
    assert_eq!(pick(&balancer, &request), Err(PickError::AtCapacity));
    drop(full);
    balancer.set_flag("b", Flag::Disabled).unwrap();
    let lost = PickError::SessionLost { route: "b".into() };
    assert_eq!(pick(&balancer, &request), Err(lost));
    drop(balancer.remove("b").unwrap());
    assert_eq!(pick(&balancer, &request), by("a", Session::Lost));
}

#[test]
fn of_a_route_and_a_member_the_last_counts() {
    let balancer = over([("a", on("ra")), ("b", on("rb"))]);
    let request = PickRequest::new().with_session(Some("ra"));
    let request = request.with_session_member(Some("b"));
    assert_eq!(pick(&balancer, &request), by("b", Session::Hit));
    let request = request.with_session(Some("ra"));
    assert_eq!(pick(&balancer, &request), by("a", Session::Hit));
    let request = request.with_session_member(None);
    assert_eq!(pick(&balancer, &request).unwrap().1, Session::New);
}

#[test]
fn an_explanation_names_the_member_that_cannot_serve() {
    let balancer = over([("a", plain()), ("b", plain().with_flag(Flag::Disabled))]);
    let request = PickRequest::new().with_session_member(Some("b"));
    let scheduled = Reason::Scheduled {
        tied_with: None,
        lost_route: Some("b".to_owned()),
    };
    assert_eq!(*balancer.explain(&request).reason(), scheduled);
}
