//! What a member that cannot be reached is told apart by.

use std::time::Duration;

use equipoise::net::{ConnectError, Connector};
use equipoise::{Balancer, PickRequest};
use tokio::net::TcpListener;

use super::relay::{Serving, exchange};
use super::within;

#[test]
fn a_connector_can_be_what_a_balancer_balances_over() {
    fn is_payload<W: Clone + std::fmt::Debug + Send + Sync + 'static>(_: &W) {}

    let members = ["10.0.0.1:5432", "10.0.0.2:5432"];
    let members = members.map(|address| (address, Connector::tcp(address.parse().unwrap())));
    let balancer = Balancer::new(members).unwrap();
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    is_payload(&*lease);
    assert_eq!(lease.to_string(), "10.0.0.1:5432");
}

#[tokio::test]
async fn a_member_is_reached_by_name() {
    within(async {
        let member = Serving::echo();
        let named = Connector::host("localhost", member.address.port());
        let stream = named.connect().await.unwrap();
        assert_eq!(stream.peer_addr(), Some(member.address));
        assert_eq!(exchange(stream, "hello").await, "hello");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_a_name_that_is_unknown_and_a_missing_socket_are_told_apart() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = Connector::tcp(address).connect().await.unwrap_err();
        let ConnectError::Open { source } = error else {
            panic!("{error:?}");
        };
        assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);

        // No part of a name has this length, so no server is asked.
        let unknown = Connector::host(&"n".repeat(64), 80);
        let error = unknown.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Resolve { .. }), "{error:?}");

        #[cfg(unix)]
        {
            let error = Connector::unix("/none.sock").connect().await.unwrap_err();
            assert!(matches!(error, ConnectError::Open { .. }), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_limit_is_too_short_or_too_long_to_be_tried() {
    within(async {
        let member = Serving::echo();
        let named = Connector::host("localhost", member.address.port());
        // Whether it is fast enough is not certain.
        let _ = named.clone().timeout(Duration::ZERO).connect().await;
        let stream = named.timeout(Duration::MAX).connect().await.unwrap();
        assert_eq!(exchange(stream, "hello").await, "hello");
    })
    .await;
}
