//! Which version of TLS is spoken, and which HTTP.

use std::time::Duration;

use equipoise::net::ServerTls;
use equipoise::proxy::Server;
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::authority::Authority;
use super::client::{ALL, Client};
use super::front::Front;
use super::within;

const NAME: &str = "shop.test";

fn tls(authority: &Authority) -> ServerTls {
    ServerTls::new([authority.issue(&[NAME]).identity()]).unwrap()
}

#[tokio::test]
async fn a_client_gets_the_http_that_it_can_speak() {
    within(async {
        let authority = Authority::new("clients");
        let front = Front::telling(&tls(&authority));
        for versions in [&[&TLS12][..], &[&TLS13]] {
            for (offered, agreed, spoken) in [
                (&["h2", "http/1.1"][..], Some("h2"), "HTTP/2.0"),
                (&["http/1.1", "h2"], Some("h2"), "HTTP/2.0"),
                (&["h2"], Some("h2"), "HTTP/2.0"),
                (&["http/1.1"], Some("http/1.1"), "HTTP/1.1"),
                (&["spdy/3", "http/1.1"], Some("http/1.1"), "HTTP/1.1"),
                (&[], None, "HTTP/1.1"),
            ] {
                let client = Client::with(&authority, versions, None).speaking(offered);
                let connection = client.connect(front.address, NAME).await.unwrap();
                assert_eq!(connection.spoken.as_deref(), agreed, "{offered:?}");
                let told = connection.ask().await.unwrap();
                assert!(told.starts_with(spoken), "{offered:?}: {told}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_agrees_on_nothing_may_begin_with_http_2() {
    within(async {
        let authority = Authority::new("clients");
        let front = Front::telling(&tls(&authority));
        let client = Client::of(&authority);
        let connection = client.connect(front.address, NAME).await.unwrap();
        let told = connection.ask_2().await.unwrap();
        assert_eq!(told, "HTTP/2.0 1.3 shop.test 0");
    })
    .await;
}

#[tokio::test]
async fn who_can_only_speak_something_else_is_refused() {
    within(async {
        let authority = Authority::new("clients");
        let front = Front::telling(&tls(&authority));
        let client = Client::of(&authority).speaking(&["spdy/3"]);
        let refused = client.connect(front.address, NAME).await.map(drop);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_unless_one_is_forbidden() {
    within(async {
        let authority = Authority::new("clients");
        let both = Front::telling(&tls(&authority));
        let one = Front::telling(&tls(&authority).with_tls_1_3_only());
        let old = Client::with(&authority, &[&TLS12], None);
        assert_eq!(
            old.ask(both.address, NAME).await.unwrap(),
            "HTTP/1.1 1.2 shop.test 0"
        );
        let refused = old.connect(one.address, NAME).await.map(drop);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("ProtocolVersion"), "{refused}");
        for client in [&[&TLS13][..], ALL] {
            let client = Client::with(&authority, client, None);
            for front in [&both, &one] {
                let connection = client.connect(front.address, NAME).await.unwrap();
                assert_eq!(connection.version, Some(ProtocolVersion::TLSv1_3));
                let told = connection.ask().await.unwrap();
                assert_eq!(told, "HTTP/1.1 1.3 shop.test 0");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_is_resumed_and_knows_what_it_knew() {
    within(async {
        let authority = Authority::new("clients");
        let front = Front::telling(&tls(&authority));
        for (version, told) in [
            (&TLS12, "HTTP/1.1 1.2 shop.test 0"),
            (&TLS13, "HTTP/1.1 1.3 shop.test 0"),
        ] {
            let client = Client::with(&authority, &[version], None);
            let first = client.connect(front.address, NAME).await.unwrap();
            assert!(!first.resumed);
            assert_eq!(first.ask().await.unwrap(), told);
            let second = client.connect(front.address, NAME).await.unwrap();
            assert!(second.resumed, "{version:?}");
            assert_eq!(second.ask().await.unwrap(), told);
        }
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_good_order() {
    within(async {
        let authority = Authority::new("clients");
        let idle = Duration::from_millis(100);
        let server = Server::new().tls(&tls(&authority)).idle_timeout(idle);
        let front = Front::telling_by(server);
        let client = Client::of(&authority);
        let mut connection = client.connect(front.address, NAME).await.unwrap();
        let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        connection.stream.write_all(head).await.unwrap();
        // Without a word of the end, that would be an error.
        let mut answer = String::new();
        connection.stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("HTTP/1.1 1.3 shop.test 0"), "{answer:?}");
    })
    .await;
}
