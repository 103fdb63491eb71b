//! What takes reports in and gives them to the balancers whose members they are of:
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
//! What does not live here: sockets, HTTP and files, from which reports come.

mod builder;
mod error;
mod follow;
mod followed;
mod handle;
mod index;
mod keep;
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
