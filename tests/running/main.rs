//! Configurations of httpd that run, on real sockets: what clients and members see.
//!
//! Not here: what is read from which words (`tests/config`).

#![cfg(feature = "config")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say so at once"
)]

mod checks;
mod client;
mod doors;
mod ends;
mod forwarded;
mod handles;
mod headers;
mod heartbeats;
mod hosts;
mod member;
mod member_hosts;
mod parameters;
mod places;
mod recipe;
mod reload;
mod reload_load;
mod reload_members;
mod reload_waiting;
mod reuse;
mod reverse;
mod reviewed;
mod running;
mod sample;
mod secure;
mod sockets;
mod unusual;
mod upgrades;
