//! Consistent hashing on a ring of points, of this crate or as other programs place them.
//!
//! Each kind of ring has a file for its points; `construction.rs` makes a ring of them, and
//! `table.rs` walks along it.

mod construction;
mod counts;
mod envoy;
mod haproxy;
mod ketama;
mod nginx;
mod own;
mod scheduler;
mod size_error;
mod table;
#[cfg(test)]
mod tests;

pub use scheduler::Ring;
pub use size_error::RingSizeError;
