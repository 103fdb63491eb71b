//! The contents of a PROXY protocol header, and how it is written: [`ProxyHeader`].
//!
//! Not here: reading a header from a stream (`preamble`), and from which
//! peers a header is read (`opening`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str;

use bytes::Bytes;
use ppp::v1;

/// The 12 bytes that version 2 begins with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The transport protocol of the bytes that follow.
const STREAM: u8 = 1;
#[cfg(feature = "forward")]
const DATAGRAM: u8 = 2;

/// Types of values (TLVs), by section 2.2 of the specification.
const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const NOOP: u8 = 0x04;

/// A PROXY protocol header: the source and the destination of a connection, and further
/// values about it.
///
/// A balancer that forwards a connection writes it before the first byte, so that the
/// member knows the client's address. Version 2 also carries typed values (TLVs), such as
/// the host name that the client requested. They are only sent together with addresses, as
/// receivers ignore them otherwise.
///
/// # Examples
///
/// ```
/// use equipoise::net::{ProxyHeader, ProxyVersion};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = "203.0.113.7:5000".parse()?;
/// let listener = "10.0.0.1:443".parse()?;
/// let header = ProxyHeader::new(client, listener).with_authority("db.example.org")?;
/// assert_eq!(
///     header.encode(ProxyVersion::V1),
///     "PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\r\n"
/// );
///
/// let sent = [&header.encode(ProxyVersion::V2)[..], b"hello"].concat();
/// let mut stream = sent.as_slice();
/// let read = ProxyHeader::read(&mut stream).await?;
/// assert_eq!(read.source(), Some(client));
/// assert_eq!(read.authority(), Some("db.example.org"));
/// assert_eq!(stream, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Eq, PartialEq)]
#[must_use]
pub struct ProxyHeader {
    /// The source and the destination; both have the same version of IP.
    addresses: Option<(SocketAddr, SocketAddr)>,
    /// The encoded values, each complete.
    values: Bytes,
}

/// The versions of the PROXY protocol.
///
/// # Examples
///
/// ```
/// use equipoise::net::{ProxyHeader, ProxyVersion};
///
/// let header = ProxyHeader::unknown();
/// assert_eq!(header.encode(ProxyVersion::V1), "PROXY UNKNOWN\r\n");
/// assert_eq!(header.encode(ProxyVersion::V2).len(), 16);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyVersion {
    /// A line of text with the addresses only.
    V1,
    /// A binary format with typed values.
    V2,
}

/// A value does not fit into a PROXY protocol header.
///
/// # Examples
///
/// ```
/// use equipoise::net::ProxyHeader;
///
/// let error = ProxyHeader::unknown().with_value(0xE0, &[0; 70_000]).unwrap_err();
/// assert_eq!(error.to_string(), "a PROXY header has no room for 70000 more bytes");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a PROXY header has no room for {length} more bytes")]
pub struct ProxyValueError {
    length: usize,
}

