//! Connections that the server of HTTP terminates, beside those that pass through.

use std::convert::Infallible;

use equipoise::forward::{NameRoutes, StreamRouter, StreamRule, StreamTarget};
use equipoise::net::{Acceptor, ProxyHeader, ProxyVersion};
use equipoise::proxy::{ClientAddr, ClientBody, Server};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::front::{Front, hello, returns_all, serves, target};
use crate::tcp::front::name_of;
use crate::within;

/// A server that tells the client's address, and which HTTP it is.
pub(crate) fn site(server: Server) -> StreamTarget {
    server.into_target(tower::service_fn(async |request: Request<ClientBody>| {
        let ClientAddr(client) = request.extensions().get().unwrap();
        let told = format!("{client} by {:?}\n", request.version());
        Ok::<_, Infallible>(Response::new(told))
    }))
}

/// The answer to one more request over a connection that stays open.
pub(crate) async fn ask(stream: &mut TcpStream) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("HTTP/1.1\n") {
        answer.push(stream.read_u8().await.unwrap().into());
    }
    answer
}

#[tokio::test]
async fn plain_http_is_served_at_the_port_whose_tls_passes_through() {
    within(async {
        let routes = NameRoutes::new()
            .name("a.test", target("a").await)
            .unwrap()
            .plaintext(site(Server::new()));
        let front = Front::start(StreamRouter::new().route_by_name(StreamRule::new(), routes));
        let mut stream = front.connect().await;
        let own = stream.local_addr().unwrap();
        for _ in 0..2 {
            let answer = ask(&mut stream).await;
            assert!(
                answer.ends_with(&format!("{own} by HTTP/1.1\n")),
                "{answer}"
            );
        }
        let sent = hello("a.test", &[]);
        assert_eq!(serves(front.sending(&sent).await, &sent).await, "a");
    })
    .await;
}

#[tokio::test]
async fn a_header_that_the_router_has_read_is_seen_by_the_server_and_not_read_again() {
    within(async {
        let loopback = || ["127.0.0.0/8".parse().unwrap()];
        let routes = NameRoutes::new().plaintext(site(Server::new().proxy_protocol(loopback())));
        let router = StreamRouter::new().acceptor(Acceptor::new().proxy_protocol(loopback()));
        let front = Front::start(router.route_by_name(StreamRule::new(), routes));
        let header = ProxyHeader::new("203.0.113.7:5000".parse().unwrap(), front.address);
        let mut stream = front.sending(&header.encode(ProxyVersion::V2)).await;
        let answer = ask(&mut stream).await;
        assert!(
            answer.ends_with("203.0.113.7:5000 by HTTP/1.1\n"),
            "{answer}"
        );
    })
    .await;
}

#[tokio::test]
async fn idle_connections_of_http_make_room_for_a_client_of_any_target() {
    within(async {
        let routes = NameRoutes::new()
            .name("a.test", target("a").await)
            .unwrap()
            .plaintext(site(Server::new()));
        let router = StreamRouter::new().acceptor(Acceptor::new().max_connections(3));
        let front = Front::start(router.route_by_name(StreamRule::new(), routes));
        let sent = hello("a.test", &[]);
        let mut forwarded = front.sending(&sent).await;
        assert_eq!(name_of(&mut forwarded).await, "a");
        let [mut older, mut newer] = [front.connect().await, front.connect().await];
        for idle in [&mut older, &mut newer] {
            ask(idle).await;
        }
        // The connection that has been idle for longer ends, and no other.
        let mut waiting = front.sending(&sent).await;
        assert_eq!(name_of(&mut waiting).await, "a");
        assert_eq!(older.read(&mut [0]).await.unwrap(), 0);
        ask(&mut newer).await;
        let word = [&sent[..], b"word"].concat();
        forwarded.write_all(b"word").await.unwrap();
        returns_all(forwarded, &word).await;
    })
    .await;
}

#[tokio::test]
async fn a_full_listener_closes_no_idle_connection_of_another() {
    within(async {
        let target = site(Server::new());
        let router = StreamRouter::new()
            .acceptor(Acceptor::new().max_connections(1))
            .route(StreamRule::new(), target);
        let [one, other] = [Front::start(router.clone()), Front::start(router)];
        let mut elsewhere = other.connect().await;
        ask(&mut elsewhere).await;
        let mut idle = one.connect().await;
        ask(&mut idle).await;
        let mut waiting = one.connect().await;
        ask(&mut waiting).await;
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        ask(&mut elsewhere).await;
    })
    .await;
}
