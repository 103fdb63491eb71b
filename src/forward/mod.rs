//! Forwarding at layer 4: connections and datagrams go to members of a balancer, and their
//! content is not looked at.
//!
//! What does not live here: sockets and TLS (`net`), and HTTP (`proxy`).

mod scratch;
mod udp;

pub use udp::{Dropped, UdpForwarder, UdpStatistics};
