//! A kit to test schedulers.

mod group;
pub mod laws;

pub use group::{Group, GroupPickError};
