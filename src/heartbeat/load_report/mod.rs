//! A server's report of its load with each response, for the scheduler
//! [`Prequal`](crate::scheduler::Prequal): [`LoadReportLayer`].
//!
//! Not here: reading such reports (`orca`).

mod future;
mod header;
mod latencies;
mod layer;
mod meter;

pub use future::LoadReportFuture;
pub use layer::{LoadReportLayer, LoadReportService};
