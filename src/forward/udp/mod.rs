//! Forwarding of datagrams: [`UdpForwarder`] gives each client a flow to a member, and
//! returns the responses.
//!
//! ```text
//! client ─► client socket ─► flow of the client ─► gate ─► socket of the flow ─► member
//!                │ none yet, or closed                            │
//!                └► limits ─► pick ─► resolve ─► new flow         │
//! client ◄───────────────────── task of the flow ◄────────────────┘
//! ```
//!
//! Not here: connections (`tcp`), and sockets that accept them (`net`).

mod client_gate;
mod client_socket;
mod connected_socket;
mod dropped;
mod flow;
mod flow_context;
mod flow_key;
mod forwarder;
mod held_datagrams;
mod inbound_socket;
#[cfg_attr(not(target_os = "linux"), path = "no_local_address.rs")]
mod local_address;
mod lookups;
mod lost_flows;
mod picked;
mod socket_fault;
mod statistics;
mod table;

pub use dropped::Dropped;
pub use forwarder::UdpForwarder;
pub use statistics::UdpStatistics;
