//! The test kit itself.

#![cfg(feature = "testkit")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod broken;
mod group;
mod like_a_balancer;
mod models;
mod replay;
mod shipped;
