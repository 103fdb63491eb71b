//! Who asks, and by what kind of connection: [`ClientAddr`], [`TlsSession`].
//!
//! What does not live here: what finds it out (`server`, `client_layer`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

/// The address of a client, which the server that accepted its connection puts into the
/// extensions of each request; behind a server that is not a [`Server`](super::Server), a
/// [`ClientAddrLayer`](super::ClientAddrLayer) does.
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

/// The address at which a client reached this server, if the server was told to
/// [say so](super::Server::server_addr): in the extensions of each request.
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

/// In the extensions of the first request of a client's connection.
#[cfg_attr(
    not(feature = "config"),
    allow(dead_code, reason = "only a configuration asks for it")
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstRequest;

impl ClientAddr {
    /// A server that listens on both kinds of addresses sees `::ffff:10.0.0.1`.
    pub(super) fn ip(self) -> IpAddr {
        self.0.ip().to_canonical()
    }
}

/// What TLS knows of a client: it is in the extensions of each request that came by TLS,
/// if the [`Server`](super::Server) terminates it. Members are told `https` then.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::TlsSession;
///
/// fn is_known<B>(request: &http::Request<B>) -> bool {
///     let session = request.extensions().get::<TlsSession>();
///     session.is_some_and(|session| !session.certificates().is_empty())
/// }
/// # assert!(!is_known(&http::Request::new(())));
/// ```
#[derive(Clone, Debug)]
pub struct TlsSession {
    shared: Arc<Session>,
}

/// The hosts that a server's certificate is for: by name, or by address.
pub(super) trait CertifiedHosts: fmt::Debug + Send + Sync {
    fn contain(&self, host: &str) -> bool;
}

#[derive(Debug)]
struct Session {
    server_name: Option<String>,
    certified: Option<Arc<dyn CertifiedHosts>>,
    version: &'static str,
    certificates: Vec<Bytes>,
}

impl TlsSession {
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has them"))]
    pub(super) fn new(
        server_name: Option<String>,
        certified: Option<Arc<dyn CertifiedHosts>>,
        version: &'static str,
        certificates: Vec<Bytes>,
    ) -> Self {
        Self {
            shared: Arc::new(Session {
                server_name,
                certified,
                version,
                certificates,
            }),
        }
    }

    /// Returns the name that the client asked for (SNI).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::TlsSession;
    ///
    /// fn asked_for<B>(request: &http::Request<B>) -> Option<&str> {
    ///     request.extensions().get::<TlsSession>()?.server_name()
    /// }
    /// # assert!(asked_for(&http::Request::new(())).is_none());
    /// ```
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.shared.server_name.as_deref()
    }

    /// Tells whether the certificate that this server has shown is for that host: then a
    /// client may ask for it on this connection (RFC 9110, 4.3.3). See
    /// [`EdgeLayer::certified_hosts_only`](super::EdgeLayer::certified_hosts_only).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::TlsSession;
    ///
    /// fn is_misdirected<B>(request: &http::Request<B>) -> bool {
    ///     let session = request.extensions().get::<TlsSession>();
    ///     let host = request.uri().host();
    ///     session.zip(host).is_some_and(|(session, host)| !session.certifies(host))
    /// }
    /// # assert!(!is_misdirected(&http::Request::new(())));
    /// ```
    #[must_use]
    pub fn certifies(&self, host: &str) -> bool {
        let certified = self.shared.certified.as_ref();
        certified.is_some_and(|certified| certified.contain(host))
    }

    /// Returns which TLS it is: `"1.2"` or `"1.3"`.
    ///
    /// # Examples
    ///
    /// See [`server_name`](Self::server_name).
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.shared.version
    }

    /// Returns the certificates that the client proved to have, its own first, each in
    /// DER; none unless it was asked for them.
    ///
    /// # Examples
    ///
    /// See [`TlsSession`].
    #[must_use]
    pub fn certificates(&self) -> &[Bytes] {
        &self.shared.certificates
    }
}
