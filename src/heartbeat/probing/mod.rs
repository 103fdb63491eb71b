//! Asking members for their load, for the scheduler
//! [`Prequal`](crate::scheduler::Prequal): [`PrequalProbes`].
//!
//! ```text
//! pick ──► members are due ──► driver: a free place? ──► your probe, within its time limit
//!                                                              │ ProbeReport
//!                                            PrequalReports ◄──┘
//! ```
//!
//! Not here: which members are asked, and what a report does (`scheduler/prequal`).

mod driver;
mod handle;

pub use handle::{PrequalProbes, PrequalProbesBuilder};
