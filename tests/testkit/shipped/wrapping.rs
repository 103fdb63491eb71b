//! The laws of fixed orders, and of schedulers that wrap others.

use equipoise::scheduler::{First, LeastRequest, Maglev, Rotation, Shadow, ZoneAware};
use equipoise::testkit::laws;
use equipoise::{ByBusyness, ByRequests};

use super::{keeps_the_contract, tijdeman};

#[test]
fn first_keeps_the_contract_and_no_law_of_shares() {
    keeps_the_contract(First::new);
    // The first member gets all requests, and the next one those that fail over.
    laws::shares_by_weight(First::new, 20, 0.1).unwrap_err();
    laws::honours_ramps(First::new, 20, 0.1).unwrap_err();
    laws::starves_none(First::new, 20.0).unwrap_err();
    laws::shares_failovers(First::new, 2.0).unwrap_err();
}

/// Members without the label are in one zone, be it the caller's own or another one.
#[test]
fn in_one_zone_zone_aware_keeps_the_laws_of_the_scheduler_inside() {
    let near = || ZoneAware::new("", Rotation::new);
    let far = || ZoneAware::new("elsewhere", Rotation::new);
    keeps_the_contract(near);
    keeps_the_contract(far);
    laws::honours_ramps(near, 1, 0.001).unwrap();
    laws::is_smooth(near, tijdeman, tijdeman).unwrap();
    laws::is_smooth(far, tijdeman, tijdeman).unwrap();
    laws::starves_none(far, 2.0).unwrap();
    laws::shares_failovers(near, 1.1).unwrap();
    let hashing = || ZoneAware::new("elsewhere", || Maglev::with_table_size(251).unwrap());
    laws::survives_churn(hashing).unwrap();
    laws::keeps_keys(hashing).unwrap();
    laws::is_no_sinkhole(|| ZoneAware::new("", LeastRequest::new), 20, 1.0).unwrap();
}

#[test]
fn a_shadow_keeps_the_laws_of_the_active_scheduler() {
    let rotation = || Shadow::new(Rotation::new(), LeastRequest::new());
    keeps_the_contract(rotation);
    laws::is_smooth(rotation, tijdeman, tijdeman).unwrap();
    laws::shares_failovers(rotation, 1.1).unwrap();
    let loads = || Shadow::new(LeastRequest::new(), ByBusyness::new());
    laws::survives_churn(loads).unwrap();
    laws::is_no_sinkhole(loads, 20, 1.0).unwrap();
    let keys = || Shadow::new(Maglev::with_table_size(251).unwrap(), ByRequests::new());
    laws::keeps_keys(keys).unwrap();
}
