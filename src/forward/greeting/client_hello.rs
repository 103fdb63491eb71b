//! The contents of a ClientHello, and how it is parsed: [`ClientHello`].
//!
//! Only the name and the protocols are read. A message that two parsers could interpret
//! differently is rejected, so that a connection is never routed by a name that its member
//! does not see.
//!
//! Not here: how the message is assembled from records (`records`).

use std::fmt;
use std::net::Ipv4Addr;
use std::str;

use bytes::Bytes;

use super::error::Malformed;
use crate::net::{ProxyHeader, normal};

/// Types of extensions.
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// What a TLS client requests in plain text: a host (SNI) and protocols (ALPN).
///
/// All versions of TLS, and SSL 3.0, are supported. With Encrypted Client Hello this is the
/// outer message: its name is the public name of the service, and the inner name is
/// unknown. Reserved random values (GREASE) are ignored.
///
/// # The name
///
/// | the client requests | [`server_name`](Self::server_name) |
/// |---|---|
/// | `DB.Example.ORG` | `db.example.org` |
/// | `db.example.org.` | `db.example.org` |
/// | `xn--bcher-kva.example`, a name with non-ASCII letters | unchanged: names are compared in this form |
/// | an empty name, no name, or an IP address, which is not a name | `None` |
/// | no valid host name: bytes other than letters, digits, `-`, `_` and dots, empty labels, too long | `None` |
/// | two names, another type of name, or two lists of names | the ClientHello is malformed |
///
/// # Examples
///
/// ```no_run
/// use equipoise::forward::ClientHello;
///
/// fn is_for_mail(hello: &ClientHello) -> bool {
///     hello.server_name() == Some("mail.example.org") || hello.offers(b"imap")
/// }
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct ClientHello {
    server_name: Option<Box<str>>,
    /// As sent; each entry is complete and not empty.
    protocols: Bytes,
}

impl ClientHello {
    /// Parses the message, without its type and length.
    pub(super) fn parse(body: &Bytes) -> Result<Self, Malformed> {
        let mut left = ByteReader(body);
        // Version and random bytes.
        left.bytes(34).ok_or(CUT)?;
        let session = left.sized_by_8().ok_or(CUT)?;
        let suites = left.sized_by_16().ok_or(CUT)?;
        let compressions = left.sized_by_8().ok_or(CUT)?;
        if session.len() > 32 || suites.is_empty() || suites.len() % 2 != 0 {
            return Err(Malformed(
                "its session ID or its cipher suites have an invalid length",
            ));
        }
        if compressions.is_empty() {
            return Err(Malformed("it has no compression method"));
        }
        let mut hello = Self {
            server_name: None,
            protocols: Bytes::new(),
        };
        // Old clients send no extensions at all.
        if left.is_empty() {
            return Ok(hello);
        }
        let mut extensions = ByteReader(left.sized_by_16().ok_or(CUT)?);
        if !left.is_empty() {
            return Err(Malformed("it has bytes after its extensions"));
        }
        let (mut named, mut offered) = (false, false);
        while !extensions.is_empty() {
            let kind = extensions.number_of_16().ok_or(CUT)?;
            let data = extensions.sized_by_16().ok_or(CUT)?;
            let seen = match kind {
                SERVER_NAME => {
                    hello.server_name = name_in(data)?;
                    &mut named
                }
                ALPN => {
                    hello.protocols = body.slice_ref(protocols_in(data)?);
                    &mut offered
                }
                _ => continue,
            };
            if std::mem::replace(seen, true) {
                return Err(Malformed("it has an extension twice"));
            }
        }
        // The list is copied so that it does not keep the whole message in memory.
        hello.protocols = Bytes::copy_from_slice(&hello.protocols);
        Ok(hello)
    }

