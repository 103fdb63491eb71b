//! Active health checks: members are probed in intervals, whether they have requests or not.
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
//! One task keeps the queue; each probe is a short task of its own, so that a panic or a hang
//! of one is no other's. A member is in one place only: in the queue, waiting for a slot, or
//! being probed. So its checks never overlap and never pile up.
//!
//! What does not live here: connections (`net`), and what a failed check does to picks
//! (`balancer`).

mod check;
mod driver;
mod error;
mod examine;
mod grpc;
mod handle;
mod http;
mod kept;
mod lookup;
mod news;
mod plan;
mod probe;
mod queue;
mod sheltered;
mod tally;
mod target;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

pub use check::{Check, CheckBuilder, CheckError};
pub use error::ProbeError;
pub use grpc::GrpcProbe;
pub use handle::{HealthChecks, HealthChecksBuilder};
pub use http::{CheckAnswer, HttpProbe, HttpProbeBuilder, HttpProbeError};
pub use plan::FirstCheck;
pub use probe::{Probe, Probing};
pub use target::{Checkable, ProbeTarget};
pub use tcp::TcpProbe;
#[cfg(feature = "tls")]
pub use tls::TlsProbe;
