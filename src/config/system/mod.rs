//! A configuration that runs.
//!
//! ```text
//! builder ─► state: what runs, and what a reload changes ◄─ handle: `System`
//! ```
//!
//! What does not live here: making it ready (`assemble`), and what becomes of a request (`front`).

mod builder;
mod handle;
mod state;

pub use builder::{SystemBuilder, build};
pub use handle::System;
