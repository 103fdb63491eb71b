//! A running configuration.
//!
//! ```text
//! builder ─► state: what runs, and what a reload changes ◄─ handle: `RunningConfig`
//! ```
//!
//! Not here: preparing it (`assemble`), and handling a request (`front`).

mod builder;
mod handle;
mod state;

pub use builder::{RunningConfigBuilder, build};
pub use handle::RunningConfig;
