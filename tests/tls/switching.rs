//! A tunnel that is under TLS on both of its sides.

use equipoise::BalanceLayer;
use equipoise::Balancer;
use equipoise::net::{MemberTls, ServerTls};
use equipoise::proxy::{EdgeLayer, Forwarding, HttpVersions, ReverseProxy, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::authority::Authority;
use super::client::Client;
use super::front::Front;
use super::member::Member;
use super::within;

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_is_said_in_good_order() {
    within(async {
        let authority = Authority::new("all");
        let member = Member::start(&authority.issue(&["localhost"])).await;
        let tls = MemberTls::with_roots(authority.pem.as_bytes()).unwrap();
        let endpoint = member.endpoint("localhost").tls(&tls);
        // It would agree on HTTP/2, which cannot switch.
        let endpoint = endpoint.versions(HttpVersions::Any).build().unwrap();
        let balancer = Balancer::new([("a", endpoint)]).unwrap();
        let edge = EdgeLayer::new(Forwarding::new()).upgrades(["echo"]);
        let proxy = ReverseProxy::from_parts(BalanceLayer::new(balancer.clone()), edge);
        let identity = authority.issue(&["shop.test"]).identity();
        let tls = ServerTls::new([identity]).unwrap();
        let front = Front::start(Server::new().tls(&tls), proxy);

        let client = Client::of(&authority).speaking(&["http/1.1"]);
        let connection = client.connect(front.address, "shop.test").await.unwrap();
        let mut stream = connection.stream;
        let head = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        let state = balancer.member("a").unwrap();
        assert_eq!(state.in_flight(), 1);

        let long: Vec<u8> = (0..=255_u8).cycle().take(1 << 20).collect();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let said = long.clone();
        let saying = tokio::spawn(async move {
            writer.write_all(&said).await.unwrap();
            writer.shutdown().await.unwrap();
            // Else the half that reads would go with it.
            writer
        });
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).await.unwrap();
        assert!(heard == long);
        saying.await.unwrap();
        while state.in_flight() != 0 {
            tokio::task::yield_now().await;
        }
        assert!(state.bytes_sent() >= 1 << 20);
        assert!(state.bytes_received() >= 1 << 20);
    })
    .await;
}
