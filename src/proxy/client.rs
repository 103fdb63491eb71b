//! The client's and the server's address of a connection: [`ClientAddr`], [`ServerAddr`].
//!
//! Not here: the code that finds the addresses (`server`, `client_layer`).

use std::net::{IpAddr, SocketAddr};

/// The address of a client.
///
/// A [`Server`](super::Server) puts it into the extensions of each request. Behind another
/// server, a [`ClientAddrLayer`](super::ClientAddrLayer) does.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::ClientAddr;
/// use http::Request;
/// use std::net::SocketAddr;
///
/// fn from(peer: SocketAddr, mut request: Request<()>) -> Request<()> {
///     request.extensions_mut().insert(ClientAddr(peer));
///     request
/// }
/// # let peer = SocketAddr::from(([127, 0, 0, 1], 1));
/// # assert!(from(peer, Request::new(())).extensions().get::<ClientAddr>().is_some());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper, and nothing else")]
pub struct ClientAddr(pub SocketAddr);

/// The address at which a client reached this server, in the extensions of each request.
///
/// It is set if [`Server::server_addr`](super::Server::server_addr) is.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::ServerAddr;
///
/// fn is_internal<B>(request: &http::Request<B>) -> bool {
///     let here = request.extensions().get::<ServerAddr>();
///     here.is_some_and(|here| here.0.ip().is_loopback())
/// }
/// # assert!(!is_internal(&http::Request::new(())));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper, and nothing else")]
pub struct ServerAddr(pub SocketAddr);

impl ClientAddr {
    /// Returns the address; `::ffff:10.0.0.1`, which a dual-stack listener reports, becomes
    /// `10.0.0.1`.
    pub(super) fn ip(self) -> IpAddr {
        self.0.ip().to_canonical()
    }
}
