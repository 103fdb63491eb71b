//! How schedulers share requests: shares and smoothness by weight, members that fail at
//! once, caps, retries, and picks without allocation.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod every;
mod explained;
mod foretold;
mod least_request;
mod peak_ewma;
mod rotation;
mod silent;
mod sinkhole;
mod support;
mod weighted_random;
