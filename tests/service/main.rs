//! The balancer behind tower: in-process members that do as they are told, and real
//! hyper servers on real sockets. Public API only.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a service that cannot be set up ends its test"
)]

mod backend;
mod books;
mod call;
#[cfg(feature = "tokio")]
mod causes;
mod contract;
#[cfg(feature = "tokio")]
mod facts;
mod failover;
mod hash_keys;
mod hedging;
mod in_flight;
mod last_resort;
mod member;
mod overload;
mod readers;
mod replay;
mod reviewed;
mod sessions;
mod soak;
mod stacks;
mod table;
mod timer;
mod told;
