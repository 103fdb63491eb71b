//! What a client may take before it is routed, and how many there may be.

use std::time::Duration;

use equipoise::forward::{GreetingLimits, NameRoutes, StreamRouter, StreamRule, StreamTarget};
use equipoise::net::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::front::{Front, echo, hello, is_closed, serves, target};
use crate::hello::{GREASE, Hello, SERVER_NAME, one_name};
use crate::tcp::front::name_of;
use crate::within;

async fn named() -> NameRoutes<StreamTarget> {
    NameRoutes::new().name("a.test", target("a").await).unwrap()
}

#[tokio::test]
async fn a_client_that_sends_its_hello_byte_by_byte_is_cut_in_time() {
    within(async {
        let limits = GreetingLimits::new().with_time(Duration::from_millis(400));
        let router = StreamRouter::new()
            .greeting_limits(limits)
            .route_by_name(StreamRule::new(), named().await)
            .route(StreamRule::new(), echo("never").await);
        let front = Front::start(router);
        let begun = Instant::now();
        let mut stream = front.connect().await;
        let mut left = hello("a.test", &[]).into_iter();
        let mut first = [0];
        loop {
            // It would take longer than the test does.
            let _ = stream.write_all(&[left.next().unwrap()]).await;
            tokio::select! {
                read = stream.read(&mut first) => {
                    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
                    break;
                }
                () = sleep(Duration::from_millis(200)) => {}
            }
        }
        let taken = begun.elapsed();
        assert!(taken >= Duration::from_millis(400), "{taken:?}");
        assert!(taken < Duration::from_secs(5), "{taken:?}");
    })
    .await;
}

#[tokio::test]
async fn a_hello_that_is_too_long_or_malformed_is_refused_at_once() {
    within(async {
        let patient = GreetingLimits::new().with_time(Duration::from_secs(600));
        let router = StreamRouter::new()
            .greeting_limits(patient)
            .route_by_name(StreamRule::new(), named().await)
            .route(StreamRule::new(), echo("never").await);
        let front = Front::start(router);
        let filler = (GREASE, vec![0; 60_000]);
        let long = Hello::with([(SERVER_NAME, one_name(b"a.test")), filler]).bytes();
        for sent in [long, b"\x16\x03\x01\x00\x05\x02\0\0\x01\0".to_vec()] {
            let mut stream = front.connect().await;
            // It may be reset while this goes on.
            let _ = stream.write_all(&sent).await;
            is_closed(stream).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_of_all_targets_count_together() {
    within(async {
        let router = StreamRouter::new()
            .acceptor(Acceptor::new().max_connections(2))
            .route_by_name(
                StreamRule::new(),
                named().await.plaintext(target("plain").await),
            );
        let front = Front::start(router);
        let sent = hello("a.test", &[]);
        let mut first = front.sending(&sent).await;
        assert_eq!(name_of(&mut first).await, "a");
        let mut second = front.sending(b"hello").await;
        assert_eq!(name_of(&mut second).await, "plain");
        let mut third = front.sending(b"hello").await;
        let waits = tokio::time::timeout(Duration::from_millis(300), third.read_u8()).await;
        assert!(waits.is_err(), "{waits:?}");
        drop(first);
        assert_eq!(serves(third, b"hello").await, "plain");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_not_routed_yet_does_not_hold_up_the_stop() {
    within(async {
        let patient = GreetingLimits::new().with_time(Duration::from_secs(600));
        let router = StreamRouter::new()
            .greeting_limits(patient)
            .route_by_name(StreamRule::new(), named().await);
        let front = Front::start(router);
        let silent = front.connect().await;
        let begun = front.sending(b"\x16\x03").await;
        let sent = hello("a.test", &[]);
        let mut routed = front.sending(&sent).await;
        assert_eq!(name_of(&mut routed).await, "a");
        let begin = Instant::now();
        let ended = front.stop();
        for stream in [silent, begun] {
            is_closed(stream).await;
        }
        drop(routed);
        assert_eq!(ended.await.unwrap().cut(), 0);
        assert!(begin.elapsed() < Duration::from_secs(10));
    })
    .await;
}
