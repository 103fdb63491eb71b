//! A client's connection that is ready for use: [`Accepted`].

use std::net::SocketAddr;

use super::proxy_header::ProxyHeader;
use super::stream::Stream;
use super::tls_session::TlsSession;

/// A client's connection, after its PROXY header and the TLS handshake.
///
/// # Examples
///
/// ```
/// use equipoise::net::Accepted;
///
/// /// The member for a connection, by the name that the client requested.
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
    pub(crate) stream: Stream,
    pub(super) peer: Option<SocketAddr>,
    pub(super) header: Option<ProxyHeader>,
    pub(super) session: Option<TlsSession>,
    /// The PROXY header for the member of a connection whose TLS passes through.
    pub(super) passed: Option<Box<ProxyHeader>>,
}

impl Accepted {
    /// A connection from which nothing has been read yet.
    pub(super) const fn arrived(stream: Stream, peer: Option<SocketAddr>) -> Self {
        Self {
            stream,
            peer,
            header: None,
            session: None,
            passed: None,
        }
    }

    /// Returns the address of the client: the source in the PROXY header, or else the
    /// address of the peer. A client of a unix socket has none.
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
    pub fn client_addr(&self) -> Option<SocketAddr> {
        let announced = self.header.as_ref().and_then(ProxyHeader::source);
        announced.or(self.peer)
    }

    /// Returns the address at the other end of the connection.
    #[must_use]
    pub const fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the local address that accepted the connection.
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

    /// Returns the PROXY header at the start of the connection. A header is only read from
    /// the peers that the acceptor [lists](super::Acceptor::proxy_protocol).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Accepted;
    /// use std::net::SocketAddr;
    ///
    /// /// The address that the client connected to at the first balancer on its path.
    /// fn destination(accepted: &Accepted) -> Option<SocketAddr> {
    ///     let announced = accepted.proxy_header().and_then(|header| header.destination());
    ///     announced.or(accepted.local_addr())
    /// }
    /// # let _ = destination;
    /// ```
    #[must_use]
    pub const fn proxy_header(&self) -> Option<&ProxyHeader> {
        self.header.as_ref()
    }

    /// Returns the PROXY header to send to a member for this connection.
    ///
    /// It is the header that the connection began with, including all of its values except
    /// padding and checksum. If there was none, or it described the peer's own connection
    /// (`LOCAL`), the source is the peer and the destination is the local address of this
    /// connection. If TLS ends here, the server name of the client becomes the authority.
    /// If a router of streams (`forward::StreamRouter`) has read the server name and TLS
    /// passes through, the name becomes the authority too; the protocol (ALPN) is added if
    /// the client offers exactly one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{Accepted, Connector, ProxyVersion};
    /// use tokio::io::copy_bidirectional;
    ///
    /// async fn relay(accepted: Accepted, member: Connector) {
    ///     let header = accepted.next_proxy_header();
    ///     let member = member.proxy_header(&header, ProxyVersion::V2);
    ///     let Ok(mut member) = member.connect().await else { return };
    ///     let _ = copy_bidirectional(&mut accepted.into_stream(), &mut member).await;
    /// }
    /// # let _ = relay;
    /// ```
    pub fn next_proxy_header(&self) -> ProxyHeader {
        if let Some(header) = &self.passed {
            return ProxyHeader::clone(header);
        }
        let header = match &self.header {
            Some(header) if header.source().is_some() => header.for_next_hop(),
            _ => match (self.peer, self.local_addr()) {
                (Some(client), Some(here)) => ProxyHeader::new(client, here),
                _ => ProxyHeader::unknown(),
            },
        };
        let Some(name) = self.session.as_ref().and_then(TlsSession::server_name) else {
            return header;
        };
        // Without room for the name, the header is sent without it.
        header.clone().with_authority(name).unwrap_or(header)
    }

    /// Returns what the TLS handshake told about the client, if the connection uses TLS.
    #[must_use]
    pub const fn tls_session(&self) -> Option<&TlsSession> {
        self.session.as_ref()
    }

    /// Returns the stream of the connection.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// Sets the PROXY header for the member, used while TLS passes through.
    #[cfg(feature = "forward")]
    pub(crate) fn set_next_proxy_header(&mut self, header: ProxyHeader) {
        self.passed = Some(Box::new(header));
    }

    #[cfg(feature = "proxy")]
    pub(crate) fn into_parts(self) -> (Stream, Option<SocketAddr>, Option<TlsSession>) {
        let client = self.client_addr();
        (self.stream, client, self.session)
    }
}
