//! How a relay ends: what runs may end by itself, up to a deadline, and the rest is counted.

use std::time::Duration;

use equipoise::net::{Acceptor, Connector};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::relay::{Serving, exchange, returns};
use super::within;

#[tokio::test]
async fn connections_end_by_themselves_after_the_stop_and_none_is_cut() {
    within(async {
        let member = Serving::echo();
        let front = Serving::relay(Acceptor::new(), Connector::tcp(member.address));
        let address = front.address;
        let mut stream = front.connect().await;
        returns(&mut stream, "before").await;
        let ended = front.stop();
        // The listener is closed as soon as it has heard of it.
        while Connector::tcp(address).connect().await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!ended.is_finished());
        returns(&mut stream, "after").await;
        assert_eq!(exchange(stream, "last").await, "last");
        assert_eq!(ended.await.unwrap().cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_has_not_ended_at_the_deadline_is_cut_and_counted() {
    within(async {
        let member = Serving::echo();
        let acceptor = Acceptor::new().drain_timeout(Duration::from_millis(200));
        let front = Serving::relay(acceptor, Connector::tcp(member.address));
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = front.connect().await;
            returns(&mut stream, "hello").await;
            streams.push(stream);
        }
        let ended = front.stop();
        drop(streams.pop());
        assert_eq!(ended.await.unwrap().cut(), 2);
        for mut stream in streams {
            // The end, or a reset.
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        }
        // The connections to the member are gone with them.
        assert_eq!(member.stop().await.unwrap().cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_a_place_at_the_stop_is_served() {
    within(async {
        let member = Serving::echo();
        let acceptor = Acceptor::new().max_connections(1);
        let front = Serving::relay(acceptor, Connector::tcp(member.address));
        let mut first = front.connect().await;
        returns(&mut first, "first").await;
        let waiting = [front.connect().await, front.connect().await];
        let ended = front.stop();
        drop(first);
        for stream in waiting {
            assert_eq!(exchange(stream, "late").await, "late");
        }
        assert_eq!(ended.await.unwrap().cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_has_sent_no_header_holds_the_stop_up_for_a_second() {
    within(async {
        let member = Serving::echo();
        let acceptor = Acceptor::new()
            .proxy_protocol(["127.0.0.0/8".parse().unwrap()])
            .handshake_timeout(Duration::from_secs(60));
        let front = Serving::relay(acceptor, Connector::tcp(member.address));
        let mut silent = front.connect().await;
        let ended = timeout(Duration::from_secs(10), front.stop()).await;
        assert_eq!(ended.unwrap().unwrap().cut(), 0);
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_relay_that_is_dropped_cuts_its_connections() {
    within(async {
        let member = Serving::echo();
        let front = Serving::relay(Acceptor::new(), Connector::tcp(member.address));
        let mut stream = front.connect().await;
        returns(&mut stream, "hello").await;
        front.ended.abort();
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    })
    .await;
}
