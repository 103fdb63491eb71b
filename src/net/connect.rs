//! Opening connections to a member: by address, by name, or by unix socket, with an
//! optional PROXY header and TLS. [`Connector`].
//!
//! Not here: which address of a name is used (`resolved`), and TLS itself
//! (`tls`).

use std::fmt;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::connect_error::ConnectError;
use super::proxy_header::{ProxyHeader, ProxyVersion};
use super::resolved;
use super::secure::Secure;
use super::stream::Stream;
use crate::timer::timeout;

/// Opens connections to one member, each within a time limit.
///
/// Nagle's algorithm is off (`TCP_NODELAY`). A name is resolved for each new connection,
/// and all of its addresses are tried, IPv4 and IPv6 side by side (RFC 8305).
///
/// # Examples
///
/// ```no_run
/// use equipoise::net::Connector;
/// use std::time::Duration;
/// use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let member = Connector::host("cache.internal", 6379).timeout(Duration::from_secs(1));
/// let mut stream = member.connect().await?;
/// stream.write_all(b"PING\r\n").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Connector {
    to: ConnectTarget,
    limit: Duration,
    /// The bytes that are sent first, before TLS.
    ahead: Bytes,
    secured: Option<TlsTarget>,
}

#[derive(Clone, Debug)]
enum ConnectTarget {
    Host(Arc<str>, u16),
    /// A host whose name has been resolved.
    #[cfg_attr(
        not(feature = "health"),
        expect(dead_code, reason = "health checks do")
    )]
    Found(Arc<str>, u16, Arc<[SocketAddr]>),
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(Arc<Path>),
}

/// How a connection is secured, and the host name that the member's certificate must match.
#[derive(Clone, Debug)]
struct TlsTarget {
    secure: Arc<dyn Secure>,
    host: Arc<str>,
}

impl Connector {
    fn new(to: ConnectTarget) -> Self {
        Self {
            to,
            limit: Duration::from_secs(5),
            ahead: Bytes::new(),
            secured: None,
        }
    }

    /// Connects to an address.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Connector;
    ///
    /// let member = Connector::tcp(([10, 0, 0, 1], 5432).into());
    /// assert_eq!(member.to_string(), "10.0.0.1:5432");
    /// ```
    pub fn tcp(address: SocketAddr) -> Self {
        Self::new(ConnectTarget::Tcp(address))
    }

    /// Connects to a host by name, or by an IP address without brackets.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Connector;
    ///
    /// let member = Connector::host("db.internal", 5432);
    /// assert_eq!(member.to_string(), "db.internal:5432");
    /// ```
    pub fn host(name: &str, port: u16) -> Self {
        Self::new(ConnectTarget::Host(name.into(), port))
    }

