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
    for own in ["", "elsewhere"] {
        let zoned = || ZoneAware::new(own, Rotation::new);
        keeps_the_contract(zoned);
        laws::shares_by_weight(zoned, 1, 0.001).unwrap();
        laws::honours_ramps(zoned, 1, 0.001).unwrap();
        laws::is_smooth(zoned, tijdeman, tijdeman).unwrap();
        laws::starves_none(zoned, 2.0).unwrap();
        laws::shares_failovers(zoned, 1.1).unwrap();
        let hashing = || ZoneAware::new(own, || Maglev::with_table_size(251).unwrap());
        keeps_the_contract(hashing);
        laws::keeps_keys(hashing).unwrap();
    }
    let loads = || ZoneAware::new("", LeastRequest::new);
    keeps_the_contract(loads);
    laws::shares_by_weight(loads, 400, 0.01).unwrap();
    laws::is_no_sinkhole(loads, 20, 1.0).unwrap();
}

#[test]
fn a_shadow_keeps_the_laws_of_the_active_scheduler() {
    let rotation = || Shadow::new(Rotation::new(), LeastRequest::new());
    keeps_the_contract(rotation);
    laws::is_smooth(rotation, tijdeman, tijdeman).unwrap();
    laws::shares_failovers(rotation, 1.1).unwrap();
    laws::is_no_sinkhole(rotation, 0, 1.01).unwrap();
    let loads = || Shadow::new(LeastRequest::new(), ByBusyness::new());
    keeps_the_contract(loads);
    laws::is_no_sinkhole(loads, 20, 1.0).unwrap();
    let keys = || Shadow::new(Maglev::with_table_size(251).unwrap(), ByRequests::new());
    keeps_the_contract(keys);
    laws::keeps_keys(keys).unwrap();
}
