//! Receives reports and passes them to the balancers that have the senders as members:
//! [`HeartbeatMonitor`].
//!
//! ```text
//! bytes ─► signature? ─► message ─► senders: the latest of each, bounded
//!                                      │
//!                          index: which members have this address ◄─ members that join and
//!                                      │                             leave, names that are
//!                                      ▼                             looked up again
//!                              HeartbeatReadings
//! ```
//!
//! Not here: the sources of reports: sockets, HTTP and files.

mod builder;
mod error;
mod follow;
mod followed;
mod handle;
mod index;
mod maintenance;
mod member_address;
mod senders;
mod state;
mod statistics;

pub use builder::MonitorBuilder;
pub use error::ReportError;
pub use follow::FollowGuard;
pub use handle::HeartbeatMonitor;
pub use member_address::{MemberAddress, ParseMemberAddressError};
pub use statistics::HeartbeatStatistics;
