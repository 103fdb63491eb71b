//! What members are told of a connection that was routed to them.

use std::net::SocketAddr;

use equipoise::forward::{NameRoutes, StreamRouter, StreamRule, StreamTarget, TcpForwarder};
use equipoise::net::{Accepted, Acceptor, ProxyHeader, ProxyVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::front::{Front, hello};
use crate::tcp::front::{listening, over};
use crate::within;

fn told(header: &ProxyHeader) -> String {
    let (client, here) = (header.source().unwrap(), header.destination().unwrap());
    let protocol = header.alpn().unwrap_or(b"none").escape_ascii();
    let name = header.authority().unwrap_or("none");
    let own = header.value(0xE0).unwrap_or(b"none").escape_ascii();
    format!("{client} {here} {name} {protocol} {own}")
}

/// A member that tells the header which it has been sent, and ends.
async fn member() -> SocketAddr {
    let (listener, address) = listening().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let header = ProxyHeader::read(&mut stream).await.unwrap();
            stream.write_all(told(&header).as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
    });
    address
}

async fn answer(front: &Front, sent: &[u8]) -> String {
    let mut stream = front.sending(sent).await;
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_member_is_told_the_name_the_protocol_and_what_a_trusted_peer_has_told() {
    within(async {
        let members = || async { over([("member", member().await)]) };
        let telling = TcpForwarder::new(members().await).proxy_protocol(ProxyVersion::V2);
        // It would read a header, too, if the router had read none.
        let loopback = || Acceptor::new().proxy_protocol(["127.0.0.0/8".parse().unwrap()]);
        let telling = StreamTarget::from(telling.acceptor(loopback()));
        let own = loopback().into_target(async |accepted: Accepted| {
            let told = told(&accepted.next_proxy_header());
            let mut stream = accepted.into_stream();
            stream.write_all(told.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        });
        let routes = NameRoutes::new()
            .name("a.test", telling.clone())
            .and_then(|it| it.name("own.test", own))
            .unwrap()
            .plaintext(telling);
        let router = StreamRouter::new().acceptor(loopback());
        let front = Front::start(router.route_by_name(StreamRule::new(), routes));

        let ends = "203.0.113.7:5000 198.51.100.1:443";
        let header = ProxyHeader::new(
            "203.0.113.7:5000".parse().unwrap(),
            "198.51.100.1:443".parse().unwrap(),
        );
        let header = header.with_value(0xE0, b"eu").unwrap();
        let header = header.encode(ProxyVersion::V2);
        for (sent, expected) in [
            (hello("A.test", &[b"h2"]), "a.test h2 eu"),
            (hello("own.test", &[b"h2"]), "own.test h2 eu"),
            // Which of two will be agreed on is not known.
            (hello("a.test", &[b"h2", b"http/1.1"]), "a.test none eu"),
            (b"hello".to_vec(), "none none eu"),
        ] {
            let sent = [&header[..], &sent].concat();
            assert_eq!(answer(&front, &sent).await, format!("{ends} {expected}"));
        }
    })
    .await;
}

/// Without a name of TLS, a target may read the header for itself.
#[tokio::test]
async fn a_target_reads_the_header_that_the_router_has_not_read() {
    within(async {
        let members = over([("member", member().await)]);
        let acceptor = Acceptor::new().proxy_protocol(["127.0.0.0/8".parse().unwrap()]);
        let forwarder = TcpForwarder::new(members).acceptor(acceptor);
        let forwarder = forwarder.proxy_protocol(ProxyVersion::V2);
        let front = Front::start(StreamRouter::new().route(StreamRule::new(), forwarder));
        let header = ProxyHeader::new(
            "203.0.113.7:5000".parse().unwrap(),
            "198.51.100.1:443".parse().unwrap(),
        );
        let sent = header.encode(ProxyVersion::V1);
        let expected = "203.0.113.7:5000 198.51.100.1:443 none none none";
        assert_eq!(answer(&front, &sent).await, expected);
    })
    .await;
}
