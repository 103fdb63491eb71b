//! The laws of Apache's methods, and of the rotation that is smoother than Apache's.

use equipoise::scheduler::Rotation;
use equipoise::testkit::laws;
use equipoise::{ByBusyness, ByRequests, ByTraffic, Heartbeat, HeartbeatReadings};

use super::{keeps_the_contract, tijdeman};

#[test]
fn by_requests_keeps_the_laws_of_an_exact_rotation() {
    keeps_the_contract(ByRequests::new);
    laws::shares_by_weight(ByRequests::new, 1, 0.001).unwrap();
    laws::shares_by_weight(ByRequests::new, 20, 0.001).unwrap();
    laws::is_smooth(
        ByRequests::new,
        |_| 1.2,
        |members| 1.0 - 1.0 / members as f64,
    )
    .unwrap();
    laws::starves_none(ByRequests::new, 2.0).unwrap();
    laws::is_monotone_in_weight(ByRequests::new, 1, 0.001).unwrap();
    laws::shares_failovers(ByRequests::new, 1.1).unwrap();
    laws::is_no_sinkhole(ByRequests::new, 0, 1.01).unwrap();
}

#[test]
fn by_busyness_keeps_the_laws_but_is_a_sinkhole() {
    keeps_the_contract(ByBusyness::new);
    keeps_the_contract(ByBusyness::weighted);
    laws::shares_by_weight(ByBusyness::new, 1, 0.001).unwrap();
    laws::honours_ramps(ByBusyness::new, 1, 0.002).unwrap();
    laws::starves_none(ByBusyness::new, 2.0).unwrap();
    laws::is_monotone_in_weight(ByBusyness::new, 1, 0.001).unwrap();
    laws::shares_by_weight(ByBusyness::weighted, 1, 0.001).unwrap();
    laws::shares_failovers(ByBusyness::new, 1.5).unwrap();
    // As Apache's: it compares requests in flight, and has no memory of failures.
    laws::is_no_sinkhole(ByBusyness::new, 0, 1.5).unwrap_err();
}

#[test]
fn by_traffic_keeps_the_laws() {
    keeps_the_contract(ByTraffic::new);
    keeps_the_contract(ByTraffic::catching_up);
}

#[test]
fn a_heartbeat_without_reports_keeps_the_laws_of_its_fallback() {
    keeps_the_contract(|| Heartbeat::new(&HeartbeatReadings::new()));
}

#[test]
fn rotation_keeps_the_bound_that_no_order_improves() {
    keeps_the_contract(Rotation::new);
    laws::shares_by_weight(Rotation::new, 1, 0.001).unwrap();
    laws::shares_by_weight(Rotation::new, 20, 0.001).unwrap();
    laws::honours_ramps(Rotation::new, 1, 0.001).unwrap();
    laws::is_smooth(Rotation::new, tijdeman, tijdeman).unwrap();
    laws::starves_none(Rotation::new, 2.0).unwrap();
    laws::is_monotone_in_weight(Rotation::new, 1, 0.001).unwrap();
    laws::shares_failovers(Rotation::new, 1.1).unwrap();
    laws::is_no_sinkhole(Rotation::new, 0, 1.01).unwrap();
}
