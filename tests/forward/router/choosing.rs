//! Which target a connection goes to.

use std::time::Duration;

use equipoise::forward::{
    GreetingLimits, NameRoutes, StreamRouter, StreamRule, StreamTarget, TcpForwarder,
};
use equipoise::net::{Accepted, Acceptor, ProxyHeader, ProxyVersion};
use tokio::io::AsyncWriteExt;

use super::front::{Front, echo, hello, is_closed, listener, serves, target};
use crate::within;

/// Long, so that what waits for it fails its test.
fn patient() -> GreetingLimits {
    GreetingLimits::new().with_time(Duration::from_secs(600))
}

fn hasty() -> GreetingLimits {
    GreetingLimits::new().with_time(Duration::from_millis(100))
}

#[tokio::test]
async fn each_client_goes_by_what_it_sends_first_and_nothing_of_that_is_lost() {
    within(async {
        let routes = NameRoutes::new()
            .name("a.test", target("a").await)
            .and_then(|it| it.name("*.test", StreamTarget::task(async |_| {})))
            .unwrap()
            .name_and_alpn("*.test", b"acme-tls/1", target("acme").await)
            .unwrap()
            .name("*.b.test", target("b").await)
            .unwrap()
            .alpn(b"imap", target("imap").await)
            .plaintext(target("plain").await)
            .ssl2(target("old").await);
        let router = StreamRouter::new().greeting_limits(patient());
        let front = Front::start(router.route_by_name(StreamRule::new(), routes));
        for (sent, member) in [
            (hello("A.test.", &[]), "a"),
            (hello("a.test", &[b"h2"]), "a"),
            (hello("x.b.test", &[]), "b"),
            (hello("c.test", &[b"acme-tls/1"]), "acme"),
            (hello("c.example", &[b"pop3", b"imap"]), "imap"),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "plain"),
            (b"\x80\x2e\x01\x00\x02 and more".to_vec(), "old"),
        ] {
            let stream = front.sending(&sent).await;
            assert_eq!(serves(stream, &sent).await, member);
        }
        // The one has a target that closes it, the other has none.
        for name in ["c.test", "c.example"] {
            is_closed(front.sending(&hello(name, &[])).await).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_hello_is_found_out_whichever_pieces_it_comes_in() {
    within(async {
        let routes = NameRoutes::new().name("a.test", target("a").await).unwrap();
        let front = Front::start(StreamRouter::new().route_by_name(StreamRule::new(), routes));
        let sent = hello("a.test", &[b"h2", b"http/1.1"]);
        let mut stream = front.connect().await;
        stream.set_nodelay(true).unwrap();
        for byte in &sent {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(serves(stream, &sent).await, "a");
    })
    .await;
}

#[tokio::test]
async fn the_first_rule_that_holds_and_has_a_target_wins() {
    within(async {
        let one = NameRoutes::new().name("a.test", target("a").await).unwrap();
        let other = NameRoutes::new()
            .name("a.test", target("never").await)
            .and_then(|it| it.name("b.test", StreamTarget::task(async |_| {})))
            .unwrap()
            .name("b.test", target("b").await)
            .unwrap();
        let elsewhere = StreamRule::new().client_in(["10.0.0.0/8".parse().unwrap()]);
        let router = StreamRouter::new()
            .greeting_limits(patient())
            .route(elsewhere, echo("elsewhere").await)
            .route_by_name(StreamRule::new(), one)
            .route_by_name(StreamRule::new(), other)
            .route(StreamRule::new(), echo("rest").await)
            .route(StreamRule::new(), echo("never").await);
        let front = Front::start(router);
        for (sent, member) in [
            (hello("a.test", &[]), "a"),
            (hello("b.test", &[]), "b"),
            (hello("c.test", &[]), "rest"),
            (b"SSH-2.0-client\r\n".to_vec(), "rest"),
        ] {
            let stream = front.sending(&sent).await;
            assert_eq!(serves(stream, &sent).await, member);
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_read_before_a_rule_for_any_client() {
    within(async {
        let routes = NameRoutes::new().name("a.test", target("a").await).unwrap();
        let router = StreamRouter::new()
            .greeting_limits(patient())
            .route(StreamRule::new(), echo("smtp").await)
            .route_by_name(StreamRule::new(), routes);
        let front = Front::start(router);
        assert_eq!(serves(front.connect().await, b"").await, "smtp");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_waits_for_the_server_goes_by_its_silence() {
    within(async {
        let routes = NameRoutes::new()
            .name("a.test", target("a").await)
            .unwrap()
            .silent(target("smtp").await);
        let router = StreamRouter::new().greeting_limits(hasty());
        let front = Front::start(router.route_by_name(StreamRule::new(), routes));
        assert_eq!(serves(front.connect().await, b"").await, "smtp");
    })
    .await;
}

#[tokio::test]
async fn each_of_several_listeners_has_its_rules_and_clones_share_the_limits_of_targets() {
    within(async {
        let listeners = [listener(), listener(), listener()];
        let ports = [0, 1, 2].map(|it: usize| listeners[it].local_addr().unwrap());
        let members = TcpForwarder::new(echo("both").await).max_per_client(2);
        let both = StreamTarget::from(members);
        let router = StreamRouter::new()
            .route(StreamRule::new().port(ports[0].port()), both.clone())
            .route(StreamRule::new().local_addr(ports[1]), both);
        let [first, second, third] = listeners.map(|it| Front::at(router.clone(), it));

        let mut held = Vec::new();
        for front in [&first, &second] {
            let mut stream = front.connect().await;
            assert_eq!(crate::tcp::front::name_of(&mut stream).await, "both");
            held.push(stream);
        }
        // A third one of this client is beyond the cap, at either listener.
        is_closed(second.connect().await).await;
        is_closed(first.connect().await).await;
        // No rule is for this one.
        is_closed(third.connect().await).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_is_where_a_trusted_peer_tells_that_it_is() {
    within(async {
        let router = |trusted: &str| {
            let acceptor = Acceptor::new().proxy_protocol([trusted.parse().unwrap()]);
            StreamRouter::new().acceptor(acceptor)
        };
        let staff = || StreamRule::new().client_in(["203.0.113.0/24".parse().unwrap()]);
        let trusting = router("127.0.0.0/8")
            .route(staff(), echo("staff").await)
            .route(StreamRule::new(), echo("rest").await);
        let trusting = Front::start(trusting);
        for (client, member) in [("203.0.113.7:5000", "staff"), ("198.51.100.7:5000", "rest")] {
            let header = ProxyHeader::new(client.parse().unwrap(), trusting.address);
            for version in [ProxyVersion::V1, ProxyVersion::V2] {
                let stream = trusting.sending(&header.encode(version)).await;
                assert_eq!(serves(stream, b"").await, member);
            }
        }
        // Of any other peer, it is a part of what is forwarded.
        let wary = router("10.0.0.0/8")
            .route(staff(), echo("staff").await)
            .route(StreamRule::new(), echo("rest").await);
        let wary = Front::start(wary);
        let header = ProxyHeader::new("203.0.113.7:5000".parse().unwrap(), wary.address);
        let header = header.encode(ProxyVersion::V1);
        assert_eq!(serves(wary.sending(&header).await, &header).await, "rest");
    })
    .await;
}

#[tokio::test]
async fn a_task_of_ones_own_gets_the_connection_from_its_first_byte_on() {
    within(async {
        let own = StreamTarget::task(async |accepted: Accepted| {
            let (client, here) = (
                accepted.client_addr().unwrap(),
                accepted.local_addr().unwrap(),
            );
            let mut stream = accepted.into_stream();
            let line = format!("{client} at {here}\n");
            stream.write_all(line.as_bytes()).await.unwrap();
            let (mut from, mut to) = tokio::io::split(stream);
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        });
        assert!(
            format!("{own:?}").starts_with("StreamTarget(TaskTarget"),
            "{own:?}"
        );
        let routes = NameRoutes::new().fallback(own.clone()).plaintext(own);
        let front = Front::start(StreamRouter::new().route_by_name(StreamRule::new(), routes));
        for sent in [hello("a.test", &[]), b"hello".to_vec()] {
            let stream = front.sending(&sent).await;
            let told = format!("{} at {}", stream.local_addr().unwrap(), front.address);
            assert_eq!(serves(stream, &sent).await, told);
        }
    })
    .await;
}
