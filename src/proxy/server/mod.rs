//! The server in front of a proxy: [`Server`].
//!
//! ```text
//! Listener ─► accept ─► PROXY protocol? ─► TLS? ─► HTTP/1.1 or HTTP/2? ─► your service
//!    TCP, unix socket,     from listed        ALPN, or what comes first     gets ClientBody,
//!    inherited             peers                                            ClientAddr, TlsSession
//! ```
//!
//! hyper implements HTTP itself. This module adds time limits for each step, and graceful
//! shutdown.
//!
//! Not here: accepting, the PROXY protocol and TLS (`net`), and the
//! responses.

mod client_body;
mod client_stream;
mod connection;
mod connection_state;
mod facts_beside;
mod first_bytes;
mod frame_budget;
mod half_close;
mod held_heads;
mod http2_options;
mod in_flight;
mod linger;
mod options;
mod request;
mod serve;
mod streams;
#[cfg(feature = "forward")]
mod target;
#[cfg(feature = "tls")]
mod tls;
mod unread;

pub use client_body::ClientBody;
pub use options::Server;
