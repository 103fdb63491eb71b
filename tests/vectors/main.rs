//! Recordings of Apache's elections (`apache-balancer.md`, sections 2.3 to 2.9),
//! against the public API. Where we differ on purpose, the ledger's number stands
//! beside what Apache does.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a vector that cannot be set up ends its test"
)]

mod by_busyness;
mod by_requests;
mod by_traffic;
mod eligibility;
mod heartbeat;
mod recovery;
mod sessions;
mod support;
