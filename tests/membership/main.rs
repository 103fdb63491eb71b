//! A balancer while it runs: members come, change and go, requests wait and end, and
//! observers hear of it. Public API only.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a balancer that cannot be set up ends its test"
)]

mod batches;
mod capacity;
mod clocks;
mod drain;
mod drained;
mod ejections;
mod explain;
mod facts;
mod health;
mod labels;
mod layers;
mod leases;
mod line;
mod members;
mod observer;
mod observers;
mod plans;
mod ramps;
mod ready;
mod repeated;
mod reviewed;
mod scheduler_change;
mod slow_changes;
mod sources;
mod support;
mod timed_changes;
mod types;
mod waiting;
mod wakers;
mod withheld;
