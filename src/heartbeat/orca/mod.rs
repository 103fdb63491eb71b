//! Load that members report with each answer, in the text form of ORCA (Open Request Cost
//! Aggregation): [`OrcaReport`], and [`OrcaLayer`], which picks by it.
//!
//! ```text
//! endpoint-load-metrics: TEXT cpu_utilization=0.3, rps_fractional=10.0, named_metrics.queue=0.4
//! ```
//!
//! What does not live here: its other forms (JSON, protobuf), and reports that are asked for
//! besides requests.

mod error;
mod future;
mod layer;
mod report;
mod sink;

pub use error::OrcaError;
pub use future::OrcaFuture;
pub use layer::{OrcaLayer, OrcaService};
pub use report::OrcaReport;
