//! The router of connections.

mod choosing;
mod front;
#[cfg(feature = "proxy")]
mod http;
mod limits;
#[cfg(all(feature = "proxy", feature = "tls"))]
mod programs;
mod statistics;
#[cfg(feature = "proxy")]
mod stopping;
mod telling;
