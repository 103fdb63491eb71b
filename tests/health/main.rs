//! Health checks on real sockets, outliers, and limits that follow latency.

#![cfg(feature = "health")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what cannot be set up, or what hangs, ends its test"
)]

mod bounds;
mod concurrency;
mod floods;
mod grpc;
mod http;
mod http_ends;
mod http_floods;
mod member;
mod membership;
mod outliers;
mod outliers_checks;
mod outliers_races;
mod outliers_service;
mod outliers_trial;
mod simulation;
mod tcp;
mod times;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use equipoise::{Balancer, Flag};
use tokio::time::{sleep, timeout};

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap()
}

/// Waits until it holds.
async fn until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Why a check of the member has failed, if one has.
fn cause<W>(balancer: &Balancer<W>, member: &str) -> Option<String> {
    let health = balancer.member(member).unwrap().health();
    let outage = health.outage(Flag::FailedCheck)?;
    Some(outage.cause.clone().unwrap().to_string())
}

fn is_failed<W>(balancer: &Balancer<W>, member: &str) -> bool {
    cause(balancer, member).is_some()
}
