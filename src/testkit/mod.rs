//! A kit to test schedulers.

mod group;
pub mod laws;
pub mod models;
pub mod replay;

pub use group::{Group, GroupPickError};
pub use replay::{RecordedLease, Recorder, RecorderBuilder, Replay, ReplayError};
