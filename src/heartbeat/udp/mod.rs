//! Heartbeats as datagrams: [`HeartbeatListener`] receives them, [`HeartbeatSender`] sends
//! them.
//!
//! Not here: the effect of a report (`monitor`).

mod destination;
mod listener;
mod listening;
mod reports;
mod sender;
mod sending;
mod socket;

pub use listener::HeartbeatListener;
pub use listening::HeartbeatListenerGuard;
pub use sender::HeartbeatSender;
#[cfg(feature = "config")]
pub(crate) use sender::reading_of;
pub use sending::HeartbeatSenderGuard;
