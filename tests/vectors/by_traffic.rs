//! Sequences of `bytraffic`.

use crate::support::{Fleet, spec, weighted};
use equipoise::{ByRequests, ByTraffic, PickRequest};

/// Who serves requests whose responses have these sizes.
fn transfers(fleet: &Fleet, sizes: &[u64]) -> String {
    let transfer = |&size| {
        let mut lease = fleet.pick().unwrap();
        lease.record_received(size);
        lease.member().name().to_owned()
    };
    sizes.iter().map(transfer).collect()
}

#[test]
fn equal_sizes_go_round_in_proportion_to_the_weights() {
    let rows = [("1:1", "ABABAB"), ("1:2:1", "ABCBABCBABCB")];
    for (weights, sequence) in rows {
        let fleet = weighted(ByTraffic::new(), weights);
        let sizes = vec![1_000; sequence.len()];
        assert_eq!(transfers(&fleet, &sizes), sequence, "{weights}");
    }
}

// Ledger 32: Apache divides each direction by 100 and cuts, so that 99 bytes are none.
#[test]
fn every_byte_counts_in_either_direction() {
    let fleet = weighted(ByTraffic::new(), "1:1");
    assert_eq!(transfers(&fleet, &[99, 98, 1]), "ABB", "Apache: AAA");
    assert_eq!(transfers(&fleet, &[1, 0, 0]), "ABB");

    let fleet = weighted(ByTraffic::new(), "1:1");
    let mut lease = fleet.pick().unwrap();
    lease.record_sent(50);
    lease.record_received(50);
    drop(lease);
    assert_eq!(transfers(&fleet, &[99, 1, 1]), "BBA");
}

#[test]
fn bytes_count_while_the_response_still_streams() {
    let fleet = weighted(ByTraffic::new(), "1:1");
    let mut streaming = fleet.pick().unwrap();
    assert_eq!(fleet.picks(1), "A", "nothing has moved yet");
    streaming.record_received(10);
    assert_eq!(fleet.picks(2), "BB");
}

// Ledger 34: in Apache who joins with nothing takes everything until it has caught up.
#[test]
fn who_joins_or_returns_starts_at_the_groups_minimum() {
    let fleet = weighted(ByTraffic::new(), "1:1");
    transfers(&fleet, &[1_000; 10]);
    fleet.balancer.insert("C", (), spec("-")).unwrap();
    assert_eq!(transfers(&fleet, &[1_000; 6]), "ABCABC", "Apache: CCCCCA");

    fleet.set("B", 'D');
    assert_eq!(transfers(&fleet, &[1_000; 4]), "ACAC");
    fleet.clear("B", 'D');
    assert_eq!(transfers(&fleet, &[1_000; 6]), "ABCABC");
}

#[test]
fn a_method_that_is_set_anew_starts_everybody_with_nothing() {
    let fleet = weighted(ByTraffic::new(), "1:1");
    transfers(&fleet, &[1_000, 10]);
    fleet.balancer.set_scheduler(ByRequests::new());
    fleet.balancer.set_scheduler(ByTraffic::new());
    assert_eq!(transfers(&fleet, &[10; 4]), "ABAB");
    assert_eq!(fleet.balancer.member("A").unwrap().bytes(), 1_020);
}

#[test]
fn a_session_keeps_no_books_but_its_bytes_do() {
    let fleet = weighted(ByTraffic::new(), "1:1");
    let request = PickRequest::new().with_session(Some("B"));
    for _ in 0..3 {
        fleet
            .balancer
            .pick(&request)
            .unwrap()
            .record_received(1_000);
    }
    assert_eq!(transfers(&fleet, &[1_000; 4]), "AAAA");
}
