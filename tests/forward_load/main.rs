//! The forwarders under load, with clients, forwarder and members in processes of their own:
//! thousands of connections, peers that are killed, descriptors and ports that run out,
//! members that leave, and peers that mean harm.
//!
//! `EQUIPOISE_CONNECTIONS` is how many connections there are in the tests that need thousands,
//! and `EQUIPOISE_SOURCES` from how many addresses datagrams come.

#![cfg(all(feature = "forward", target_os = "linux"))]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a set-up that fails ends the test, and figures are for reading"
)]

mod bad_peers;
mod clients;
mod ending;
mod exhausted;
mod figures;
mod flood;
mod forwarder;
mod kills;
mod large_stream;
mod leaving;
mod many;
mod member;
mod ports;
#[path = "../load/process.rs"]
mod process;
mod proxy_headers;
