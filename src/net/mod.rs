//! Sockets and TLS on both sides, without a protocol above them. [`Acceptor`] accepts
//! connections of clients; [`Connector`] opens connections to members.
//!
//! ```text
//! Listener ─► Acceptor ─► PROXY header? ─► TLS? ─► Accepted ─► your task
//!   TCP, unix   limit,      of listed       by        a Stream,    e.g. copies bytes
//!   socket,     graceful    peers           name      addresses    to what a Connector
//!   inherited   stop                                               opens: TCP, unix, TLS
//! ```
//!
//! The module is available with each feature that uses it: `forward`, `health`, `heartbeat`
//! and `proxy`. The types for TLS also need the feature `tls`.
//!
//! Not here: HTTP, and the choice of a member for a connection.
//!
//! # Examples
//!
//! A relay that copies bytes between each client and one address, in both directions:
//!
//! ```no_run
//! use equipoise::net::{Accepted, Acceptor, Connector, Listener, shutdown_signal};
//! use std::time::Duration;
//! use tokio::io::copy_bidirectional;
//!
//! async fn relay(accepted: Accepted, member: Connector) {
//!     // If the member cannot be reached, the client's connection is closed.
//!     let Ok(mut member) = member.connect().await else { return };
//!     let mut client = accepted.into_stream();
//!     // Ends when both sides have ended, or one has failed.
//!     let _ = copy_bidirectional(&mut client, &mut member).await;
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let member = Connector::host("db.internal", 5432).timeout(Duration::from_secs(1));
//! let stopped = Acceptor::new()
//!     .max_connections(500)
//!     .drain_timeout(Duration::from_secs(10))
//!     .serve(
//!         Listener::bind(([127, 0, 0, 1], 5432).into())?,
//!         move |accepted| relay(accepted, member.clone()),
//!         shutdown_signal()?,
//!     )
//!     .await;
//! println!("{} connections were cut", stopped.cut());
//! # Ok(())
//! # }
//! ```

mod accept;
mod accepted;
mod acceptor;
mod connect;
mod connect_error;
mod descriptors;
mod idle;
mod listener;
#[cfg(any(feature = "forward", feature = "tls"))]
mod names;
mod networks;
mod opening;
mod preamble;
mod proxy_header;
mod replayed;
mod resolved;
mod secure;
mod signal;
#[cfg(feature = "forward")]
mod socket;
mod stopped;
mod stopping;
mod stream;
#[cfg(feature = "forward")]
pub(crate) mod stream_target;
#[cfg(feature = "forward")]
mod task_target;
#[cfg(feature = "tls")]
mod tls;
mod tls_session;

#[cfg(any(feature = "forward", feature = "proxy"))]
pub(crate) use accept::Arrived;
#[cfg(feature = "proxy")]
pub(crate) use accept::{Accepting, ConnectionPermit};
pub use accepted::Accepted;
pub use acceptor::Acceptor;
pub use connect::Connector;
#[cfg(feature = "forward")]
pub(crate) use connect::DatagramsTo;
pub use connect_error::ConnectError;
#[cfg(any(feature = "forward", feature = "proxy"))]
pub(crate) use descriptors::default_connections;
#[cfg(feature = "proxy")]
pub(crate) use idle::{Evictable, IdleConnections};
/// A network, such as `10.0.0.0/8`, of the crate `ipnet`.
#[doc(no_inline)]
pub use ipnet::IpNet;
pub use listener::Listener;
#[cfg(feature = "forward")]
pub(crate) use names::{ByName, normal};
#[cfg(any(feature = "forward", feature = "proxy"))]
pub(crate) use networks::canonical;
#[cfg(feature = "forward")]
pub(crate) use networks::contain;
#[cfg(feature = "proxy")]
pub(crate) use opening::Opening;
pub use proxy_header::{ProxyHeader, ProxyValueError, ProxyVersion};
pub use replayed::Replayed;
#[cfg(any(feature = "forward", feature = "health"))]
pub(crate) use resolved::lookup;
#[cfg(feature = "proxy")]
pub(crate) use secure::Secure;
pub use signal::shutdown_signal;
#[cfg(feature = "forward")]
pub(crate) use socket::SocketLiveness;
pub use stopped::Stopped;
#[cfg(feature = "proxy")]
pub(crate) use stopping::{LAST_CALL, Stopping, TunnelCutoff};
pub use stream::Stream;
#[cfg(any(feature = "forward", feature = "proxy"))]
#[cfg_attr(
    not(any(feature = "proxy", target_os = "linux")),
    expect(unused_imports, reason = "only Linux splices")
)]
pub(crate) use stream::StreamCarrier;
#[cfg(feature = "tls")]
pub use tls::{ClientCertificates, Identity, MemberTls, ServerTls, TlsError};
pub use tls_session::TlsSession;
