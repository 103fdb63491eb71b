//! A kit to test schedulers.

mod group;
pub mod laws;
pub mod models;

pub use group::{Group, GroupPickError};
