//! One port for many services: [`StreamRouter`], by its [`StreamRule`]s.
//!
//! ```text
//! Acceptor ─► PROXY header? ─► first rule that holds ─► its target: a forwarder, the server
//!              TLS?              by listener, client,     of HTTP, or a task
//!                                and names of TLS
//! ```
//!
//! What does not live here: what a client sends first (`greeting`), names (`name_routes`), and
//! the targets (`net`).

mod rule;
mod statistics;
mod table;

pub use rule::StreamRule;
pub use statistics::RouterStatistics;
pub use table::StreamRouter;
