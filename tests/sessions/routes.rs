//! Which member a route leads to.

use crate::support::{abc, answer, by, on, site};
use equipoise::{Flag, PickRequest, Session};
use std::time::Duration;

#[test]
fn a_members_state_decides_whether_it_serves_its_sessions() {
    for flag in Flag::ALL {
        let site = abc();
        site.set("B", flag);
        let expected = match flag {
            Flag::Disabled | Flag::Ejected | Flag::FailedCheck | Flag::InError | Flag::Stopped => {
                by("A", Session::Lost)
            }
            _ => by("B", Session::Hit),
        };
        assert_eq!(site.visit("abc.B"), expected, "{flag}");
    }
}

#[test]
fn a_route_is_new_to_the_client_unless_its_own_member_serves_it() {
    let rows = [
        (Session::Hit, false),
        (Session::Lost, true),
        (Session::New, true),
        (Session::Off, false),
        (Session::Redirected, true),
    ];
    for (session, changed) in rows {
        assert_eq!(session.route_changed(), changed, "{session:?}");
    }
}

#[test]
fn a_request_is_served_by_the_member_of_the_session_it_presents() {
    // URI, cookie, who serves, and how the session fared.
    let rows = [
        ("/", "SID=abc.B", "B", Session::Hit),
        ("/app;sid=abc.C/x", "theme=dark", "C", Session::Hit),
        ("/app?sid=abc.C", "SID=abc.B", "C", Session::Hit), // ledger 12: URL before cookie
        ("/app;sid=abc%2EC", "SID=abc.B", "C", Session::Hit),
        ("/app?sid=abc", "SID=abc.B", "A", Session::New), // it hides the cookie
        ("/app?sid=", "SID=abc.B", "B", Session::Hit),
        ("/", "SID=abc.x.B", "A", Session::Lost), // ledger 12: the first separator
        ("/", "SID=B", "A", Session::New),        // ledger 14: no separator, no route
        ("/", "SID=abc.", "A", Session::New),
        ("/", "SID=abc.b", "A", Session::Lost), // exactly, letter for letter
        ("/", "SID=abc.B ", "B", Session::Hit), // ledger 13: trailing blanks
        ("/", "SID=\"abc.B\"", "B", Session::Hit), // ledger 13: quotes
        ("/", "SID=abc.9", "A", Session::Lost),
        ("/", "other=abc.B", "A", Session::New),
    ];
    for (uri, cookie, name, session) in rows {
        let lease = abc().lease(uri, cookie, &[]).unwrap();
        assert_eq!(answer(&lease), (name.into(), session), "{uri} {cookie}");
        assert_eq!(lease.route(), Some(name));
    }
}

#[test]
fn the_cookie_that_a_proxy_sets_brings_the_client_back() {
    // 3.8: a leading separator and the route.
    let site = abc();
    let first = site.newcomer().unwrap();
    assert_eq!(first, ("A".into(), Session::New));
    assert_eq!(site.visit(".A"), by("A", Session::Hit));
    assert_eq!(site.visit("A"), by("B", Session::New), "without the dot");
    site.set("A", Flag::Draining);
    assert_eq!(site.visit(".A"), by("A", Session::Hit));
    site.set("A", Flag::Disabled);
    let moved = site.visit(".A").unwrap();
    assert_eq!(moved.1, Session::Lost);
}

#[test]
fn sessions_are_off_unless_a_request_says_otherwise() {
    let site = abc();
    let lease = site.balancer.pick(&PickRequest::new()).unwrap();
    assert_eq!(lease.session(), Session::Off);
    assert!(!lease.session().route_changed());
}

#[test]
fn of_several_members_of_one_route_the_first_that_can_serves() {
    let site = site([
        ("A", on("other")),
        ("B", on("r")),
        ("C", on("r")),
        ("D", on("r")),
    ]);
    for _ in 0..3 {
        assert_eq!(site.visit("x.r"), by("B", Session::Hit), "no balancing");
    }
    site.fail("B");
    assert_eq!(site.visit("x.r"), by("C", Session::Hit));
    site.set("C", Flag::Disabled);
    assert_eq!(site.visit("x.r"), by("D", Session::Hit));
    site.set("D", Flag::Stopped);
    assert_eq!(site.visit("x.r"), by("A", Session::Lost));
}

#[test]
fn a_standby_of_the_same_route_takes_over_unnoticed() {
    let standby = on("r").with_flag(Flag::HotStandby);
    let site = site([("A", standby), ("B", on("r")), ("C", on("other"))]);
    assert_eq!(
        site.visit("x.r"),
        by("B", Session::Hit),
        "standbys come last"
    );
    site.fail("B");
    assert_eq!(site.visit("x.r"), by("A", Session::Hit));
}

#[test]
fn members_of_other_tiers_spares_and_standbys_serve_their_sessions() {
    let site = site([
        ("A", on("A")),
        ("tier", on("tier").with_tier(7)),
        ("spare", on("spare").with_flag(Flag::HotSpare)),
        ("standby", on("standby").with_flag(Flag::HotStandby)),
        (
            "all",
            on("all")
                .with_tier(9)
                .with_flag(Flag::HotSpare)
                .with_flag(Flag::Draining),
        ),
    ]);
    for name in ["tier", "spare", "standby", "all"] {
        assert_eq!(site.visit(&format!("x.{name}")), by(name, Session::Hit));
    }
    assert_eq!(site.newcomer(), by("A", Session::New));
}

// PR 38962: Apache once answered 503 without looking whether the delay was over.
#[test]
fn a_session_is_taken_up_again_when_its_member_has_recovered() {
    let site = abc();
    site.fail("B");
    assert_eq!(site.visit("x.B"), by("A", Session::Lost));
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(site.visit("x.B"), by("B", Session::Hit));

    for name in ["A", "B", "C"] {
        site.fail(name);
    }
    assert_eq!(
        site.visit("x.C"),
        by("C", Session::Hit),
        "by forced recovery"
    );
}

#[test]
fn a_route_follows_the_member_that_has_it_now() {
    let site = abc();
    let edit = |name: &str, route: &'static str| {
        let edited = site
            .balancer
            .update(name, move |spec| spec.with_route(route));
        edited.unwrap();
    };
    edit("B", "moved");
    assert_eq!(site.visit("x.B").unwrap().1, Session::Lost);
    assert_eq!(site.visit("x.moved"), by("B", Session::Hit));
    edit("C", "moved");
    assert_eq!(
        site.visit("x.moved"),
        by("B", Session::Hit),
        "B is the earlier"
    );
    edit("B", "");
    assert_eq!(site.visit("x.moved"), by("C", Session::Hit));
    drop(site.balancer.remove("C"));
    assert_eq!(site.visit("x.moved").unwrap().1, Session::Lost);
}
