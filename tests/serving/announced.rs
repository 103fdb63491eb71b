//! The PROXY protocol: a balancer in front that says who its client is.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::proxy::Server;
use http::Version;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::client::{Client, bytes, get, rest};
use super::front::Front;
use super::member::{Member, proxy};
use super::within;

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const ONE: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n";
const ONE_6: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 80\r\n";
const ONE_UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
/// 203.0.113.7:5000 to 10.0.0.1:80.
const TWO: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\x13\x88\0\x50";
/// The balancer itself.
const TWO_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

async fn front(member: &Member, peers: &str) -> Front {
    let server = Server::new().proxy_protocol([peers.parse().unwrap()]);
    Front::start(server, proxy([member.endpoint()]))
}

#[tokio::test]
async fn members_are_told_of_the_client_that_a_listed_peer_announces() {
    within(async {
        let member = Member::telling().await;
        for peers in ["127.0.0.0/8", "::ffff:127.0.0.1/128"] {
            let front = front(&member, peers).await;
            for (header, client) in [
                (ONE, "203.0.113.7"),
                (ONE_6, "2001:db8::7"),
                (ONE_UNKNOWN, "127.0.0.1"),
                (TWO, "203.0.113.7"),
                (TWO_LOCAL, "127.0.0.1"),
            ] {
                let answer = bytes(front.address, [header, HEAD].concat()).await;
                let told = format!("\nx-forwarded-for: {client}\n");
                assert!(answer.contains(&told), "{told:?} in {answer:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_header_may_come_in_pieces_and_before_http_2() {
    within(async {
        let member = Member::telling().await;
        let front = front(&member, "127.0.0.1/32").await;
        for header in [ONE, TWO] {
            let mut stream = TcpStream::connect(front.address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in header.chunks(5) {
                stream.write_all(piece).await.unwrap();
                sleep(Duration::from_millis(1)).await;
            }
            let mut client = Client::over(stream, Version::HTTP_2).await;
            let answer = client.ask(get("/")).await;
            assert_eq!(answer.told("x-forwarded-for"), Some("203.0.113.7"));
            // It is said of the connection, and not of one request.
            let answer = client.ask(get("/")).await;
            assert_eq!(answer.told("x-forwarded-for"), Some("203.0.113.7"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_listed_peer_that_announces_nobody_is_cut() {
    within(async {
        let member = Member::telling().await;
        let front = front(&member, "127.0.0.0/8").await;
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        for sent in [
            HEAD,
            b"PROXY TCP4 here there 1 2\r\n",
            b"PROXY UDP4 203.0.113.7 10.0.0.1 5000 80\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &endless,
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\x13\x88\0\x50",
        ] {
            let answer = bytes(front.address, [sent, HEAD].concat()).await;
            assert_eq!(answer, "", "to {:?}", String::from_utf8_lossy(sent));
        }
        assert_eq!(member.asked(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_listed_peer_has_as_long_for_its_header_as_for_a_head() {
    within(async {
        let member = Member::telling().await;
        let server = Server::new()
            .proxy_protocol(["127.0.0.0/8".parse().unwrap()])
            .head_timeout(Duration::from_millis(100));
        let front = Front::start(server, proxy([member.endpoint()]));
        for begun in [b"".as_slice(), b"PROXY TCP4", b"\r\n\r\n\0\r\nQUIT\n\x21"] {
            let mut stream = TcpStream::connect(front.address).await.unwrap();
            stream.write_all(begun).await.unwrap();
            assert_eq!(rest(&mut stream).await, "");
        }
    })
    .await;
}

async fn refuses(address: SocketAddr) {
    for header in [ONE, ONE_UNKNOWN, TWO, TWO_LOCAL] {
        let answer = bytes(address, [header, HEAD].concat()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_header_from_anybody_else_is_a_bad_request() {
    within(async {
        let member = Member::telling().await;
        let listed = front(&member, "10.0.0.0/8").await;
        refuses(listed.address).await;
        let unheard = Front::start(Server::new(), proxy([member.endpoint()]));
        refuses(unheard.address).await;
        assert_eq!(member.asked(), 0);
        // And whoever comes without is served.
        let answer = bytes(listed.address, HEAD).await;
        assert!(
            answer.contains("\nx-forwarded-for: 127.0.0.1\n"),
            "{answer:?}"
        );
    })
    .await;
}
