//! Heartbeats by POST requests: [`HeartbeatService`] receives them, in place of httpd's
//! `SetHandler heartbeat`.
//!
//! Not here: the effect of a report (`monitor`).

mod future;
mod service;

pub use future::HeartbeatServiceFuture;
pub use service::HeartbeatService;
