//! Forwarding at layer 4, on real sockets.

#![cfg(feature = "forward")]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what cannot be set up, or what hangs, ends its test, and figures are for reading"
)]

mod affinity;
#[cfg(feature = "tls")]
mod front;
mod greeting;
mod hello;
mod name_routes;
mod named;
mod nginx;
#[cfg(feature = "tls")]
mod openssl;
#[cfg(feature = "tls")]
mod pass_through;
mod pieces;
#[cfg(target_os = "linux")]
mod program;
mod proxy_protocol;
mod router;
#[cfg(target_os = "linux")]
mod services;
mod tcp;
mod types;
mod udp;
mod udp_addresses;
mod udp_dns;
mod udp_ends;
mod udp_limits;

use std::time::Duration;

use tokio::time::timeout;

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.unwrap()
}
