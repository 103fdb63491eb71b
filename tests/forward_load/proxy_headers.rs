//! PROXY headers that come slowly, that never end, or from a peer that is not trusted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::time::Instant;

use crate::clients::Clients;
use crate::figures::{Open, sleep};
use crate::forwarder::Forwarder;
use crate::member::Member;

const LIMIT: Duration = Duration::from_secs(1);

/// A forwarder that expects a header of each peer on this machine.
fn trusting() -> (Member, Forwarder) {
    let member = Member::start("echo");
    let settings = format!("trusts=127.0.0.0/8 handshake={}", LIMIT.as_millis());
    let forwarder = Forwarder::start(&settings, &[member.address]);
    (member, forwarder)
}

fn connected(forwarder: &Forwarder) -> TcpStream {
    let stream = TcpStream::connect(forwarder.address).unwrap();
    stream.set_read_timeout(Some(LIMIT * 10)).unwrap();
    stream
}

/// Whether the other side has ended or reset the connection, within a while.
fn is_gone(mut stream: &TcpStream) -> bool {
    !matches!(stream.read(&mut [0]), Ok(1))
}

fn is_served(mut stream: TcpStream) {
    stream
        .write_all(b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\nhello")
        .unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn a_header_that_comes_byte_by_byte_is_given_up_after_its_time() {
    let (_member, mut forwarder) = trusting();
    let before = Open::by(&forwarder.role);
    let header = b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n";
    let mut slow: Vec<_> = (0..50).map(|_| connected(&forwarder)).collect();
    let begun = Instant::now();
    for byte in header {
        for stream in &mut slow {
            // It may be over.
            let _ = stream.write_all(&[*byte]);
        }
        sleep(Duration::from_millis(100));
        if begun.elapsed() > LIMIT * 2 {
            break;
        }
    }
    is_served(connected(&forwarder));
    assert!(slow.iter().all(is_gone));
    assert_eq!(forwarder.counts().of("elected"), 1);
    forwarder.is_quiet();
    forwarder.closes_all_but(before);
}

#[test]
fn a_header_that_never_ends_is_given_up_at_its_greatest_length() {
    let (_member, mut forwarder) = trusting();
    let before = (Open::by(&forwarder.role), forwarder.role.memory("VmRSS"));
    let begun = Instant::now();
    for _ in 0..50 {
        let mut stream = connected(&forwarder);
        stream.write_all(b"PROXY TCP4 ").unwrap();
        while stream.write_all(&[b'1'; 4_096]).is_ok() {}
    }
    assert!(begun.elapsed() < LIMIT, "it waits for more");
    is_served(connected(&forwarder));
    assert_eq!(forwarder.counts().of("elected"), 1);
    let memory = forwarder.role.memory("VmRSS");
    assert!(memory < before.1 + 2_048, "{memory} KiB");
    forwarder.is_quiet();
    forwarder.closes_all_but(before.0);
}

#[test]
fn a_header_of_a_peer_that_is_not_trusted_is_content() {
    let member = Member::start("echo");
    let forwarder = Forwarder::start("trusts=192.0.2.0/24", &[member.address]);
    for header in [
        b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n".as_slice(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\x13\x88\0\x50",
    ] {
        let mut stream = connected(&forwarder);
        stream.write_all(header).unwrap();
        let mut back = vec![0; header.len()];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, header);
    }
}

/// A peer that is trusted must send one, and others are served meanwhile.
#[test]
fn a_trusted_peer_without_a_header_reaches_no_member() {
    let (mut member, mut forwarder) = trusting();
    let mut clients = Clients::of(forwarder.address);
    let fares = clients.open(50, "speaks");
    assert_eq!(fares.of("reset") + fares.of("ended"), 50, "{fares:?}");
    is_served(connected(&forwarder));
    assert_eq!(member.accepted(), 1);
    assert_eq!(forwarder.counts().of("elected"), 1);
}
