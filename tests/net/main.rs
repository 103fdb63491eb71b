//! A relay of TCP on real sockets, made of what `net` has in public and of nothing else:
//! clients are accepted within limits, their PROXY headers are read, TLS is spoken on both
//! sides, and it ends gracefully.

#![cfg(feature = "__net")]
#![allow(
    clippy::unwrap_used,
    reason = "what cannot be set up, or what hangs, ends its test"
)]

mod ends;
mod headers;
mod limits;
mod reaching;
mod relay;
#[cfg(feature = "tls")]
mod secure;

use std::time::Duration;

use tokio::time::timeout;

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap()
}
