//! Forwarding of connections: [`TcpForwarder`].
//!
//! ```text
//! Acceptor ─► Forwarding ─► Course ─► join: two Pumps ─► end
//!  (`net`)     one for       pick,    bytes both ways,
//!              all           connect   by memory or by a pipe (splice)
//! ```
//!
//! What does not live here: datagrams (`udp`), and which of several targets a connection goes to
//! (`router`).

mod aborted;
mod course;
mod cut;
mod forwarder;
mod forwarding;
mod join;
mod pump;
mod settings;
#[cfg_attr(not(target_os = "linux"), path = "no_splice.rs")]
mod splice;
mod statistics;
mod target;

pub use aborted::Aborted;
pub use forwarder::TcpForwarder;
pub use statistics::TcpStatistics;
