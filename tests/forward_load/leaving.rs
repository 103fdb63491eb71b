//! Members that drain or are lost, and a forwarder that stops, with hundreds of connections.

use std::time::Duration;

use tokio::time::Instant;

use crate::clients::Clients;
use crate::figures::{Open, soon};
use crate::forwarder::Forwarder;
use crate::member::Member;

fn two_members() -> ([Member; 2], Vec<std::net::SocketAddr>) {
    let members = [Member::start("echo"), Member::start("echo")];
    let addresses = members.iter().map(|member| member.address).collect();
    (members, addresses)
}

#[test]
fn connections_to_a_member_that_drains_go_on_and_new_ones_go_elsewhere() {
    let (mut members, addresses) = two_members();
    let mut forwarder = Forwarder::start("loss=0", &addresses);
    let mut clients = Clients::of(forwarder.address);
    assert_eq!(clients.open(400, "speaks").of("served"), 400);
    let of_a = members[0].accepted();
    assert_eq!(of_a, 200);
    forwarder.set("a", "draining");
    assert_eq!(clients.ask().of("served"), 400);
    let mut others = Clients::of(forwarder.address);
    assert_eq!(others.open(200, "speaks").of("served"), 200);
    assert_eq!(members[0].accepted(), of_a);
    assert_eq!(members[1].accepted(), 400);
    assert_eq!(clients.ask().of("served"), 400);
    assert_eq!(forwarder.counts().of("in_flight_of_a"), 200);
    clients.close(400);
    soon("the member is empty", || {
        forwarder.counts().of("in_flight_of_a") == 0
    });
    assert_eq!(others.ask().of("served"), 200);
}

#[test]
fn a_stop_waits_for_connections_and_counts_those_that_it_cuts() {
    for left in [0, 150] {
        let (_members, addresses) = two_members();
        let mut forwarder = Forwarder::start("drain=3000", &addresses);
        let mut clients = Clients::of(forwarder.address);
        assert_eq!(clients.open(400, "speaks").of("served"), 400);
        let begun = Instant::now();
        forwarder.stop();
        let fares = clients.ask();
        assert_eq!(fares.of("served"), 400, "they go on: {fares:?}");
        let late = Clients::of(forwarder.address).open(1, "speaks");
        assert_eq!(late.of("unconnected"), 1, "{late:?}");
        clients.close(400 - left);
        let cut = forwarder.role.says("cut: ");
        println!("{cut} cut after {:?}", begun.elapsed());
        assert_eq!(cut, left.to_string());
        assert_eq!(forwarder.counts().of("in_flight"), 0);
        let fares = clients.ask();
        assert_eq!(fares.of("reset"), left as u64, "{fares:?}");
    }
}

#[test]
fn a_thousand_connections_end_with_their_member_at_once_or_after_a_while() {
    for grace in [Duration::ZERO, Duration::from_secs(1)] {
        let (_members, addresses) = two_members();
        let settings = format!("loss={}", grace.as_millis());
        let mut forwarder = Forwarder::start(&settings, &addresses);
        let before = Open::by(&forwarder.role);
        let mut clients = Clients::of(forwarder.address);
        assert_eq!(clients.open(2_000, "speaks").of("served"), 2_000);
        let begun = Instant::now();
        forwarder.set("a", "disabled");
        soon("all of the member's have ended", || {
            forwarder.counts().of("in_flight_of_a") == 0
        });
        let took = begun.elapsed();
        println!("1 000 of 2 000 ended {took:?} after the loss, with a grace of {grace:?}");
        assert!(took >= grace, "{took:?}");
        assert!(took < grace + Duration::from_secs(5), "{took:?}");
        let fares = clients.ask();
        let told = (fares.of("served"), fares.of("reset"));
        assert_eq!(told, (1_000, 1_000), "{fares:?}");
        clients.close(1_000);
        forwarder.is_quiet();
        forwarder.closes_all_but(before);
    }
}
