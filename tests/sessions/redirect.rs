//! Redirect routes: who takes a member's sessions while it cannot serve (3.5).

use crate::support::{Site, abc, by, on, site};
use equipoise::{Flag, MemberSpec, PickError, Session};

/// A member whose sessions go to another route.
fn to(route: &str, redirect: &str) -> MemberSpec {
    on(route).with_redirect_route(redirect)
}

/// Members of tier 1 behind somebody else, so that the method elects none of them.
fn behind<const N: usize>(members: [(&str, MemberSpec); N]) -> Site {
    let site = site(members.map(|(name, spec)| (name, spec.with_tier(1))));
    site.balancer.insert("other", (), on("other")).unwrap();
    site
}

#[test]
fn a_redirect_is_followed_only_while_the_routes_own_member_cannot_serve() {
    let site = behind([("A", to("A", "B")), ("B", on("B"))]);
    assert_eq!(site.visit("x.A"), by("A", Session::Hit));
    assert_eq!(
        site.newcomer(),
        by("other", Session::New),
        "nothing to newcomers"
    );
    for flag in [
        Flag::Disabled,
        Flag::Stopped,
        Flag::InError,
        Flag::FailedCheck,
    ] {
        site.set("A", flag);
        assert_eq!(site.visit("x.A"), by("B", Session::Redirected), "{flag}");
        site.balancer.clear_flag("A", flag).unwrap();
    }
    site.set("A", Flag::Draining);
    assert_eq!(site.visit("x.A"), by("A", Session::Hit));
}

#[test]
fn a_redirect_leads_to_members_in_whatever_role() {
    for flag in [
        Flag::Draining,
        Flag::HotSpare,
        Flag::HotStandby,
        Flag::IgnoreErrors,
    ] {
        let site = behind([("A", to("A", "B")), ("B", on("B").with_flag(flag))]);
        site.fail("A");
        assert_eq!(site.visit("x.A"), by("B", Session::Redirected), "{flag}");
    }
}

#[test]
fn chains_are_followed_and_loops_end() {
    let chain = behind([("A", to("A", "B")), ("B", to("B", "C")), ("C", on("C"))]);
    chain.fail("A");
    chain.fail("B");
    assert_eq!(chain.visit("x.A"), by("C", Session::Redirected));
    chain.fail("C");
    assert_eq!(chain.visit("x.A"), by("other", Session::Lost));

    // PR 59864: Apache once recursed for ever.
    let ring = behind([("A", to("A", "B")), ("B", to("B", "A"))]);
    ring.fail("A");
    assert_eq!(ring.visit("x.A"), by("B", Session::Redirected));
    ring.fail("B");
    assert_eq!(ring.visit("x.A"), by("other", Session::Lost));
    assert_eq!(ring.visit("x.B"), by("other", Session::Lost));

    let itself = behind([("A", to("A", "A"))]);
    itself.fail("A");
    assert_eq!(itself.visit("x.A"), by("other", Session::Lost));

    let nowhere = behind([("A", to("A", "gone"))]);
    nowhere.fail("A");
    assert_eq!(nowhere.visit("x.A"), by("other", Session::Lost));
}

#[test]
fn a_chain_of_hundreds_of_members_ends_somewhere() {
    let site = abc();
    for at in 0..500 {
        let spec = to(&format!("r{at}"), &format!("r{}", at + 1)).with_flag(Flag::Disabled);
        site.balancer.insert(format!("m{at}"), (), spec).unwrap();
    }
    site.balancer
        .insert("last", (), on("r500").with_tier(1))
        .unwrap();
    assert_eq!(site.visit("x.r490"), by("last", Session::Redirected));
    assert_eq!(
        site.visit("x.r0").unwrap().1,
        Session::Lost,
        "too long a way"
    );
}

#[test]
fn a_redirect_goes_before_other_members_of_the_same_route() {
    let site = behind([("A", to("r", "B")), ("A2", on("r")), ("B", on("B"))]);
    site.fail("A");
    assert_eq!(site.visit("x.r"), by("B", Session::Redirected));
    site.fail("B");
    assert_eq!(site.visit("x.r"), by("A2", Session::Hit));
}

#[test]
fn each_member_of_a_route_may_redirect_elsewhere() {
    let site = behind([
        ("A", to("r", "B")),
        ("A2", to("r", "C")),
        ("B", on("B")),
        ("C", on("C")),
    ]);
    for name in ["A", "A2", "B"] {
        site.fail(name);
    }
    assert_eq!(site.visit("x.r"), by("C", Session::Redirected));
}

#[test]
fn a_redirect_is_followed_also_where_failover_is_forbidden() {
    let site = behind([("A", to("A", "B")), ("B", on("B"))]).without_failover();
    site.fail("A");
    assert_eq!(site.visit("x.A"), by("B", Session::Redirected));
    site.fail("B");
    let lost = PickError::SessionLost { route: "A".into() };
    assert_eq!(site.visit("x.A"), Err(lost));
}

#[test]
fn a_member_at_its_cap_or_tried_redirects_as_one_that_cannot_serve() {
    let site = behind([("A", to("A", "B").with_max_in_flight(1)), ("B", on("B"))]);
    let held = site.lease("/", "SID=x.A", &[]).unwrap();
    assert_eq!(site.visit("x.A"), by("B", Session::Redirected));
    drop(held);
    assert_eq!(site.visit("x.A"), by("A", Session::Hit));

    let tried = [site.id("A")];
    let lease = site.lease("/", "SID=x.A", &tried).unwrap();
    assert_eq!(lease.member().name(), "B");
    assert_eq!(lease.session(), Session::Redirected);
}
