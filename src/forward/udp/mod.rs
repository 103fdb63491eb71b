//! Datagrams: [`UdpForwarder`] gives each client a flow to a member, and returns the answers.
//!
//! ```text
//! client ─► front ─► flow of the client ─► gate ─► socket of the flow ─► member
//!             │ none yet, or closed                     │
//!             └► limits ─► pick ─► new flow             │
//! client ◄─────────────── task of the flow ◄────────────┘
//! ```
//!
//! What does not live here: connections (`tcp`), and sockets that accept them (`net`).

mod common;
mod dropped;
mod flow;
mod forwarder;
mod front;
mod gate;
mod leaving;
mod opening;
mod statistics;
mod table;
mod trouble;

pub use dropped::Dropped;
pub use forwarder::UdpForwarder;
pub use statistics::UdpStatistics;
