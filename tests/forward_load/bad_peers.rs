//! Peers that read nothing, and a member that is the forwarder itself: their cost has a bound,
//! and a limit ends them.

use std::time::Duration;

use tokio::time::Instant;

use crate::clients::Clients;
use crate::figures::{Open, sleep, soon, ticks};
use crate::forwarder::Forwarder;
use crate::member::Member;

const STUCK: usize = 100;

/// KiB that a connection with a peer that reads nothing may cost the forwarder: a piece that is
/// read at once, and some.
const MOST_EACH: u64 = 80;

/// The cost of connections in which everything is stuck, after it was first seen and later.
fn is_flat(forwarder: &Forwarder, before: u64) {
    let memory = || forwarder.role.memory("VmRSS");
    let (mut last, mut now) = (0, memory());
    let begun = Instant::now();
    // It grows until all buffers are full.
    while now > last && begun.elapsed() < Duration::from_secs(1) {
        sleep(Duration::from_millis(200));
        (last, now) = (now, memory());
    }
    println!("{before} KiB before, {now} KiB with {STUCK} that are stuck");
    assert!(now - before < MOST_EACH * STUCK as u64, "{now} KiB");
}

#[test]
fn a_member_that_reads_nothing_costs_little_and_is_given_up() {
    let member = Member::start("deaf");
    let mut forwarder = Forwarder::start("idle=2000", &[member.address]);
    let before = (Open::by(&forwarder.role), forwarder.role.memory("VmRSS"));
    let mut clients = Clients::of(forwarder.address);
    clients.open(STUCK, "mute");
    clients.flow("pour");
    is_flat(&forwarder, before.1);
    assert_eq!(clients.ends(), STUCK);
    forwarder.is_quiet();
    forwarder.closes_all_but(before.0);
}

#[test]
fn a_client_that_reads_nothing_costs_little_and_is_given_up() {
    let member = Member::start("endless");
    let mut forwarder = Forwarder::start("idle=2000", &[member.address]);
    let before = (Open::by(&forwarder.role), forwarder.role.memory("VmRSS"));
    let mut clients = Clients::of(forwarder.address);
    clients.open(STUCK, "mute");
    soon("all are connected", || {
        forwarder.counts().of("in_flight") == STUCK as u64
    });
    is_flat(&forwarder, before.1);
    forwarder.is_quiet();
    forwarder.closes_all_but(before.0);
}

#[test]
fn a_member_that_is_the_forwarder_itself_is_put_in_error() {
    for itself in ["address", "localhost"] {
        let member = Member::start("echo");
        let settings = format!("loops={itself}");
        let mut forwarder = Forwarder::start(&settings, &[member.address]);
        let before = Open::by(&forwarder.role);
        let mut clients = Clients::of(forwarder.address);
        let fares = clients.open(100, "speaks");
        let counts = forwarder.counts();
        println!("{itself}: {counts:?}");
        assert_eq!(fares.of("served"), 100, "{fares:?}");
        assert_eq!(counts.of("in_error"), 1, "{counts:?}");
        assert!(counts.of("elected") < 300, "{counts:?}");
        clients.close(100);
        forwarder.is_quiet();
        forwarder.closes_all_but(before);
    }
}

#[test]
fn a_loop_of_the_forwarder_alone_comes_to_rest() {
    for itself in ["address", "localhost"] {
        let mut forwarder = Forwarder::start(&format!("loops={itself}"), &[]);
        let before = Open::by(&forwarder.role);
        let mut clients = Clients::of(forwarder.address);
        let fares = clients.open(10, "speaks");
        assert_eq!(fares.of("served"), 0, "{fares:?}");
        forwarder.is_quiet();
        forwarder.closes_all_but(before);
        let elected = forwarder.counts().of("elected");
        println!("{itself}: {elected} elections for 10 clients");
        sleep(Duration::from_millis(200));
        assert_eq!(forwarder.counts().of("elected"), elected, "it goes on");
    }
}

#[test]
fn a_loop_by_way_of_another_forwarder_is_bounded_and_ends_without_its_member() {
    let settings = "connections=50 loss=0 idle=60000";
    let mut one = Forwarder::start(settings, &[]);
    let mut other = Forwarder::start(settings, &[one.address]);
    one.add("a", other.address);
    let before = Open::by(&one.role);
    let mut client = Clients::of(one.address);
    client.open(1, "mute");
    soon("the loop is as long as it may be", || {
        one.counts().of("in_flight") == 50
    });
    let needed = ticks(&one.role);
    sleep(Duration::from_millis(500));
    let needed = ticks(&one.role) - needed;
    println!("{needed} ticks in half a second");
    assert!(needed <= 20, "{needed} ticks in half a second");
    // One more is accepted, and waits.
    assert!(Open::by(&one.role).sockets <= before.sockets + 101);
    one.set("a", "disabled");
    one.is_quiet();
    other.is_quiet();
    one.closes_all_but(before);
}
