//! A key's remainder picks the member: maps and ranges in proportion to weight.
//!
//! `map.rs` is HAProxy's way, `ranges.rs` nginx's; `scheduler.rs` picks with them.

mod map;
mod ranges;
mod scheduler;

pub use scheduler::Modulo;
