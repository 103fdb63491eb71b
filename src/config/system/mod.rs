//! A configuration that runs.
//!
//! ```text
//! builder ─► state: what runs, and what a reload changes ◄─ handle: `RunningConfig`
//! ```
//!
//! What does not live here: making it ready (`assemble`), and what becomes of a request (`front`).

mod builder;
mod handle;
mod state;

pub use builder::{RunningConfigBuilder, build};
pub use handle::RunningConfig;
