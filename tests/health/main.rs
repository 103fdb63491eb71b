//! Outliers, and limits that follow latency, through the public API.

#![cfg(feature = "health")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a balancer that cannot be set up ends its test"
)]

mod concurrency;
mod outliers;
mod outliers_races;
mod outliers_service;
mod outliers_trial;
mod simulation;
