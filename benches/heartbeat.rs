//! What does a report of capacity cost, and how many bytes does a server that reports take?
//!
//! `cargo bench --features heartbeat --bench heartbeat`. It counts bytes with an allocator of its
//! own.

#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]
#![expect(clippy::unwrap_used, reason = "a failed step ends the benchmark")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use allocation_counter::measure;
use equipoise::heartbeat::{
    HeartbeatFile, HeartbeatKey, HeartbeatMonitor, HeartbeatSender, InFlight, MemberAddress,
    OrcaReport,
};
use equipoise::{Balancer, Heartbeat, HeartbeatReadings, MemberSpec};

mod timing;

use timing::fastest;

/// So many operations are timed together: short enough to pass without an interruption.
const ROUND: u32 = 2_000;

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    println!("| what | time | bytes a sender |");
    println!("|---|---:|---:|");
    for servers in if measuring { [10, 10_000] } else { [10, 100] } {
        members(servers);
        others(servers);
    }
    forged();
    file();
    let orca = "TEXT cpu_utilization=0.31, application_utilization=0.42, rps_fractional=90.5";
    let time = fastest(ROUND, |_| {
        black_box(OrcaReport::parse(orca.as_bytes()).unwrap());
    });
    println!("| a report in a response's header (ORCA), three metrics | {time:.0} ns | |");
    let in_flight = InFlight::new();
    let time = fastest(ROUND, |_| drop(black_box(in_flight.begin())));
    println!("| `InFlight`: one request counted in and out | {time:.0} ns | |");
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000_u32.wrapping_add(number)).into()
}

/// Reports of members that a balancer has.
fn members(count: u32) {
    let readings = HeartbeatReadings::new();
    let mut builder = Balancer::builder().scheduler(Heartbeat::new(&readings));
    for number in 0..count {
        let uri = format!("http://{}", address(number));
        let uri: http::Uri = uri.parse().unwrap();
        builder = builder.member(number.to_string(), uri, MemberSpec::new());
    }
    let balancer = builder.build().unwrap();
    reports(&format!("one of {count} members"), count, |monitor| {
        monitor
            .follow(&balancer, &readings, MemberAddress::of_uri)
            .detach();
    });
}

/// Reports of servers that are no members.
fn others(count: u32) {
    reports(&format!("one of {count} other servers"), count, |_| {});
}

/// Times the datagrams of `count` senders, and counts the bytes that a monitor holds of each,
/// including those of what `prepare` does.
fn reports(whose: &str, count: u32, prepare: impl Fn(&HeartbeatMonitor)) {
    let monitor = HeartbeatMonitor::new();
    let receive = |sender| {
        monitor
            .receive(address(sender), b"v=1&ready=30&busy=2")
            .unwrap()
    };
    let held = measure(|| {
        prepare(&monitor);
        for sender in 0..count {
            receive(sender);
        }
    });
    let bytes = held.bytes_current as f64 / f64::from(count);
    let time = fastest(ROUND, |turn| {
        black_box(receive(turn.wrapping_mul(0x9e37_79b1) % count));
    });
    println!("| a datagram of {whose} | {time:.0} ns | {bytes:.0} |");
}

/// A signed datagram: what is timed is one that is rejected, after its signature was computed.
fn forged() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = socket.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut datagram = [0; 512];
    let length = runtime.block_on(async {
        let sender = HeartbeatSender::new(to)
            .capacity(30)
            .key(HeartbeatKey::new(&[7; 32]));
        let sending = sender.spawn();
        tokio::time::sleep(Duration::from_millis(50)).await;
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let received = socket.recv(&mut datagram);
        drop(sending);
        received.unwrap()
    });
    let monitor = HeartbeatMonitor::builder()
        .key(HeartbeatKey::new(&[8; 32]))
        .build();
    let time = fastest(ROUND, |_| {
        black_box(monitor.receive(address(1), &datagram[..length])).unwrap_err();
    });
    println!("| a datagram with a wrong signature | {time:.0} ns | |");
}

fn file() {
    let lines = 100;
    let text: String = (0..lines)
        .map(|number| format!("{} &busy=2&ready=30&lastseen=1&port=80\n", address(number)))
        .collect();
    let time = fastest(ROUND, |turn| {
        if turn % lines == 0 {
            black_box(HeartbeatFile::parse(text.as_bytes()));
        }
    });
    println!("| a line of a file | {time:.0} ns | |");
}
