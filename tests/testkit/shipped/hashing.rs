//! The laws of hashing schedulers.

use equipoise::scheduler::{BoundedLoad, HashScheduler, Maglev, Modulo, Rendezvous, Ring};
use equipoise::testkit::laws;

use super::{keeps_the_contract, measure};

#[test]
fn maglev_keeps_the_laws_of_hashing() {
    let small = || Maglev::with_table_size(1_009).unwrap();
    keeps_the_contract(small);
    laws::shares_by_weight(small, 1, 0.04).unwrap();
    // A member that ramps up passes on keys of its own: others' keys stay.
    laws::honours_ramps(small, 1, 0.04).unwrap_err();
    laws::starves_none(small, 20.0).unwrap();
    laws::is_monotone_in_weight(small, 1, 0.04).unwrap();
    laws::shares_failovers(small, 1.5).unwrap();
    laws::is_no_sinkhole(small, 0, 1.5).unwrap();
    laws::keeps_keys(small).unwrap();
    laws::moves_few_keys(small, 0.06).unwrap();
}

#[test]
fn rendezvous_moves_no_key_of_another_member_and_honours_ramps() {
    keeps_the_contract(Rendezvous::new);
    laws::shares_by_weight(Rendezvous::new, 1, 0.04).unwrap();
    laws::honours_ramps(Rendezvous::new, 1, 0.04).unwrap();
    laws::starves_none(Rendezvous::new, 20.0).unwrap();
    laws::is_monotone_in_weight(Rendezvous::new, 1, 0.04).unwrap();
    laws::shares_failovers(Rendezvous::new, 1.3).unwrap();
    laws::is_no_sinkhole(Rendezvous::new, 0, 1.15).unwrap();
    laws::keeps_keys(Rendezvous::new).unwrap();
    laws::moves_few_keys(Rendezvous::new, 0.0).unwrap();
}

/// The laws of all rings, which differ only in their points. The share of a member is that
/// of its points, which differs from that of its weight.
fn keeps_the_laws_of_rings(make: impl Fn() -> Ring, tolerance: f64) {
    laws::honours_tried(&make).unwrap();
    laws::allocates_nothing(&make, measure).unwrap();
    laws::shares_by_weight(&make, 1, tolerance).unwrap();
    laws::shares_failovers(&make, 1.0 + 12.0 * tolerance).unwrap();
    laws::keeps_keys(&make).unwrap();
}

#[test]
fn a_ring_moves_no_key_of_another_member() {
    let small = || Ring::with_points(20).unwrap();
    // With bounded sizes: a weight of 65 535 has millions of points otherwise.
    keeps_the_contract(|| Ring::envoy_with_sizes(60, 500).unwrap());
    keeps_the_laws_of_rings(small, 0.2);
    laws::moves_few_keys(small, 0.0).unwrap();
    laws::moves_few_keys(Ring::new, 0.0).unwrap();
    // A member of weight 0.03 has one point of a smaller ring, and may have few of the keys.
    let medium = || Ring::with_points(100).unwrap();
    laws::starves_none(medium, 30.0).unwrap();
    laws::is_monotone_in_weight(small, 1, 0.2).unwrap();
    laws::is_no_sinkhole(small, 0, 2.0).unwrap();
    let large = || Ring::with_points(655).unwrap();
    laws::shares_by_weight(large, 1, 0.06).unwrap();
}

#[test]
fn the_ring_of_nginx_moves_no_key_of_another_member() {
    keeps_the_laws_of_rings(Ring::nginx, 0.12);
    laws::moves_few_keys(Ring::nginx, 0.0).unwrap();
}

#[test]
fn the_ring_of_haproxy_numbers_members_by_place() {
    laws::survives_churn(Ring::haproxy).unwrap();
    keeps_the_laws_of_rings(Ring::haproxy, 0.25);
    // The ids of the members after a removed one change, as in HAProxy.
    laws::moves_few_keys(Ring::haproxy, 0.1).unwrap_err();
}

#[test]
fn the_rings_of_memcached_and_envoy_give_all_members_other_numbers_of_points() {
    keeps_the_laws_of_rings(Ring::ketama, 0.12);
    let small = || Ring::envoy_with_sizes(100, 1_000).unwrap();
    keeps_the_laws_of_rings(small, 0.2);
    laws::moves_few_keys(Ring::ketama, 0.4).unwrap();
    laws::moves_few_keys(Ring::ketama, 0.0).unwrap_err();
    laws::moves_few_keys(small, 0.4).unwrap();
    laws::moves_few_keys(small, 0.0).unwrap_err();
}

/// Exact shares, but a removal moves most keys: so these are for those that must pick as
/// HAProxy or nginx.
#[test]
fn modulo_has_exact_shares_and_moves_most_keys() {
    // The map of the other one is made anew at each change, which takes long without
    // optimization.
    keeps_the_contract(Modulo::nginx);
    laws::honours_tried(Modulo::new).unwrap();
    laws::allocates_nothing(Modulo::nginx, measure).unwrap();
    let both: [fn() -> Modulo; 2] = [Modulo::new, Modulo::nginx];
    for make in both {
        laws::shares_by_weight(make, 1, 0.04).unwrap();
        laws::shares_failovers(make, 1.3).unwrap();
        laws::keeps_keys(make).unwrap();
        laws::moves_few_keys(make, 0.3).unwrap_err();
    }
    laws::starves_none(Modulo::new, 20.0).unwrap();
    laws::is_monotone_in_weight(Modulo::new, 1, 0.04).unwrap();
    laws::is_no_sinkhole(Modulo::new, 0, 1.15).unwrap();
}

/// The laws of keys. Here each request ends before the next one, so that no bound is
/// reached.
fn keeps_the_keys_of<S: HashScheduler>(inner: impl Fn() -> S, moved: f64) {
    let make = || BoundedLoad::new(inner());
    laws::honours_tried(make).unwrap();
    laws::allocates_nothing(make, measure).unwrap();
    laws::keeps_keys(make).unwrap();
    laws::moves_few_keys(make, moved).unwrap();
}

#[test]
fn a_bounded_load_keeps_keys_while_no_bound_is_reached() {
    keeps_the_keys_of(Rendezvous::new, 0.0);
    keeps_the_keys_of(|| Maglev::with_table_size(1_009).unwrap(), 0.06);
    keeps_the_keys_of(|| Ring::with_points(20).unwrap(), 0.0);
}

#[test]
fn a_bounded_load_shares_by_weight_under_load() {
    let bounded = || BoundedLoad::new(Rendezvous::new());
    keeps_the_contract(bounded);
    laws::starves_none(bounded, 20.0).unwrap();
    laws::shares_failovers(bounded, 1.4).unwrap();
    let even = || bounded().with_percent(100).unwrap();
    laws::shares_by_weight(even, 400, 0.04).unwrap();
    // A member that fails at once has none in flight: it gets what the bounds of the others
    // refuse.
    laws::is_no_sinkhole(bounded, 0, 1.4).unwrap_err();
}