    /// Connects to a unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Connector;
    ///
    /// let member = Connector::unix("/run/db.sock");
    /// assert_eq!(member.to_string(), "/run/db.sock");
    /// ```
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self::new(ConnectTarget::Unix(path.as_ref().into()))
    }

    /// Sets the time limit for opening a connection, 5 s by default. It covers name
    /// resolution, connecting and TLS together.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit.min(LONGEST);
        self
    }

    /// Sends a PROXY protocol header first, before TLS. It tells the member which client
    /// connection this connection is for. The member must expect one.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{Accepted, Connector, ProxyVersion};
    ///
    /// fn on_behalf_of(accepted: &Accepted, member: &Connector) -> Connector {
    ///     let header = accepted.next_proxy_header();
    ///     member.clone().proxy_header(&header, ProxyVersion::V2)
    /// }
    /// # let _ = on_behalf_of;
    /// ```
    pub fn proxy_header(mut self, header: &ProxyHeader, version: ProxyVersion) -> Self {
        self.ahead = header.encode(version);
        self
    }

    /// Secures each connection by TLS. The requested server name (SNI), which the
    /// certificate must match, is that of the settings
    /// ([`with_server_name`](super::MemberTls::with_server_name)), or else the host or its
    /// address. No protocol is offered (ALPN).
    ///
    /// # Errors
    ///
    /// Fails if that is neither a host name nor an IP address, or if the target is a unix
    /// socket and the settings have no server name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{Connector, MemberTls};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["internal".to_owned()])?;
    /// # let roots = made.cert.pem();
    /// let tls = MemberTls::with_roots(roots.as_bytes())?;
    /// let by_name = Connector::host("db.internal", 5432).tls(&tls)?;
    ///
    /// let named = tls.with_server_name("db.internal")?;
    /// let by_address = Connector::tcp(([10, 0, 0, 1], 5432).into()).tls(&named)?;
    /// # let _ = (by_name, by_address);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: &super::MemberTls) -> Result<Self, super::TlsError> {
        let host: Arc<str> = match &self.to {
            ConnectTarget::Host(host, _) | ConnectTarget::Found(host, ..) => host.clone(),
            ConnectTarget::Tcp(address) => address.ip().to_string().into(),
            #[cfg(unix)]
            ConnectTarget::Unix(_) => "".into(),
        };
        tls.check_name(&host)?;
        Ok(self.secured_by(tls.clone().into_secure(), host))
    }

    #[cfg_attr(
        not(any(feature = "proxy", feature = "tls")),
        expect(dead_code, reason = "only TLS secures")
    )]
    pub(crate) fn secured_by(mut self, secure: Arc<dyn Secure>, host: Arc<str>) -> Self {
        self.secured = Some(TlsTarget { secure, host });
        self
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// Fails if the name does not resolve, nothing listens at the address, TLS fails, or
    /// the time limit passes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the connection.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with `enable_io` and `enable_time`.
    pub async fn connect(&self) -> Result<Stream, ConnectError> {
        match timeout(self.limit, self.open(Vec::new())).await {
            Ok(opened) => opened,
            Err(_) => Err(ConnectError::timed_out()),
        }
    }

    /// Opens a connection without a limit for the whole; the caller applies one. `alpn`
    /// lists the protocols to offer by TLS.
    pub(crate) async fn open(&self, alpn: Vec<Vec<u8>>) -> Result<Stream, ConnectError> {
        let mut stream = self.stream().await?;
        if !self.ahead.is_empty() {
            let sent = stream.write_all(&self.ahead).await;
            sent.map_err(ConnectError::open)?;
        }
        let Some(TlsTarget { secure, host }) = &self.secured else {
            return Ok(stream);
        };
        let secured = secure.secure(stream, host, alpn).await;
        secured.map_err(|source| ConnectError::Tls { source })
    }

    async fn stream(&self) -> Result<Stream, ConnectError> {
        let stream = match &self.to {
            // Boxed, so that a connection to an address does not carry the future's size.
            ConnectTarget::Host(host, port) => {
                Box::pin(resolved::connect(host, *port, self.limit)).await?
            }
            ConnectTarget::Found(_, _, found) => {
                let connecting = resolved::connect_to(found.to_vec(), self.limit);
                let connected = Box::pin(connecting).await;
                connected.map_err(ConnectError::open)?
            }
            ConnectTarget::Tcp(address) => {
                let connected = TcpStream::connect(address).await;
                connected.map_err(ConnectError::open)?
            }
            #[cfg(unix)]
            ConnectTarget::Unix(path) => {
                let connected = UnixStream::connect(path).await;
                return Ok(connected.map_err(ConnectError::open)?.into());
            }
        };
        // This only affects latency, so an error is ignored.
        let _ = stream.set_nodelay(true);
        Ok(stream.into())
    }
}

/// The target of datagrams to a member.
#[cfg(feature = "forward")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum DatagramsTo<'a> {
    Address(SocketAddr),
    Host(&'a Arc<str>, u16),
}

#[cfg(feature = "forward")]
impl Connector {
    /// Returns the target for datagrams.
    ///
    /// # Errors
    ///
    /// The reason why this member cannot receive datagrams.
    pub(crate) fn datagrams_to(&self) -> Result<DatagramsTo<'_>, &'static str> {
        if self.secured.is_some() {
            return Err("TLS secures connections, not datagrams");
        }
        match &self.to {
            ConnectTarget::Host(host, port) | ConnectTarget::Found(host, port, _) => {
                Ok(DatagramsTo::Host(host, *port))
            }
            ConnectTarget::Tcp(address) => Ok(DatagramsTo::Address(*address)),
            #[cfg(unix)]
            ConnectTarget::Unix(_) => Err("datagrams cannot be sent to a unix socket"),
        }
    }

    /// Returns this connector with `port` in place of a missing port, which is port 0.
    pub(crate) fn with_default_port(mut self, port: u16) -> Self {
        match &mut self.to {
            ConnectTarget::Host(_, own) if *own == 0 => *own = port,
            ConnectTarget::Tcp(address) if address.port() == 0 => address.set_port(port),
            _ => {}
        }
        self
    }

