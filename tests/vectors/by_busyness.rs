//! Sequences of `bybusyness`.

use crate::support::{Fleet, weighted};
use equipoise::{ByBusyness, Lease};

/// As many requests as `sequence` has letters, all held.
fn hold(fleet: &Fleet, sequence: &str) -> Vec<Lease<()>> {
    let leases: Vec<Lease<()>> = sequence.chars().map(|_| fleet.pick().unwrap()).collect();
    let names: String = leases.iter().map(|lease| lease.member().name()).collect();
    assert_eq!(names, sequence);
    leases
}

#[test]
fn idle_members_are_elected_by_weight_and_busy_ones_by_what_they_hold() {
    let fleet = weighted(ByBusyness::new(), "1:2");
    assert_eq!(fleet.picks(9), "BABBABBAB");
    assert_eq!(fleet.standings(), [0, 0]);

    let held = hold(&fleet, "BAB");
    assert_eq!(fleet.standings(), [0, 0]);
    assert_eq!(fleet.picks(6), "AAAAAA");
    assert_eq!(fleet.standings(), [-1200, 1200], "the drift is Apache's");

    drop(held);
    assert_eq!(
        fleet.picks(6),
        "BBBBBB",
        "the credit is spent when all are idle"
    );
}

#[test]
fn a_weight_does_not_let_a_member_hold_more_unless_asked_for() {
    let apaches = weighted(ByBusyness::new(), "1:3");
    assert_eq!(hold(&apaches, "BABABABA").len(), 8, "four each");

    let weighted = weighted(ByBusyness::weighted(), "1:3");
    let held: Vec<Lease<()>> = (0..8).map(|_| weighted.pick().unwrap()).collect();
    assert_eq!(weighted.balancer.member("A").unwrap().in_flight(), 2);
    assert_eq!(weighted.balancer.member("B").unwrap().in_flight(), 6);
    drop(held);
}

#[test]
fn who_comes_back_with_requests_in_flight_is_known_to_be_busy() {
    let fleet = weighted(ByBusyness::new(), "1:1");
    let _held = hold(&fleet, "AB");
    let second = hold(&fleet, "A");
    fleet.set("A", 'D');
    assert_eq!(fleet.picks(1), "B");
    drop(second);
    fleet.clear("A", 'D');
    assert_eq!(fleet.standings(), [-100, 100], "frozen while it was out");
    assert_eq!(
        fleet.picks(2),
        "BA",
        "both hold one, so that standings decide"
    );
}
