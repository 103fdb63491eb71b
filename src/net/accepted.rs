//! A client's connection that is ready to be used: [`Accepted`].

use std::net::SocketAddr;

use super::stream::Stream;
use super::tls_session::TlsSession;

/// A client's connection, after its PROXY header and the handshake of TLS.
///
/// # Examples
///
/// ```
/// use equipoise::net::Accepted;
///
/// /// The member for a connection, by the name that the client asked for.
/// fn member_for(accepted: &Accepted) -> &'static str {
///     match accepted.tls_session().and_then(|session| session.server_name()) {
///         Some("db.example.com") => "db",
///         _ => "other",
///     }
/// }
/// # let _ = member_for;
/// ```
#[derive(Debug)]
pub struct Accepted {
    stream: Stream,
    client: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    session: Option<TlsSession>,
}

impl Accepted {
    pub(super) fn new(
        stream: Stream,
        client: Option<SocketAddr>,
        peer: Option<SocketAddr>,
        session: Option<TlsSession>,
    ) -> Self {
        Self {
            stream,
            client,
            peer,
            session,
        }
    }

    /// Returns the address of the client: what the PROXY header says, otherwise that of the
    /// peer. A client of a unix socket has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Accepted;
    ///
    /// fn is_behind_a_balancer(accepted: &Accepted) -> bool {
    ///     accepted.client_addr() != accepted.peer_addr()
    /// }
    /// # let _ = is_behind_a_balancer;
    /// ```
    #[must_use]
    pub const fn client_addr(&self) -> Option<SocketAddr> {
        self.client
    }

    /// Returns the address at the other end of the connection.
    ///
    /// # Examples
    ///
    /// See [`client_addr`](Self::client_addr).
    #[must_use]
    pub const fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the address at which the connection came in.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Accepted;
    ///
    /// fn is_for_the_database(accepted: &Accepted) -> bool {
    ///     accepted.local_addr().is_some_and(|here| here.port() == 5432)
    /// }
    /// # let _ = is_for_the_database;
    /// ```
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr()
    }

    /// Returns what TLS knows of the client, if the connection is under TLS.
    ///
    /// # Examples
    ///
    /// See [`Accepted`].
    #[must_use]
    pub const fn tls_session(&self) -> Option<&TlsSession> {
        self.session.as_ref()
    }

    /// Returns the connection itself.
    ///
    /// # Examples
    ///
    /// See the [module](super).
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    #[cfg(feature = "proxy")]
    pub(crate) fn into_parts(self) -> (Stream, Option<SocketAddr>, Option<TlsSession>) {
        (self.stream, self.client, self.session)
    }
}
