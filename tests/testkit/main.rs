//! The test kit itself: each law can fail, the shipped schedulers keep those that are
//! theirs, the models agree with them, and recorded picks repeat.

#![cfg(feature = "testkit")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod broken;
mod broken_by_changes;
mod broken_claims;
mod broken_hooks;
mod broken_weights;
mod broken_with_many;
mod group;
mod like_a_balancer;
mod models;
mod parameters;
mod recording;
mod replay;
mod shipped;
mod silence;
#[cfg(feature = "proptest")]
mod strategies;
