//! Forwarding at layer 4, on real sockets.

#![cfg(feature = "forward")]
#![allow(
    clippy::unwrap_used,
    reason = "what cannot be set up, or what hangs, ends its test"
)]

mod udp;
mod udp_ends;
mod udp_limits;
