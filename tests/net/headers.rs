//! PROXY headers: of which peers they are read, and what a connection without one comes to.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::net::{Accepted, Acceptor, Connector, ProxyHeader, ProxyVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::relay::{Serving, exchange, relay};
use super::within;

const HEADER: &str = "PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n";

fn behind_loopback() -> Acceptor {
    Acceptor::new().proxy_protocol(["127.0.0.0/8".parse().unwrap()])
}

/// Tells a client where it comes from, and returns what it sends.
async fn introduce(accepted: Accepted) {
    let client = accepted.client_addr().unwrap();
    let is_peer = accepted.peer_addr() == Some(client);
    let mut stream = accepted.into_stream();
    let mut sent = String::new();
    stream.read_to_string(&mut sent).await.unwrap();
    let told = format!("{client} {is_peer} {sent}");
    stream.write_all(told.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_listed_peer_names_its_client_and_what_follows_is_left() {
    within(async {
        let front = Serving::start(behind_loopback(), introduce);
        let stream = front.connect().await;
        let got = exchange(stream, &format!("{HEADER}rest")).await;
        assert_eq!(got, "203.0.113.7:5000 false rest");
    })
    .await;
}

#[tokio::test]
async fn a_listed_peer_that_speaks_for_itself_is_the_client() {
    within(async {
        let front = Serving::start(behind_loopback(), introduce);
        let stream = front.connect().await;
        let own = stream.local_addr().unwrap();
        let got = exchange(stream, "PROXY UNKNOWN\r\nrest").await;
        assert_eq!(got, format!("{own} true rest"));
    })
    .await;
}

#[tokio::test]
async fn the_header_of_a_peer_that_is_not_listed_is_no_header() {
    within(async {
        let others = Acceptor::new().proxy_protocol(["10.0.0.0/8".parse().unwrap()]);
        let front = Serving::start(others, introduce);
        let stream = front.connect().await;
        let own = stream.local_addr().unwrap();
        let got = exchange(stream, HEADER).await;
        assert_eq!(got, format!("{own} true {HEADER}"));
    })
    .await;
}

#[tokio::test]
async fn a_listed_peer_without_a_header_is_closed_unseen() {
    within(async {
        let front = Serving::start(behind_loopback(), introduce);
        let mut stream = front.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut got = Vec::new();
        // A reset, as something was left unread.
        let _ = stream.read_to_end(&mut got).await;
        assert!(got.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_listed_peer_that_sends_nothing_is_cut() {
    within(async {
        let limit = Duration::from_millis(100);
        let front = Serving::start(behind_loopback().handshake_timeout(limit), introduce);
        let mut stream = front.connect().await;
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}

/// Tells a client what the next hop would be told.
async fn pass_on(accepted: Accepted) {
    let header = accepted.next_proxy_header();
    let mut stream = accepted.into_stream();
    let bytes = header.encode(ProxyVersion::V2);
    stream.write_all(&bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// What the next hop is told after that has been sent; the addresses are the connection's own.
async fn passed_on(sent: &[u8]) -> (ProxyHeader, Option<(SocketAddr, SocketAddr)>) {
    let front = Serving::start(behind_loopback(), pass_on);
    let mut stream = front.connect().await;
    let own = stream.local_addr().zip(stream.peer_addr());
    stream.write_all(sent).await.unwrap();
    (ProxyHeader::read(&mut stream).await.unwrap(), own)
}

#[tokio::test]
async fn a_header_is_passed_on_with_its_values_but_without_what_is_about_its_bytes() {
    within(async {
        let client = "203.0.113.7:5000".parse().unwrap();
        let server = "10.0.0.1:80".parse().unwrap();
        let lean = ProxyHeader::new(client, server).with_alpn(b"h2").unwrap();
        let lean = lean.with_value(0xE0, b"eu").unwrap();
        let padded = lean.clone().with_value(3, &[0; 4]).unwrap();
        let padded = padded.with_value(4, b"padding").unwrap();
        let (header, _) = passed_on(&padded.encode(ProxyVersion::V2)).await;
        assert_eq!(header, lean);
    })
    .await;
}

#[tokio::test]
async fn where_no_client_is_named_the_next_hop_is_told_of_the_peer() {
    within(async {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let sent = ProxyHeader::unknown().encode(version);
            let (header, own) = passed_on(&sent).await;
            assert_eq!(header.source().zip(header.destination()), own);
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_is_told_of_the_client_by_either_version() {
    within(async {
        let member = Serving::start(behind_loopback(), introduce);
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let to = Connector::tcp(member.address);
            let front = Serving::start(Acceptor::new(), move |accepted: Accepted| {
                let header = accepted.next_proxy_header();
                relay(accepted, to.clone().proxy_header(&header, version))
            });
            let stream = front.connect().await;
            let own = stream.local_addr().unwrap();
            assert_eq!(exchange(stream, "rest").await, format!("{own} false rest"));
        }
    })
    .await;
}
