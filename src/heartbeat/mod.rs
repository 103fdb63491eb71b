//! Reports of idle capacity that members send over a network, for the scheduler
//! [`Heartbeat`](crate::Heartbeat).
//!
//! ```text
//! server                                              balancer
//! InFlightLayer ─► HeartbeatSender ── UDP ──► HeartbeatListener ─┐
//! httpd, mod_heartbeat ────────────── UDP ──►        "           │
//! curl -d 'ready=3&busy=1' ────────── POST ─► HeartbeatService ──┼─► HeartbeatMonitor
//! httpd, HeartbeatStorage ─────────── file ─► HeartbeatFile ─────┘     which member?
//!                                                                          │
//! endpoint-load-metrics: TEXT … ─ responses ► OrcaLayer ───────────► HeartbeatReadings
//!                                                                          │
//!                                                                      Heartbeat picks
//! ```
//!
//! It is compatible with Apache httpd in both directions. Signatures ([`HeartbeatKey`],
//! which describes what they protect against) are an extension; httpd ignores them.
//!
//! The scheduler [`Prequal`](crate::scheduler::Prequal) picks by requests in flight and
//! latencies, which members report with their responses or when they are asked:
//!
//! ```text
//! server                                              balancer
//! LoadReportLayer ─ responses ─► OrcaLayer::for_prequal ─┐
//! your own protocol ◄─ asked, answers ─► PrequalProbes ──┴─► PrequalReports ─► Prequal picks
//! ```
//!
//! Not here: how members are picked (`scheduler`).
//!
//! # Examples
//!
//! A balancer that picks by the heartbeats of its members:
//!
//! ```no_run
//! use equipoise::heartbeat::{HeartbeatListener, HeartbeatMonitor, MemberAddress};
//! use equipoise::{Balancer, Heartbeat, HeartbeatReadings, MemberSpec};
//! use http::Uri;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let readings = HeartbeatReadings::new();
//! let balancer = Balancer::builder()
//!     .scheduler(Heartbeat::new(&readings))
//!     .member("a", Uri::from_static("http://app-1.internal:8080"), MemberSpec::new())
//!     .member("b", Uri::from_static("http://app-2.internal:8080"), MemberSpec::new())
//!     .build()?;
//!
//! let monitor = HeartbeatMonitor::new();
//! monitor.follow(&balancer, &readings, MemberAddress::of_uri).detach();
//! let listening = HeartbeatListener::bind("239.0.0.1:27999".parse()?)?.spawn(&monitor);
//! // Serve requests. At the end:
//! println!("{}", monitor.statistics());
//! drop(listening);
//! # Ok(())
//! # }
//! ```

mod file;
mod form;
mod in_flight;
mod load_report;
mod message;
mod monitor;
mod orca;
mod pairs;
mod probing;
mod record;
mod sender_id;
mod signature;
mod udp;
mod wall_clock;

pub use file::{HeartbeatFile, HeartbeatLineError};
pub use form::{HeartbeatService, HeartbeatServiceFuture};
pub use in_flight::{
    InFlight, InFlightBody, InFlightFuture, InFlightGuard, InFlightLayer, InFlightService,
};
pub use load_report::{LoadReportFuture, LoadReportLayer, LoadReportService};
pub use message::{HeartbeatMessage, MessageError};
pub use monitor::{
    FollowGuard, HeartbeatMonitor, HeartbeatStatistics, MemberAddress, MonitorBuilder,
    ParseMemberAddressError, ReportError,
};
pub use orca::{OrcaError, OrcaFuture, OrcaLayer, OrcaReport, OrcaService};
pub use probing::{PrequalProbes, PrequalProbesBuilder};
pub use record::HeartbeatRecord;
pub use sender_id::SenderId;
pub use signature::HeartbeatKey;
#[cfg(feature = "config")]
pub(crate) use udp::reading_of;
pub use udp::{HeartbeatListener, HeartbeatListenerGuard, HeartbeatSender, HeartbeatSenderGuard};
