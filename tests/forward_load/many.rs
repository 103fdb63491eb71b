//! Thousands of connections at once, and thousands one after the other.

use tokio::time::Instant;

use crate::clients::Clients;
use crate::figures::{Open, size};
use crate::forwarder::Forwarder;
use crate::member::Member;

/// Bytes that an idle connection may cost the forwarder.
const MOST_EACH: u64 = 8 * 1024;

/// Each connection takes two descriptors of the forwarder.
fn as_descriptors_allow(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let limit = limit.map_or(wanted, |limit| usize::try_from(limit).unwrap());
    wanted.min(limit.saturating_sub(200) / 2)
}

#[test]
fn thousands_of_idle_connections_cost_little_memory_and_leave_nothing_behind() {
    let connections = as_descriptors_allow(size("EQUIPOISE_CONNECTIONS", 5_000));
    let members = [Member::start("echo"), Member::start("echo")];
    let addresses = members.each_ref().map(|member| member.address);
    let mut forwarder = Forwarder::start("", &addresses);
    let mut clients = Clients::of(forwarder.address);
    // What is made once and for all is there before anything is measured.
    assert_eq!(clients.open(50, "speaks").of("served"), 50);
    clients.close(50);
    forwarder.is_quiet();
    forwarder.closes_all_but(Open::by(&forwarder.role));

    let before = (Open::by(&forwarder.role), forwarder.role.memory("VmRSS"));
    let begun = Instant::now();
    let fares = clients.open(connections, "speaks");
    assert_eq!(fares.of("served"), connections as u64, "{fares:?}");
    println!("{connections} opened in {:?}", begun.elapsed());
    assert_eq!(forwarder.counts().of("in_flight"), connections as u64);
    let open = Open::by(&forwarder.role);
    assert_eq!(open.sockets, before.0.sockets + 2 * connections);
    let memory = forwarder.role.memory("VmRSS");
    let each = (memory - before.1) * 1024 / connections as u64;
    println!(
        "{connections} idle: {} KiB before, {memory} KiB with them, {each} bytes each",
        before.1
    );
    assert!(each < MOST_EACH, "{each} bytes each");
    // All are still served.
    let fares = clients.ask();
    assert_eq!(fares.of("served"), connections as u64, "{fares:?}");

    clients.close(connections);
    let quiet = forwarder.is_quiet();
    println!("all ended in {quiet:?}");
    forwarder.closes_all_but(before.0);
    let counts = forwarder.counts();
    assert_eq!(counts.of("success"), 50 + connections as u64, "{counts:?}");
}

#[test]
fn connections_leave_no_descriptor_behind() {
    let connections = size("EQUIPOISE_CONNECTIONS", 2_000);
    let members = [Member::start("echo"), Member::start("echo")];
    let addresses = members.each_ref().map(|member| member.address);
    let mut forwarder = Forwarder::start("", &addresses);
    let before = Open::by(&forwarder.role);
    let mut clients = Clients::of(forwarder.address);
    let begun = Instant::now();
    let (mut opened, mut round) = (0, 0);
    while opened < connections || round % 4 != 2 {
        let fares = clients.open(200, "speaks");
        assert_eq!(fares.of("served"), 200, "{fares:?}");
        opened += 200;
        match round % 4 {
            0 => clients.close(200),
            2 => clients.end_all("reset"),
            odd => {
                // So many are large, and have pipes by turns. One with bytes in it is closed.
                clients.close(190);
                clients.flow("large");
                clients.end_all(if odd == 1 { "finish" } else { "reset" });
                assert_eq!(clients.ends(), 10);
            }
        }
        round += 1;
        forwarder.is_quiet();
    }
    println!("{opened} connections in {:?}", begun.elapsed());
    forwarder.closes_all_but(before);
    let after = Open::by(&forwarder.role);
    println!("{before:?} before, {after:?} after");
    assert!(after.pipes > before.pipes, "none was large");
}
