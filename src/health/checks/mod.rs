//! Active health checks: members are probed in intervals, with or without requests.
//! [`HealthChecks`].
//!
//! ```text
//! balancer ── joined, left ──► queue: what is due, and when ◄───────────────┐
//!                                │ a slot is free                           │ an interval
//!                                ▼                                          │ later
//!              Check (interval, limits, counts) ─► Probe ─► passed, failed ─┤
//!                                                  TCP, TLS, HTTP,          ▼
//!                                                  gRPC, yours    in a row? ─► apply_check_results
//! ```
//!
//! One task runs the queue; each probe is a short task of its own, which isolates its
//! panics and hangs. A member is in one state at a time: scheduled, waiting for a slot, or
//! being probed. Its checks never overlap and never pile up.
//!
//! Not here: connections (`net`), and what a failed check means for picks
//! (`balancer`).

mod catch_panic;
mod check;
mod driver;
mod error;
mod events;
mod examine;
mod grpc;
mod handle;
mod http;
mod kept_connection;
mod lookup;
mod plan;
mod probe;
mod queue;
mod tally;
mod target;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

pub use check::{Check, CheckBuilder, CheckError};
pub use error::ProbeError;
pub use grpc::GrpcProbe;
pub use handle::{HealthChecks, HealthChecksBuilder};
pub use http::{CheckResponse, HttpProbe, HttpProbeBuilder, HttpProbeError};
pub use plan::FirstCheck;
pub use probe::{Probe, Probing};
pub use target::{Checkable, ProbeTarget};
pub use tcp::TcpProbe;
#[cfg(feature = "tls")]
pub use tls::TlsProbe;
