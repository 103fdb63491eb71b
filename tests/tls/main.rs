//! TLS on real sockets, on both sides of the proxy: which certificate, which version, which
//! HTTP, who is believed, and what happens to those who are not.

#![cfg(all(feature = "proxy", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    reason = "what cannot be set up, or what hangs, ends its test"
)]

mod authority;
mod client;
mod client_certificates;
mod ending;
mod front;
mod hostile;
mod member;
mod members;
mod names;
mod programs;
mod spoken;
mod switching;

use std::time::Duration;

use tokio::time::timeout;

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap()
}
