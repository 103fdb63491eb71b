//! What nobody should do, and somebody will: each test says what happens. Always the
//! same: a clear error or a safe default, nothing left in flight, and a balancer that
//! goes on.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a balancer that cannot be set up ends its test"
)]

mod hostile_clients;
mod members;
mod observers;
mod panics;
mod schedulers;
mod support;
mod weights;
