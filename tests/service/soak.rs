//! At full speed while members are killed, started again and drained: no request fails
//! while one member lives. `EQUIPOISE_SOAK_SECONDS` says for how long; two unless told
//! otherwise.
//!
//! No request meets two kills, however slow the machine is: what may have been sent is
//! repeated once only, and a member that was tried is not tried again once it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use equipoise::random::Random;
use equipoise::service::{BalanceLayer, Failover, RetryBudget};
use equipoise::{Balancer, ByBusyness, Flag, MemberSpec};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use tower::{Layer, ServiceExt};

use crate::backend::{Backend, Http, client};
use crate::books::{eventually, in_flight};

const CLIENTS: usize = 32;

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    answered: AtomicUsize,
    /// Requests of each client that are over.
    ended: [AtomicUsize; CLIENTS],
    failed: AtomicUsize,
}

impl Counts {
    /// Waits until all requests that are in flight now are over.
    async fn turn_over(&self) {
        let ended = || self.ended.iter().map(|count| count.load(Ordering::Relaxed));
        let before: Vec<usize> = ended().collect();
        eventually(|| ended().zip(&before).all(|(now, before)| now > *before)).await;
    }
}

fn seconds() -> u64 {
    let told = std::env::var("EQUIPOISE_SOAK_SECONDS");
    told.map_or(2, |told| told.parse().expect("a number of seconds"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_get_fails_while_one_member_lives() {
    let mut backends = Vec::new();
    let mut builder = Balancer::builder().scheduler(ByBusyness::new());
    for name in ["a", "b", "c", "d"] {
        let backend = Backend::named(name).await;
        // Back soon after it was killed.
        let spec = MemberSpec::new().with_recovery_delay(Duration::from_millis(50));
        builder = builder.member(name, backend.uri(), spec);
        backends.push((name, backend));
    }
    let balancer: Balancer<Uri> = builder.build().unwrap();
    let service = BalanceLayer::new(balancer.clone())
        .nothing_sent_if(legacy::Error::is_connect)
        // Each kill may hit a request of each client.
        .failover(Failover::new().with_budget(RetryBudget::new().with_percent(100)))
        .layer(client::<Full<Bytes>>(Http::One));
    let counts = Arc::new(Counts::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (service, counts) = (service.clone(), counts.clone());
            tokio::spawn(async move {
                while !counts.stop.load(Ordering::Relaxed) {
                    let request = Request::get("/").body(Full::default()).unwrap();
                    let answered = match service.clone().oneshot(request).await {
                        Ok(response) if response.status() == 200 => {
                            response.into_body().collect().await.is_ok()
                        }
                        _ => false,
                    };
                    let count = if answered {
                        &counts.answered
                    } else {
                        &counts.failed
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    counts.ended[client].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    trouble(&balancer, &mut backends, &counts).await;
    counts.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    eventually(|| in_flight(&balancer) == 0).await;
    let answered = counts.answered.load(Ordering::Relaxed);
    let failed = counts.failed.load(Ordering::Relaxed);
    assert_eq!(failed, 0, "of {answered}");
    assert!(answered > 100, "{answered}");
    let elected: u64 = balancer.members().iter().map(|it| it.picked()).sum();
    assert!(elected >= answered as u64);
}

/// Kills up to three of the four members, one after the other, drains another, and puts
/// all right again, over and over.
async fn trouble(
    balancer: &Balancer<Uri>,
    backends: &mut [(&'static str, Backend)],
    counts: &Counts,
) {
    let random = Random::seeded(7);
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds());
    let pause = || Duration::from_millis(20 + random.below(60));
    let draw = || usize::try_from(random.below(4)).unwrap();
    while tokio::time::Instant::now() < end {
        let (first, killed, drained) = (draw(), 1 + draw() % 3, draw());
        let drained = backends[drained].0;
        // Whoever drains may not be the only one who lives.
        if killed < 3 {
            balancer.set_flag(drained, Flag::Draining).unwrap();
        }
        for at in 0..killed {
            backends[(first + at) % 4].1.kill().await;
            counts.turn_over().await;
            tokio::time::sleep(pause()).await;
        }
        balancer.clear_flag(drained, Flag::Draining).unwrap();
        for at in 0..killed {
            backends[(first + at) % 4].1.restart();
            tokio::time::sleep(pause()).await;
        }
        counts.turn_over().await;
    }
}