impl ProxyHeader {
    /// Creates the header of a TCP connection. If one address is IPv4 and the other IPv6,
    /// the IPv4 address is written as an IPv6 address (`::ffff:203.0.113.7`).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{ProxyHeader, ProxyVersion};
    ///
    /// let header = ProxyHeader::new("203.0.113.7:5000".parse()?, "[2001:db8::1]:443".parse()?);
    /// assert_eq!(
    ///     header.encode(ProxyVersion::V1),
    ///     "PROXY TCP6 ::ffff:203.0.113.7 2001:db8::1 5000 443\r\n"
    /// );
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let canonical = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
        let (source, destination) = (canonical(source), canonical(destination));
        let addresses = if source.is_ipv4() == destination.is_ipv4() {
            (source, destination)
        } else {
            (mapped(source), mapped(destination))
        };
        Self {
            addresses: Some(addresses),
            values: Bytes::new(),
        }
    }

    /// Creates the header of a connection without addresses: its client uses a unix socket,
    /// or the connection is the balancer's own, such as a health check. The member then
    /// uses the addresses of the connection itself.
    ///
    /// Version 2 has two forms for that. This one is `LOCAL`, which all receivers accept;
    /// some, such as HAProxy, refuse the other.
    pub const fn unknown() -> Self {
        Self {
            addresses: None,
            values: Bytes::new(),
        }
    }

    /// Creates the header that has been read; `None` if the values are incomplete.
    pub(super) fn received(
        addresses: Option<(SocketAddr, SocketAddr)>,
        values: Bytes,
    ) -> Option<Self> {
        let mut left = &values[..];
        while !left.is_empty() {
            (_, left) = split(left)?;
        }
        Some(Self { addresses, values })
    }

    /// Adds the application protocol, by its ALPN name. Version 1 does not carry it.
    ///
    /// # Errors
    ///
    /// Fails if there is no room for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::ProxyHeader;
    ///
    /// let header = ProxyHeader::unknown().with_alpn(b"h2")?;
    /// assert_eq!(header.alpn(), Some(&b"h2"[..]));
    /// # Ok::<(), equipoise::net::ProxyValueError>(())
    /// ```
    pub fn with_alpn(self, protocol: &[u8]) -> Result<Self, ProxyValueError> {
        self.with_value(ALPN, protocol)
    }

    /// Adds the host that the client requested; with TLS, the name in its SNI. Version 1
    /// does not carry it.
    ///
    /// # Errors
    ///
    /// Fails if there is no room for it.
    pub fn with_authority(self, host: &str) -> Result<Self, ProxyValueError> {
        self.with_value(AUTHORITY, host.as_bytes())
    }

    /// Adds a value (TLV) of a type, replacing all values of that type. Types from `0xE0`
    /// to `0xEF` are reserved for applications. Version 1 carries none.
    ///
    /// # Errors
    ///
    /// Fails if there is no room for it: a header has at most 64 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::ProxyHeader;
    ///
    /// let header = ProxyHeader::unknown().with_value(0xE0, b"eu")?.with_value(0xE0, b"us")?;
    /// assert_eq!(header.value(0xE0), Some(&b"us"[..]));
    /// # Ok::<(), equipoise::net::ProxyValueError>(())
    /// ```
    pub fn with_value(self, kind: u8, value: &[u8]) -> Result<Self, ProxyValueError> {
        let mut values = self.values_without(&[kind]);
        let length = value.len();
        let within = values.len() + 3 + length + self.addresses_length() <= usize::from(u16::MAX);
        let Some(short) = u16::try_from(length).ok().filter(|_| within) else {
            return Err(ProxyValueError { length });
        };
        values.push(kind);
        values.extend_from_slice(&short.to_be_bytes());
        values.extend_from_slice(value);
        let values = values.into();
        Ok(Self { values, ..self })
    }

    /// Returns the header for the next hop, without the values that concern the bytes of
    /// this header (padding and checksum).
    pub(super) fn for_next_hop(&self) -> Self {
        Self {
            addresses: self.addresses,
            values: self.values_without(&[CRC32C, NOOP]).into(),
        }
    }

    fn values_without(&self, kinds: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        let mut left = &self.values[..];
        while let Some(((kind, _), rest)) = split(left) {
            if !kinds.contains(&kind) {
                kept.extend_from_slice(&left[..left.len() - rest.len()]);
            }
            left = rest;
        }
        kept
    }

    /// Returns the address of the client, or `None` if the header does not contain it.
    #[must_use]
    pub const fn source(&self) -> Option<SocketAddr> {
        match self.addresses {
            Some((source, _)) => Some(source),
            None => None,
        }
    }

    /// Returns the address that the client connected to, or `None` if the header does not
    /// contain it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::ProxyHeader;
    ///
    /// let listener = "10.0.0.1:443".parse()?;
    /// let header = ProxyHeader::new("203.0.113.7:5000".parse()?, listener);
    /// assert_eq!(header.destination(), Some(listener));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub const fn destination(&self) -> Option<SocketAddr> {
        match self.addresses {
            Some((_, destination)) => Some(destination),
            None => None,
        }
    }

    /// Returns the application protocol, by its ALPN name.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.value(ALPN)
    }

    /// Returns the host that the client requested, or `None` if it is missing or not UTF-8.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.value(AUTHORITY)
            .and_then(|host| str::from_utf8(host).ok())
    }

    /// Returns the first value (TLV) of a type.
    #[must_use]
    pub fn value(&self, kind: u8) -> Option<&[u8]> {
        self.values()
            .find_map(|(of, value)| (of == kind).then_some(value))
    }

    /// Returns all values (TLVs) with their types, in the order in which they are sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::ProxyHeader;
    ///
    /// let header = ProxyHeader::unknown().with_alpn(b"h2")?.with_value(0xE0, b"eu")?;
    /// let values: Vec<_> = header.values().collect();
    /// assert_eq!(values, [(0x01, &b"h2"[..]), (0xE0, b"eu")]);
    /// # Ok::<(), equipoise::net::ProxyValueError>(())
    /// ```
    pub fn values(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut left = &self.values[..];
        std::iter::from_fn(move || {
            let (value, rest) = split(left)?;
            left = rest;
            Some(value)
        })
    }

    /// Returns the bytes to send before the first byte of the connection.
    #[must_use]
    pub fn encode(&self, version: ProxyVersion) -> Bytes {
        match version {
            ProxyVersion::V1 => self.line().into(),
            ProxyVersion::V2 => self.binary(STREAM).into(),
        }
    }

    /// Returns the bytes to send before a datagram, in version 2.
    #[cfg(feature = "forward")]
    pub(crate) fn encode_for_datagram(&self) -> Bytes {
        self.binary(DATAGRAM).into()
    }

    fn line(&self) -> String {
        let addresses = self.addresses.map(v1::Addresses::from);
        addresses.unwrap_or_default().to_string()
    }

    fn binary(&self, transport: u8) -> Vec<u8> {
        let (command, family) = match self.addresses {
            None => (0x20, 0),
            Some((SocketAddr::V4(_), _)) => (0x21, 0x10 | transport),
            Some((SocketAddr::V6(_), _)) => (0x21, 0x20 | transport),
        };
        let mut header = [SIGNATURE, &[command, family, 0, 0]].concat();
        if let Some((source, destination)) = self.addresses {
            for address in [source, destination] {
                match address.ip() {
                    IpAddr::V4(ip) => header.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => header.extend_from_slice(&ip.octets()),
                }
            }
            for address in [source, destination] {
                header.extend_from_slice(&address.port().to_be_bytes());
            }
            header.extend_from_slice(&self.values);
        }
        let begin = SIGNATURE.len() + 2;
        // It fits: a value without room is never added, and none is read.
        let length = u16::try_from(header.len() - begin - 2).unwrap_or(u16::MAX);
        header[begin..begin + 2].copy_from_slice(&length.to_be_bytes());
        header
    }

    const fn addresses_length(&self) -> usize {
        match self.addresses {
            None => 0,
            Some((SocketAddr::V4(_), _)) => 12,
            Some((SocketAddr::V6(_), _)) => 36,
        }
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => (ip.to_ipv6_mapped(), address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

/// A value with its type.
type Value<'a> = (u8, &'a [u8]);

/// Returns the first value, and the bytes after it.
fn split(values: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&[kind, high, low], rest) = values.split_first_chunk()?;
    let length = u16::from_be_bytes([high, low]);
    let (value, rest) = rest.split_at_checked(length.into())?;
    Some(((kind, value), rest))
}

/// Values may be secret or long, so only their length is shown.
impl fmt::Debug for ProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyHeader")
            .field("addresses", &self.addresses)
            .field("values", &format_args!("{} bytes", self.values.len()))
            .finish()
    }
}
