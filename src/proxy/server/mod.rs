//! The server in front of a proxy: [`Server`].
//!
//! ```text
//! Listener ─► accept ─► PROXY protocol? ─► TLS? ─► HTTP/1.1 or HTTP/2? ─► your service
//!    TCP, unix socket,     from listed        ALPN, or what comes first     gets ClientBody,
//!    inherited             peers                                            ClientAddr, TlsSession
//! ```
//!
//! HTTP itself is hyper's. What is here is who may connect, how long each step may take,
//! and an end in good order.
//!
//! What does not live here: certificates (`tls`), and what is answered.

mod accept;
mod client_body;
mod connection;
mod control;
mod descriptors;
mod half_close;
mod held_heads;
mod http2_options;
mod idle;
mod line;
mod linger;
mod listener;
mod options;
mod preamble;
mod request;
mod signal;
mod stopping;
mod streams;
mod unread;

pub use accept::Stopped;
pub use client_body::ClientBody;
pub use listener::Listener;
pub use options::Server;
pub use signal::stop_signal;

#[cfg_attr(not(feature = "tls"), allow(unused_imports, reason = "for TLS"))]
pub(in crate::proxy) use connection::{Handshake, Handshaking, Protected, Spoken};
pub(in crate::proxy) use stopping::Cut;
