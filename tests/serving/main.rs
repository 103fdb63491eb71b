//! A server and a reverse proxy on real sockets, between real clients and real members:
//! how they start, pass on, refuse, and stop.

#![cfg(feature = "proxy")]
#![allow(
    clippy::unwrap_used,
    reason = "what cannot be set up, or what hangs, ends its test"
)]

mod announced;
mod client;
#[cfg(unix)]
mod descriptors;
#[cfg(target_os = "linux")]
mod exhausted;
mod fields;
#[path = "../wire/frame.rs"]
mod frame;
mod frames;
mod front;
mod grpc;
#[cfg(unix)]
mod half_close;
#[cfg(target_os = "linux")]
mod handover;
mod hash_keys;
mod header_lines;
mod http_1_0;
mod known;
mod member;
#[cfg(target_os = "linux")]
mod nginx;
mod pool;
mod programs;
mod refusals;
mod stale;
mod stopping;
mod tunnels;
#[cfg(unix)]
mod unix;
mod unread;
mod versions;
mod web_socket;
mod windows;

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap()
}

/// Waits for what nobody announces.
async fn eventually(is: impl Fn() -> bool) {
    while !is() {
        sleep(Duration::from_millis(2)).await;
    }
}
