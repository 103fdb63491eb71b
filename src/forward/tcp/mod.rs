//! Forwarding of connections: [`TcpForwarder`].
//!
//! ```text
//! Acceptor ─► ConnectionForwarder ─► ConnectionSetup ─► join: two Pumps ─► end
//!  (`net`)     one for all            pick, connect      bytes both ways, through
//!                                                        memory or a pipe (splice)
//! ```
//!
//! Not here: datagrams (`udp`), and the choice between several targets for a
//! connection (`router`).

mod aborted;
mod connection;
mod connection_forwarder;
mod forwarder;
mod join;
mod pump;
mod reset_on_drop;
mod settings;
#[cfg_attr(not(target_os = "linux"), path = "no_splice.rs")]
mod splice;
mod statistics;
mod target;

pub use aborted::Aborted;
pub use forwarder::TcpForwarder;
pub use statistics::TcpStatistics;
