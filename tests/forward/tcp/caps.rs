//! Members at their caps, and clients that wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use equipoise::balancer::events::{EventKind, ObserverGuard};
use equipoise::forward::{Address, TcpForwarder};
use equipoise::{Balancer, Event, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use super::front::{
    Front, Log, capped, ended, is_quiet, name_of, named_echo, over, reset, returns, soon,
    unanswering,
};
use crate::within;

/// Counts the clients that begin to wait for a member.
fn waiting(balancer: &Balancer<Address>) -> (Arc<AtomicUsize>, ObserverGuard) {
    let in_line = Arc::new(AtomicUsize::new(0));
    let seen = in_line.clone();
    let observing = balancer.observe(move |event: &Event<'_>| {
        if let EventKind::Waiting { .. } = event.kind {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    (in_line, observing)
}

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

/// Counts the clients for which there is no member.
fn refusals(balancer: &Balancer<Address>) -> (Arc<AtomicUsize>, ObserverGuard) {
    let refused = Arc::new(AtomicUsize::new(0));
    let seen = refused.clone();
    let observing = balancer.observe(move |event: &Event<'_>| {
        if let EventKind::Refused { .. } = event.kind {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    (refused, observing)
}

#[tokio::test]
async fn observers_are_told_of_a_refusal_once_for_each_client_that_has_no_member() {
    within(async {
        let balancer = capped(named_echo("a").await, 1);
        let (in_line, _waiting) = waiting(&balancer);
        let (refused, _observing) = refusals(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()).max_waiting(1));
        let mut first = front.connect().await;
        assert_eq!(name_of(&mut first).await, "a");
        let mut second = front.connect().await;
        soon("one in line", || in_line.load(Ordering::SeqCst) == 1).await;
        assert!(front.connect().await.read(&mut [0]).await.is_err());
        assert_eq!(refused.load(Ordering::SeqCst), 1);
        drop(first);
        assert_eq!(name_of(&mut second).await, "a");
        assert_eq!(refused.load(Ordering::SeqCst), 1);

        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let balancer = over([("b", address), ("c", address)]);
        let (refused, _observing) = refusals(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        assert!(front.connect().await.read(&mut [0]).await.is_err());
        soon("a refusal", || refused.load(Ordering::SeqCst) == 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_beyond_the_queue_is_reset() {
    within(async {
        let balancer = capped(named_echo("a").await, 1);
        let (in_line, _observing) = waiting(&balancer);
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

#[tokio::test]
async fn a_client_that_opens_connections_too_fast_is_reset_until_it_has_paused() {
    within(async {
        let balancer = over([("a", named_echo("a").await)]);
        let forwarder = TcpForwarder::new(balancer.clone()).new_connections_per_client(2);
        let front = Front::start(forwarder);
        let begun = Instant::now();
        let (mut served, mut refused) = (0, 0);
        while begun.elapsed() < Duration::from_millis(1_900) {
            let mut stream = front.connect().await;
            match stream.read_exact(&mut [0]).await {
                Ok(_) => served += 1,
                Err(_) => refused += 1,
            }
            sleep(Duration::from_millis(10)).await;
        }
        // Two at once, and one more for each half second.
        assert!(
            (3..=5).contains(&served),
            "{served} served, {refused} refused"
        );
        assert!(refused > 10, "{served} served, {refused} refused");
        sleep(Duration::from_millis(600)).await;
        assert_eq!(name_of(&mut front.connect().await).await, "a");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_breaks_off_while_it_waits_gives_its_place_back() {
    within(async {
        let balancer = capped(named_echo("a").await, 1);
        let (in_line, _observing) = waiting(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()).max_waiting(1));
        let mut first = front.connect().await;
        assert_eq!(name_of(&mut first).await, "a");
        for number in 1..=5 {
            let mut second = front.connect().await;
            // That bytes are there to be read changes nothing.
            second.write_all(b"hello").await.unwrap();
            let before = in_line.load(Ordering::SeqCst);
            soon("one in line", || in_line.load(Ordering::SeqCst) > before).await;
            reset(second);
            // Until the place is given back, others are reset.
            let admitted = Instant::now();
            loop {
                let mut third = front.connect().await;
                let patience = Duration::from_millis(100);
                if timeout(patience, third.read(&mut [0])).await.is_err() {
                    reset(third);
                    break;
                }
            }
            assert!(
                admitted.elapsed() < Duration::from_secs(5),
                "round {number}"
            );
        }
        returns(&mut first, "still there").await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_ends_its_side_while_it_waits_is_served() {
    within(async {
        let balancer = capped(named_echo("a").await, 1);
        let (in_line, _observing) = waiting(&balancer);
        let front = Front::start(TcpForwarder::new(balancer.clone()));
        let mut first = front.connect().await;
        assert_eq!(name_of(&mut first).await, "a");
        let mut second = front.connect().await;
        second.write_all(b"hello").await.unwrap();
        second.shutdown().await.unwrap();
        soon("one in line", || in_line.load(Ordering::SeqCst) == 1).await;
        sleep(Duration::from_millis(100)).await;
        drop(first);
        let mut answer = String::new();
        second.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "a\nhello");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_breaks_off_during_the_connect_frees_its_member_at_once() {
    within(async {
        let (silent, _queued) = unanswering().await;
        let balancer = over([("a", silent.local_addr().unwrap())]);
        let (log, _observing) = Log::of(&balancer);
        let patience = Duration::from_secs(60);
        let forwarder = TcpForwarder::new(balancer.clone())
            .connect_timeout(patience)
            .opening_timeout(patience);
        let front = Front::start(forwarder);
        let client = front.connect().await;
        let member = balancer.member("a").unwrap();
        soon("one in flight", || member.in_flight() == 1).await;
        reset(client);
        assert_eq!(log.ends(1).await, [ended("a", Outcome::Cancelled, "")]);
        is_quiet(&balancer).await;
    })
    .await;
}
