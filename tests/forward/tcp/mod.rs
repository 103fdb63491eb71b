//! The forwarder of connections.

mod caps;
mod ends;
mod failover;
pub(crate) mod front;
mod limits;
mod lost;
mod no_failover;
mod passing;
#[cfg(feature = "tls")]
mod secure;
mod statistics;
mod telling;
