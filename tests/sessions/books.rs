//! What a session's hit changes, and what it leaves alone.

use crate::support::{abc, answer, by, on, site};
use equipoise::{Flag, PickRequest, Session};

#[test]
fn a_hit_is_counted_in_flight_and_as_an_election() {
    let site = abc();
    let lease = site.lease("/", "SID=x.B", &[]).unwrap();
    let member = site.balancer.member("B").unwrap();
    assert_eq!((member.in_flight(), member.picked()), (1, 1));
    drop(lease);
    assert_eq!((member.in_flight(), member.picked()), (0, 1));
    assert_eq!(site.balancer.standing("B"), Some(-200));
    assert_eq!(site.newcomer(), by("A", Session::New));
}

#[test]
fn a_hit_outside_the_active_group_changes_no_books() {
    let site = site([
        ("A", on("A")),
        ("B", on("B")),
        ("draining", on("draining").with_flag(Flag::Draining)),
        ("spare", on("spare").with_flag(Flag::HotSpare)),
        ("standby", on("standby").with_flag(Flag::HotStandby)),
        ("tier", on("tier").with_tier(1)),
    ]);
    site.newcomer().unwrap();
    let standings = || {
        let members = site.balancer.members();
        let standing = |name: &str| site.balancer.standing(name).unwrap();
        members
            .iter()
            .map(|m| standing(m.name()))
            .collect::<Vec<_>>()
    };
    // The draining member stands in the spare's way to being needed: it is in the group.
    let before = standings();
    for name in ["draining", "standby", "tier"] {
        assert_eq!(site.visit(&format!("x.{name}")), by(name, Session::Hit));
        assert_eq!(standings(), before, "{name}");
        assert_eq!(site.balancer.member(name).unwrap().picked(), 1);
    }
    assert_eq!(site.visit("x.spare"), by("spare", Session::Hit));
    assert_ne!(
        standings(),
        before,
        "the spare stands in for the draining one"
    );
}

#[test]
fn a_lost_session_is_an_election_as_any_other() {
    let site = abc();
    site.fail("C");
    let served: String = (0..4).map(|_| site.visit("x.C").unwrap().0).collect();
    assert_eq!(served, "ABAB");
}

#[test]
fn tried_members_are_not_returned_to_whatever_their_state() {
    let site = abc();
    let all = ["A", "B", "C"].map(|name| site.id(name));
    let lease = site.lease("/", "SID=x.B", &all[1..2]).unwrap();
    assert_eq!(answer(&lease), ("A".into(), Session::Lost));
    let lease = site.lease("/", "SID=x.B", &all[..2]).unwrap();
    assert_eq!(answer(&lease), ("C".into(), Session::Lost));
    let error = site.lease("/", "SID=x.B", &all).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of 3 members can be picked (3 tried by this request)"
    );
}

#[test]
fn a_tried_member_passes_its_session_to_another_of_the_same_route() {
    let site = site([("A", on("r")), ("B", on("r")), ("C", on("C"))]);
    let tried = [site.id("A")];
    let lease = site.lease("/", "SID=x.r", &tried).unwrap();
    assert_eq!(answer(&lease), ("B".into(), Session::Hit));
}

#[test]
fn an_empty_route_is_none() {
    let site = site([("A", on("")), ("B", on("B"))]);
    assert_eq!(site.balancer.spec("A").unwrap().route(), None);
    let request = PickRequest::new().with_session(Some(""));
    let lease = site.balancer.pick(&request).unwrap();
    assert_eq!(answer(&lease), ("A".into(), Session::New));
    assert_eq!(lease.route(), None);
}
