//! One port for many services: [`StreamRouter`], by its [`StreamRule`]s.
//!
//! ```text
//! Acceptor ─► PROXY header? ─► first matching rule ─► its target: a forwarder, an HTTP
//!              TLS?              by listener, client,     server, or a task
//!                                and TLS server name
//! ```
//!
//! Not here: reading the first bytes of a client (`greeting`), the map of
//! names (`name_routes`), and the targets (`net`).

mod rule;
mod statistics;
mod table;

pub use rule::StreamRule;
pub use statistics::RouterStatistics;
pub use table::StreamRouter;
