//! Who asks: [`ClientAddr`].

use std::net::{IpAddr, SocketAddr};

/// The address of a client, which the server that accepted its connection puts into the
/// extensions of each request.
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

impl ClientAddr {
    /// A server that listens on both kinds of addresses sees `::ffff:10.0.0.1`.
    pub(super) fn ip(self) -> IpAddr {
        self.0.ip().to_canonical()
    }
}