    /// Returns the host that the client requests, in its normal form.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Returns the protocols that the client offers (ALPN), in its order of preference.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use equipoise::forward::ClientHello;
    ///
    /// fn preferred(hello: &ClientHello) -> Option<&[u8]> {
    ///     hello.alpn().next()
    /// }
    /// ```
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = ByteReader(&self.protocols);
        std::iter::from_fn(move || left.sized_by_8())
    }

    /// Returns whether the client offers a protocol (ALPN).
    #[must_use]
    pub fn offers(&self, protocol: &[u8]) -> bool {
        self.alpn().any(|offered| offered == protocol)
    }

    /// Adds the contents to a PROXY header: the name as the authority, and the protocol if
    /// the client offers exactly one. A value without room in the header is left out.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use equipoise::forward::ClientHello;
    /// use equipoise::net::{Accepted, ProxyHeader};
    ///
    /// fn header(accepted: &Accepted, hello: &ClientHello) -> ProxyHeader {
    ///     hello.add_to(accepted.next_proxy_header())
    /// }
    /// ```
    pub fn add_to(&self, header: ProxyHeader) -> ProxyHeader {
        let mut header = header;
        if let Some(name) = self.server_name() {
            header = header.clone().with_authority(name).unwrap_or(header);
        }
        let mut protocols = self.alpn();
        if let (Some(only), None) = (protocols.next(), protocols.next()) {
            header = header.clone().with_alpn(only).unwrap_or(header);
        }
        header
    }
}

const CUT: Malformed = Malformed("a length exceeds the remaining bytes");

/// Returns the name in an extension.
fn name_in(data: &[u8]) -> Result<Option<Box<str>>, Malformed> {
    if data.is_empty() {
        return Ok(None);
    }
    let mut left = ByteReader(data);
    let mut names = ByteReader(left.sized_by_16().ok_or(CUT)?);
    if !left.is_empty() {
        return Err(Malformed("it has bytes after its name"));
    }
    if names.is_empty() {
        return Ok(None);
    }
    if names.bytes(1) != Some(&[0]) {
        return Err(Malformed("it has a name of an unknown type"));
    }
    let name = names.sized_by_16().ok_or(CUT)?;
    if !names.is_empty() {
        return Err(Malformed("it has two names"));
    }
    Ok(host_name(name))
}

/// Returns the protocols in an extension.
fn protocols_in(data: &[u8]) -> Result<&[u8], Malformed> {
    let mut left = ByteReader(data);
    let protocols = left.sized_by_16().ok_or(CUT)?;
    if !left.is_empty() {
        return Err(Malformed("it has bytes after its protocols"));
    }
    let mut left = ByteReader(protocols);
    while !left.is_empty() {
        if left.sized_by_8().ok_or(CUT)?.is_empty() {
            return Err(Malformed("it has a protocol without a name"));
        }
    }
    Ok(protocols)
}

/// Returns the normal form of a host name; `None` if it is not one.
pub(in crate::forward) fn host_name(name: &[u8]) -> Option<Box<str>> {
    let name = normal(str::from_utf8(name).ok()?);
    let is_label = |label: &str| {
        let is_fit = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_fit)
    };
    let is_name = name.len() <= 253 && name.split('.').all(is_label);
    (is_name && name.parse::<Ipv4Addr>().is_err()).then(|| name.into())
}

/// A reader of bytes that returns each part once. It returns `None` for a truncated part.
struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number_of_16(&mut self) -> Option<u16> {
        let bytes = self.bytes(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Reads a part that is preceded by its length in one byte.
    fn sized_by_8(&mut self) -> Option<&'a [u8]> {
        let length = self.bytes(1)?[0];
        self.bytes(length.into())
    }

    fn sized_by_16(&mut self) -> Option<&'a [u8]> {
        let length = self.number_of_16()?;
        self.bytes(length.into())
    }
}

/// Protocols are shown as text if they are valid UTF-8.
impl fmt::Debug for ClientHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocols: Vec<_> = self.alpn().map(<[u8]>::escape_ascii).collect();
        let protocols: Vec<_> = protocols.iter().map(ToString::to_string).collect();
        f.debug_struct("ClientHello")
            .field("server_name", &self.server_name)
            .field("alpn", &protocols)
            .finish()
    }
}
