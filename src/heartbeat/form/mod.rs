//! Heartbeats by POST: [`HeartbeatService`] takes them in, in place of httpd's `SetHandler
//! heartbeat`.
//!
//! What does not live here: what a report changes (`monitor`).

mod future;
mod service;

pub use future::HeartbeatServiceFuture;
pub use service::HeartbeatService;
