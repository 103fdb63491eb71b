//! How members leave the error status: the retry rule, and forced recovery (2.2, 2.3).

use crate::support::{Fleet, flagged, fleet_of, spec};
use equipoise::{Balancer, PickError};
use std::time::Duration;

fn unforced(flags: &str) -> Fleet {
    let builder = Balancer::builder().forced_recovery(false);
    fleet_of(builder, flags.split(' ').map(spec))
}

#[test]
fn with_everybody_dead_each_request_tries_each_member_once() {
    let fleet = flagged("- - -");
    for _ in 0..4 {
        let mut trail: Vec<char> = fleet.request("ABC").chars().collect();
        trail.sort_unstable();
        // Ledger 35: Apache recovers before every attempt and may try one twice.
        assert_eq!(trail, ['!', 'A', 'B', 'C']);
    }
}

#[test]
fn without_forced_recovery_nobody_is_tried_until_the_delay_is_over() {
    let fleet = unforced("- -");
    assert_eq!(fleet.request("AB"), "AB!");
    assert_eq!(fleet.request("AB"), "!");
    fleet.wait(59);
    let error = fleet.pick().unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert!(matches!(
        error,
        PickError::NoneUsable {
            members: 2,
            tried: 0,
            ..
        }
    ));
    fleet.wait(1);
    assert_eq!(fleet.request("").len(), 1);
}

// Ledger 5: in Apache one disabled member keeps the dead ones from being tried again.
#[test]
fn a_member_that_cannot_become_usable_does_not_block_forced_recovery() {
    for other in ["D", "S", "C", "N"] {
        let fleet = flagged(&format!("- {other}"));
        for _ in 0..3 {
            assert_eq!(fleet.request("A"), "A!", "beside {other}");
        }
        assert_eq!(fleet.request(""), "A", "beside {other}");
        assert!(
            !fleet
                .balancer
                .spec("B")
                .unwrap()
                .status()
                .contains(equipoise::Flag::InError)
        );
    }
}

#[test]
fn forced_recovery_forgives_only_those_whom_the_error_alone_keeps_out() {
    let fleet = flagged("- DE SE CE");
    assert_eq!(fleet.request("A"), "A!");
    assert_eq!(fleet.request(""), "A");
    for name in ["B", "C", "D"] {
        let status = fleet.balancer.member(name).unwrap().status();
        assert!(status.contains(equipoise::Flag::InError), "{name}");
    }
}

#[test]
fn an_empty_balancer_recovers_nothing() {
    let fleet = fleet_of(Balancer::builder(), []);
    assert_eq!(fleet.pick().unwrap_err(), PickError::Empty);
}

// Ledger 33: in Apache the first selection clears an error that was configured.
#[test]
fn a_configured_error_counts_from_the_start() {
    let fleet = flagged("E -");
    assert_eq!(fleet.picks(2), "BB");
    fleet.wait(59);
    assert_eq!(fleet.picks(2), "BB");
    fleet.wait(1);
    assert_eq!(fleet.picks(2), "AB");

    let alone = flagged("E");
    assert_eq!(alone.picks(1), "A", "forced recovery goes before");
    assert_eq!(unforced("E").picks(1), "!");
}

#[test]
fn only_the_error_is_cleared_when_its_time_is_over() {
    for (letters, after_delay) in [("E", true), ("DE", false), ("SE", false), ("CE", false)] {
        let fleet = unforced(&format!("{letters} -"));
        fleet.wait(60);
        fleet.picks(1);
        assert_eq!(fleet.is_usable("A"), after_delay, "{letters}");
        let in_error = fleet.balancer.spec("A").unwrap().status();
        let stopped = letters.contains('S');
        assert_eq!(
            in_error.contains(equipoise::Flag::InError),
            stopped,
            "{letters}"
        );
    }
}

#[test]
fn a_failed_probe_starts_the_delay_anew_and_each_one_is_counted() {
    let fleet = flagged("- -");
    assert_eq!(fleet.request("A"), "AB");
    for probe in 1..4 {
        fleet.wait(60);
        // The probe comes in its turn: at the second request at the latest.
        let tried = fleet.request("A") + &fleet.request("A");
        assert!(tried.contains('A'), "{tried}");
        assert_eq!(fleet.balancer.member("A").unwrap().recoveries(), probe);
        assert_eq!(fleet.request("A"), "B");
        fleet.wait(59);
        assert_eq!(fleet.request("A"), "B");
    }
}

#[test]
fn a_member_that_ignores_errors_is_never_in_error() {
    let fleet = flagged("I -");
    assert_eq!(
        fleet.request("A"),
        "AB",
        "yet it is not tried twice by one request"
    );
    assert!(fleet.is_usable("A"));
    assert_eq!(fleet.balancer.member("A").unwrap().recoveries(), 0);
}

#[test]
fn a_success_does_not_clear_an_error() {
    let fleet = flagged("- -");
    let lease = fleet.pick().unwrap();
    lease.put_in_error();
    lease.finish(equipoise::Outcome::Success);
    assert!(!fleet.is_usable("A"));
    assert_eq!(fleet.picks(2), "BB");
}
