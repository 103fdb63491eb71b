//! What a session's hit does to the standings (2.7; ledger 8).

use crate::support::{Fleet, fleet, spec, weighted};
use equipoise::{ByBusyness, ByRequests, ByTraffic, Scheduler};

/// A and B, C as a standby, D in the next tier.
fn four(scheduler: impl Scheduler) -> Fleet {
    let specs = [spec("-"), spec("-"), spec("H"), spec("-").with_tier(1)];
    fleet(scheduler, specs)
}

// Ledger 8: in Apache the standby and the other tier gain credit as well, and spend it
// in one burst: −900, 300, 300, 300.
#[test]
fn a_hit_counts_as_an_election_among_those_who_are_eligible() {
    let fleet = four(ByRequests::new());
    for _ in 0..3 {
        assert_eq!(fleet.session("A"), "A");
    }
    assert_eq!(fleet.standings(), [-300, 300, 0, 0]);
    assert_eq!(fleet.picks(6), "BBBABA", "Apache: BBBBBB");

    let busy = four(ByBusyness::new());
    busy.session("A");
    assert_eq!(busy.standings(), [-100, 100, 0, 0]);
    assert_eq!(busy.picks(2), "BA");
}

// Ledger 8: Apache adds to the standings under every method.
#[test]
fn a_hit_is_nothing_to_a_method_that_goes_by_bytes() {
    let fleet = weighted(ByTraffic::new(), "1:1");
    fleet.session("A");
    assert_eq!(fleet.standings(), [0, 0]);
    assert_eq!(fleet.picks(2), "AA");
}

#[test]
fn a_hit_outside_the_group_changes_no_standing() {
    let fleet = four(ByRequests::new());
    fleet.picks(1);
    for name in ["C", "D", "C"] {
        assert_eq!(fleet.session(name), name);
    }
    fleet.set("B", 'N');
    assert_eq!(fleet.session("B"), "B");
    assert_eq!(fleet.standings(), [-100, 100, 0, 0]);
}

// Ledger 8: in Apache some 21 million hits overflow a member's standing.
#[test]
fn hits_on_one_member_cost_it_as_many_turns_and_no_more() {
    let fleet = weighted(ByRequests::new(), "100:1");
    for _ in 0..10_000 {
        fleet.session("A");
    }
    assert_eq!(fleet.standings(), [-1_000_000, 1_000_000]);
    let until_a = (0..).find(|_| fleet.picks(1) == "A");
    assert_eq!(until_a, Some(100), "B repays 10 100 with each request");
}

#[test]
fn hits_follow_each_other_as_elections_do() {
    let fleet = weighted(ByRequests::new(), "5:1:1");
    for name in ["A", "A", "B", "A", "C", "A", "A"] {
        assert_eq!(fleet.session(name), name);
    }
    assert_eq!(fleet.standings(), [0, 0, 0]);
    assert_eq!(fleet.picks(7), "AABACAA");
}
