//! Members at their caps, and clients that wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use equipoise::Event;
use equipoise::balancer::events::EventKind;
use equipoise::forward::TcpForwarder;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::front::{Front, capped, is_quiet, name_of, named_echo, over, returns, soon};
use crate::within;

#[tokio::test]
async fn a_client_waits_for_a_member_that_is_at_its_cap() {
    within(async {
        let balancer = capped(named_echo("a").await, 1);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut first = front.connect().await;
        assert_eq!(name_of(&mut first).await, "a");
        let mut second = front.connect().await;
        let early = timeout(Duration::from_millis(200), second.read(&mut [0])).await;
        assert!(early.is_err(), "the cap does not hold");
        drop(first);
        assert_eq!(name_of(&mut second).await, "a");
        drop(second);
        is_quiet(&balancer).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_beyond_the_queue_is_reset() {
    within(async {
        let balancer = capped(named_echo("a").await, 1);
        let in_line = Arc::new(AtomicUsize::new(0));
        let seen = in_line.clone();
        let _observing = balancer.observe(move |event: &Event<'_>| {
            if let EventKind::Waiting { .. } = event.kind {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        let front = Front::start(TcpForwarder::new(balancer.clone()).max_waiting(1));
        let mut first = front.connect().await;
        assert_eq!(name_of(&mut first).await, "a");
        let mut second = front.connect().await;
        soon("one in line", || in_line.load(Ordering::SeqCst) == 1).await;
        let mut third = front.connect().await;
        assert!(third.read(&mut [0]).await.is_err());
        drop(first);
        assert_eq!(name_of(&mut second).await, "a");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_has_waited_too_long_is_reset() {
    within(async {
        let balancer = capped(named_echo("a").await, 1);
        let limit = Duration::from_millis(200);
        let front = Front::start(TcpForwarder::new(balancer.clone()).opening_timeout(limit));
        let mut first = front.connect().await;
        assert_eq!(name_of(&mut first).await, "a");
        let mut second = front.connect().await;
        assert!(second.read(&mut [0]).await.is_err());
        // The other goes on.
        returns(&mut first, "hello").await;
    })
    .await;
}

#[tokio::test]
async fn a_client_beyond_its_own_cap_is_reset_until_one_of_its_connections_has_ended() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let front = Front::start(TcpForwarder::new(balancer.clone()).max_per_client(2));
        let mut first = front.connect().await;
        let mut second = front.connect().await;
        assert_eq!(name_of(&mut first).await, "a");
        assert_eq!(name_of(&mut second).await, "a");
        assert!(front.connect().await.read(&mut [0]).await.is_err());
        returns(&mut second, "still there").await;
        drop((first, second));
        // It is admitted again soon.
        while front.connect().await.read_exact(&mut [0]).await.is_err() {}
    })
    .await;
}
