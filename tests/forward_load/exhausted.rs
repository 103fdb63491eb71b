//! Descriptors run out: accepting pauses and goes on, no client is answered wrongly, and no
//! member is blamed.

use std::time::Duration;

use crate::clients::Clients;
use crate::figures::{Open, sleep, soon, ticks};
use crate::forwarder::Forwarder;
use crate::member::Member;

/// How many descriptors the forwarder has.
const FILES: &str = "256";
const CLIENTS: usize = 2_000;

/// Hundredths of a second that the forwarder may need in a second in which it can do nothing.
const MOST_TICKS: u64 = 50;

/// What the forwarder needs in a second.
fn ticks_in_a_second(forwarder: &Forwarder) -> u64 {
    let before = ticks(&forwarder.role);
    sleep(Duration::from_secs(1));
    ticks(&forwarder.role) - before
}

#[test]
fn clients_wait_for_those_before_them_when_descriptors_are_few() {
    let member = Member::start("echo");
    let mut forwarder = Forwarder::limited("", &[member.address], FILES);
    let before = Open::by(&forwarder.role);
    let mut first = Clients::of(forwarder.address);
    // As many as there may be by default: half of those beyond 64.
    assert_eq!(first.open(96, "speaks").of("served"), 96);
    let mut others = Clients::of(forwarder.address);
    others.begin(CLIENTS - 96, "speaks_and_ends");
    let needed = ticks_in_a_second(&forwarder);
    println!("{needed} ticks in a second with {CLIENTS} clients that wait");
    assert!(needed <= MOST_TICKS, "{needed} ticks");
    assert_eq!(forwarder.counts().of("elected"), 96);
    assert_eq!(first.ask().of("served"), 96);
    first.close(96);
    let fares = others.opened();
    assert_eq!(fares.of("served"), CLIENTS as u64 - 96, "{fares:?}");
    forwarder.is_quiet();
    forwarder.closes_all_but(before);
    assert_eq!(forwarder.counts().of("failure"), 0);
}

/// With more connections than descriptors, both accepting and connecting fail.
#[test]
fn neither_clients_nor_members_are_wronged_when_no_descriptor_is_left() {
    let members = [Member::start("echo"), Member::start("echo")];
    let addresses = members.each_ref().map(|member| member.address);
    let mut forwarder = Forwarder::limited("connections=10000", &addresses, FILES);
    let before = Open::by(&forwarder.role);
    let mut first = Clients::of(forwarder.address);
    first.open(300, "mute");
    soon("descriptors run out", || {
        Open::by(&forwarder.role).sockets >= 230
    });
    let mut others = Clients::of(forwarder.address);
    others.begin(CLIENTS - 300, "speaks_and_ends");
    let needed = ticks_in_a_second(&forwarder);
    let during = forwarder.counts();
    println!("{needed} ticks in a second without a descriptor; {during:?}");
    first.close(300);
    let fares = others.opened();
    let counts = forwarder.counts();
    println!("{fares:?} {counts:?}");
    assert!(needed <= MOST_TICKS, "{needed} ticks");
    let told = fares.of("served") + fares.of("reset");
    assert_eq!(told, CLIENTS as u64 - 300, "{fares:?}");
    assert_eq!(counts.of("in_error"), 0, "{counts:?}");
    assert_eq!(counts.of("failure"), counts.of("unsent"), "{counts:?}");
    forwarder.is_quiet();
    forwarder.closes_all_but(before);
    // And it is as good as ever.
    assert_eq!(others.open(50, "speaks").of("served"), 50);
}
