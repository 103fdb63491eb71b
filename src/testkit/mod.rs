//! A kit to test schedulers.

mod group;

pub use group::{Group, GroupPickError};
