//! Load reports in responses of members, in the text form of ORCA (Open Request Cost
//! Aggregation): [`OrcaReport`], and [`OrcaLayer`], which passes them to the scheduler.
//!
//! ```text
//! endpoint-load-metrics: TEXT cpu_utilization=0.3, rps_fractional=10.0, named_metrics.queue=0.4
//! ```
//!
//! Not here: other forms of ORCA (JSON, protobuf), and out-of-band reports.

mod error;
mod future;
mod layer;
mod report;
mod sink;

pub use error::OrcaError;
pub use future::OrcaFuture;
pub use layer::{OrcaLayer, OrcaService};
pub use report::OrcaReport;