    /// Returns the target if it is an address.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match &self.to {
            ConnectTarget::Tcp(address) => Some(*address),
            _ => None,
        }
    }

    /// Returns whether the port is missing.
    pub(crate) fn lacks_port(&self) -> bool {
        match &self.to {
            ConnectTarget::Host(_, port) | ConnectTarget::Found(_, port, _) => *port == 0,
            ConnectTarget::Tcp(address) => address.port() == 0,
            #[cfg(unix)]
            ConnectTarget::Unix(_) => false,
        }
    }
}

#[cfg(any(feature = "health", feature = "proxy"))]
impl Connector {
    pub(crate) const fn is_secured(&self) -> bool {
        self.secured.is_some()
    }
}

#[cfg(feature = "health")]
impl Connector {
    /// Returns this connector without TLS.
    pub(crate) fn unsecured(mut self) -> Self {
        self.secured = None;
        self
    }

    /// Returns the name that must be resolved, and the port.
    pub(crate) const fn unresolved(&self) -> Option<(&Arc<str>, u16)> {
        match &self.to {
            ConnectTarget::Host(host, port) => Some((host, *port)),
            _ => None,
        }
    }

    /// Returns this connector with the resolved addresses of its name.
    pub(crate) fn found_at(mut self, found: Arc<[SocketAddr]>) -> Self {
        if let ConnectTarget::Host(host, port) = self.to {
            self.to = ConnectTarget::Found(host, port, found);
        }
        self
    }

    /// Whether a connection of `other` to `peer` is one that this could open now: to the same
    /// place, which is one of the addresses that a name has now, and secured alike.
    pub(crate) fn could_open(&self, other: &Self, peer: Option<SocketAddr>) -> bool {
        let is_there = match (&self.to, &other.to) {
            (
                ConnectTarget::Host(name, port) | ConnectTarget::Found(name, port, _),
                ConnectTarget::Host(others, other) | ConnectTarget::Found(others, other, _),
            ) => (name, port) == (others, other),
            (ConnectTarget::Tcp(address), ConnectTarget::Tcp(other)) => address == other,
            #[cfg(unix)]
            (ConnectTarget::Unix(path), ConnectTarget::Unix(other)) => path == other,
            _ => false,
        };
        let is_found = match &self.to {
            ConnectTarget::Found(_, _, found) => peer.is_none_or(|it| found.contains(&it)),
            _ => true,
        };
        let host = |it: &Self| it.secured.as_ref().map(|it| it.host.clone());
        is_there && is_found && host(self) == host(other) && self.ahead == other.ahead
    }

    /// Returns the host and the port in the form of a URI authority.
    pub(crate) fn authority(&self) -> String {
        match &self.to {
            ConnectTarget::Host(name, port) | ConnectTarget::Found(name, port, _)
                if name.contains(':') =>
            {
                format!("[{name}]:{port}")
            }
            #[cfg(unix)]
            ConnectTarget::Unix(_) => "localhost".to_owned(),
            _ => self.to_string(),
        }
    }
}

#[cfg(feature = "proxy")]
impl Connector {
    /// Returns whether an error, ignoring its causes, means that the member rejects our
    /// certificate.
    pub(crate) fn is_refusal(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        let secured = self.secured.as_ref();
        secured.is_some_and(|secured| secured.secure.is_refusal(error))
    }
}

/// Practically no limit, and short enough that no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Shows the target.
impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            ConnectTarget::Host(name, port) | ConnectTarget::Found(name, port, _) => {
                write!(f, "{name}:{port}")
            }
            ConnectTarget::Tcp(address) => address.fmt(f),
            #[cfg(unix)]
            ConnectTarget::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(all(test, feature = "health"))]
mod tests {
    use super::Connector;
    use std::net::SocketAddr;

    #[test]
    fn a_connection_is_one_of_these_while_name_port_and_address_are_the_same() {
        let at = |last| SocketAddr::from(([10, 0, 0, last], 80));
        let named = |name: &str, port| Connector::host(name, port);
        let found = |found: &[SocketAddr]| named("a", 80).found_at(found.into());
        let before = found(&[at(1), at(2)]);
        assert!(found(&[at(2), at(3)]).could_open(&before, Some(at(2))));
        let moved = found(&[at(3)]);
        assert!(!moved.could_open(&before, Some(at(1))), "the name moved");
        assert!(named("a", 80).could_open(&before, Some(at(1))), "not known");
        for other in [named("b", 80), named("a", 81), Connector::tcp(at(1))] {
            assert!(!other.could_open(&before, None), "{other}");
        }
        assert!(Connector::tcp(at(1)).could_open(&Connector::tcp(at(1)), Some(at(1))));
        assert!(!Connector::tcp(at(1)).could_open(&Connector::tcp(at(2)), None));
    }
}
