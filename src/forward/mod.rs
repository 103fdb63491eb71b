//! Forwarding at layer 4: connections and datagrams go to members of a balancer, and their
//! content is not looked at.
//!
//! What does not live here: sockets and TLS (`net`), and HTTP (`proxy`).

mod greeting;
mod name_routes;

pub use greeting::{ClientHello, Greeting, GreetingError, GreetingLimits};
pub use name_routes::{HostNameError, NameRoutes};
