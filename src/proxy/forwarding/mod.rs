//! The forwarding headers that members get: `X-Forwarded-*`, `Forwarded` (RFC 7239) and
//! `Via`. [`Forwarding`].
//!
//! Not here: the removal of hop-by-hop headers, which comes first
//! (`hop_by_hop`).

#[cfg(test)]
mod tests;
mod text;

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue, VIA};
use http::request::Parts;
use http::{Version, uri::Scheme};
use ipnet::IpNet;

use super::fields::{FoundFields, HeadLook, HeaderField, HostLines};
use crate::net::{TlsSession, canonical};
use text::{address_in, append, is_sound, quote, remove_claims};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_SERVER: HeaderName = HeaderName::from_static("x-forwarded-server");

/// The forwarding headers that members get.
///
/// By default no peer is trusted: `X-Forwarded-For`, `-Host` and `-Proto` are set to what
/// this proxy knows. All other forwarding headers from a client are removed: all
/// `X-Forwarded-*`, also with underscores, which some servers treat alike, `Forwarded`,
/// `Forwarded-For`, `Front-End-Https`, `X-Original-URL`, `X-Rewrite-URL` and
/// `X-Url-Scheme`; the headers for the client's address, `X-Real-IP`, `Client-IP`,
/// `Proxy-Client-IP`, `True-Client-IP`, `WL-Proxy-Client-IP`, `X-Client-IP`,
/// `X-Cluster-Client-IP`, `X-ProxyUser-IP`; and those that CDNs and cloud services send:
/// `CF-Connecting-IP`, `CF-Connecting-IPv6`, `Fastly-Client-IP`, `X-Appengine-User-IP`,
/// `X-Azure-ClientIP` and `X-Envoy-External-Address`. A `Forwarded` header is passed on
/// only if this proxy adds to it.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::Forwarding;
/// use http::uri::Scheme;
///
/// let forwarding = Forwarding::new()
///     .with_scheme(Scheme::HTTPS) // clients come by TLS
///     .with_trusted_peers(["10.0.0.0/8".parse()?]) // through a proxy of our own
///     .with_forwarded()
///     .with_via("edge-1")?;
///
/// let request = http::Request::get("/").header("host", "shop.example.com");
/// let (mut head, ()) = request.body(())?.into_parts();
/// forwarding.apply(&mut head, Some("203.0.113.7".parse()?));
/// assert_eq!(head.headers["x-forwarded-for"], "203.0.113.7");
/// assert_eq!(head.headers["x-forwarded-host"], "shop.example.com");
/// assert_eq!(head.headers["x-forwarded-proto"], "https");
/// assert_eq!(
///     head.headers["forwarded"],
///     "for=203.0.113.7;host=shop.example.com;proto=https"
/// );
/// assert_eq!(head.headers["via"], "1.1 edge-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Forwarding {
    trusted: Vec<IpNet>,
    appends: bool,
    x_forwarded: bool,
    forwarded: bool,
    /// `None` for the scheme of the connection.
    scheme: Option<Scheme>,
    server: Option<HeaderValue>,
    via: Option<String>,
}

/// The error for a name that is not valid in a header.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::Forwarding;
///
/// let error = Forwarding::new().with_via("two words").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\"two words\" cannot be the name of a proxy: use letters, digits, `.`, `:`, `_` and `-`"
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name:?} cannot be the name of a proxy: use letters, digits, `.`, `:`, `_` and `-`")]
#[non_exhaustive]
pub struct ProxyNameError {
    /// The name.
    pub name: String,
}

impl Forwarding {
    /// Creates the default that is described above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            trusted: Vec::new(),
            appends: false,
            x_forwarded: true,
            forwarded: false,
            scheme: None,
            server: None,
            via: None,
        }
    }

    /// Trusts the forwarding headers of these peers: their values are kept, and the peer's
    /// own address is appended.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Forwarding;
    ///
    /// let forwarding = Forwarding::new().with_trusted_peers(["10.0.0.1/32".parse()?]);
    /// let request = http::Request::get("/").header("x-forwarded-for", "203.0.113.7");
    /// let (mut head, ()) = request.body(())?.into_parts();
    /// forwarding.apply(&mut head, Some("10.0.0.1".parse()?));
    /// assert_eq!(head.headers["x-forwarded-for"], "203.0.113.7, 10.0.0.1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_trusted_peers(self, peers: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            trusted: peers.into_iter().map(canonical).collect(),
            ..self
        }
    }

    /// Appends to the forwarding headers of every client, as Apache does (`ProxyAddHeaders
    /// On`). Members must then decide themselves which of the addresses to trust.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Forwarding;
    ///
    /// let request = http::Request::get("/").header("x-forwarded-for", "made up");
    /// let (mut head, ()) = request.body(())?.into_parts();
    /// Forwarding::new().with_client_headers_kept().apply(&mut head, Some("203.0.113.7".parse()?));
    /// assert_eq!(head.headers["x-forwarded-for"], "made up, 203.0.113.7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_client_headers_kept(self) -> Self {
        Self {
            appends: true,
            ..self
        }
    }

    /// Sends no `X-Forwarded-*`. Those of untrusted clients are removed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Forwarding;
    ///
    /// let forwarding = Forwarding::new().without_x_forwarded().with_forwarded();
    /// # let _ = forwarding;
    /// ```
    #[must_use]
    pub fn without_x_forwarded(self) -> Self {
        Self {
            x_forwarded: false,
            ..self
        }
    }

    /// Sends `Forwarded` as well.
    #[must_use]
    pub fn with_forwarded(self) -> Self {
        Self {
            forwarded: true,
            ..self
        }
    }

    /// Sets the scheme that clients use; by default, that of the connection.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self {
            scheme: Some(scheme),
            ..self
        }
    }

    /// Sends the name of this server in `X-Forwarded-Server`.
    ///
    /// # Errors
    ///
    /// If `name` is not valid in a header.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Forwarding;
    ///
    /// let forwarding = Forwarding::new().with_server_name("shop.example.com")?;
    /// # let _ = forwarding;
    /// # Ok::<(), equipoise::proxy::ProxyNameError>(())
    /// ```
    pub fn with_server_name(self, name: &str) -> Result<Self, ProxyNameError> {
        let name = checked(name)?;
        let server = HeaderValue::from_str(&name).map_err(|_| ProxyNameError { name })?;
        Ok(Self {
            server: Some(server),
            ..self
        })
    }

    /// Adds this proxy to the `Via` header of requests and responses.
    ///
    /// # Errors
    ///
    /// If `name` is not valid in a header.
    pub fn with_via(self, name: &str) -> Result<Self, ProxyNameError> {
        Ok(Self {
            via: Some(checked(name)?),
            ..self
        })
    }

    /// Adds the forwarding headers for a client with the address `peer` to a request head.
    ///
    /// Call it before the request is addressed to the member, while its `Host` is still the
    /// client's.
    pub fn apply(&self, head: &mut Parts, peer: Option<IpAddr>) {
        let client = peer.map(ForwardedClient::new);
        let secure = head.extensions.get::<TlsSession>().is_some();
        let HeadLook { found, host } = HeadLook::over(&head.headers);
        let host = self.host_of(head, host);
        self.add_to(head, client.as_ref(), secure, host, found);
    }

    /// Returns the host that members are told, if they are.
    pub(super) fn host_of(&self, head: &Parts, lines: HostLines<'_>) -> Option<HeaderValue> {
        if !self.x_forwarded && !self.forwarded {
            return None;
        }
        text::host_of(&head.uri, lines)
    }

    /// Does the same as [`apply`](Self::apply) for a head that was looked over.
    pub(super) fn add_to(
        &self,
        head: &mut Parts,
        client: Option<&ForwardedClient>,
        secure: bool,
        host: Option<HeaderValue>,
        found: FoundFields,
    ) {
        let trusted = client.is_some_and(|client| self.trusts(client.address));
        let mut claimed = found.has(HeaderField::Forwarded);
        if claimed && !trusted && !self.appends {
            // This includes `Forwarded`.
            remove_claims(&mut head.headers);
            claimed = false;
        } else if claimed && (!self.forwarded || !is_sound(&head.headers)) {
            head.headers.remove(FORWARDED);
        }
        let scheme = self.scheme_of(secure);
        let element = self.forwarded.then(|| {
            let peer = client.map(|client| client.address);
            self.element(peer, host.as_ref(), &scheme)
        });
        if self.x_forwarded {
            let address = client.and_then(|client| client.text.clone());
            if claimed {
                self.extend_x_forwarded(&mut head.headers, address, host, trusted, &scheme);
            } else {
                self.x_forwarded(&mut head.headers, address, host, &scheme);
            }
        }
        if let Some(Ok(element)) = element.flatten().map(HeaderValue::try_from) {
            append(&mut head.headers, FORWARDED, element);
        }
        self.pass_via(head.version, &mut head.headers);
    }

    /// Adds this proxy to the `Via` header of a response.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Forwarding;
    ///
    /// let forwarding = Forwarding::new().with_via("edge-1")?;
    /// let (mut head, ()) = http::Response::new(()).into_parts();
    /// forwarding.apply_to_response(&mut head);
    /// assert_eq!(head.headers["via"], "1.1 edge-1");
    /// # Ok::<(), equipoise::proxy::ProxyNameError>(())
    /// ```
    pub fn apply_to_response(&self, head: &mut http::response::Parts) {
        self.pass_via(head.version, &mut head.headers);
    }

    /// Returns the client's address behind trusted peers: the last address in
    /// `X-Forwarded-For` that is not a trusted peer's, or the peer itself. `None` if a
    /// trusted peer has put something there that is not an address: then the client is not
    /// known.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Forwarding;
    ///
    /// let forwarding = Forwarding::new().with_trusted_peers(["10.0.0.0/8".parse()?]);
    /// let request = http::Request::get("/").header("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.0.0.2");
    /// let request = request.body(())?;
    /// let client = forwarding.client(request.headers(), "10.0.0.1".parse()?);
    /// assert_eq!(client, Some("203.0.113.7".parse()?));
    ///
    /// let stranger = "198.51.100.9".parse()?;
    /// assert_eq!(forwarding.client(request.headers(), stranger), Some(stranger));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        let mut client = peer.to_canonical();
        let values: Vec<&HeaderValue> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        let said = values.into_iter().rev();
        let said = said.flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
        for said in said.map(<[u8]>::trim_ascii).filter(|said| !said.is_empty()) {
            if !self.trusts(client) {
                break;
            }
            client = address_in(said)?.to_canonical();
        }
        Some(client)
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&peer))
    }

    /// For a head that has no such header.
    fn x_forwarded(
        &self,
        headers: &mut HeaderMap,
        address: Option<HeaderValue>,
        host: Option<HeaderValue>,
        scheme: &Scheme,
    ) {
        let values = [
            (X_FORWARDED_FOR, address),
            (X_FORWARDED_HOST, host),
            (X_FORWARDED_PROTO, value_of(scheme)),
            (X_FORWARDED_SERVER, self.server.clone()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                headers.append(name, value);
            }
        }
    }

    /// For a head whose own headers stand.
    fn extend_x_forwarded(
        &self,
        headers: &mut HeaderMap,
        address: Option<HeaderValue>,
        host: Option<HeaderValue>,
        trusted: bool,
        scheme: &Scheme,
    ) {
        if let Some(address) = address {
            append(headers, X_FORWARDED_FOR, address);
        }
        // A trusted proxy's value is kept: the client sent its request to that proxy.
        if let Some(host) = host {
            if !(trusted && headers.contains_key(&X_FORWARDED_HOST)) {
                append(headers, X_FORWARDED_HOST, host);
            }
        }
        // It has a single value, so nothing can be appended.
        if let Some(proto) = value_of(scheme) {
            headers.entry(X_FORWARDED_PROTO).or_insert(proto);
        }
        if let Some(server) = &self.server {
            append(headers, X_FORWARDED_SERVER, server.clone());
        }
    }

    /// Returns this proxy's element of `Forwarded`.
    fn element(
        &self,
        peer: Option<IpAddr>,
        host: Option<&HeaderValue>,
        scheme: &Scheme,
    ) -> Option<Vec<u8>> {
        let mut element = String::new();
        let written = match peer {
            Some(IpAddr::V4(peer)) => write!(element, "for={peer}"),
            Some(IpAddr::V6(peer)) => write!(element, "for=\"[{peer}]\""),
            None => write!(element, "for=unknown"),
        };
        written.ok()?;
        let mut element = element.into_bytes();
        if let Some(host) = host {
            element.extend_from_slice(b";host=");
            quote(host.as_bytes(), &mut element);
        }
        element.extend_from_slice(b";proto=");
        element.extend_from_slice(scheme.as_str().as_bytes());
        Some(element)
    }

    fn scheme_of(&self, secure: bool) -> Scheme {
        match &self.scheme {
            Some(scheme) => scheme.clone(),
            None if secure => Scheme::HTTPS,
            None => Scheme::HTTP,
        }
    }

    fn pass_via(&self, version: Version, headers: &mut HeaderMap) {
        let Some(name) = &self.via else {
            return;
        };
        let version = match version {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2.0",
            Version::HTTP_3 => "3.0",
            _ => "1.1",
        };
        if let Ok(element) = HeaderValue::try_from(format!("{version} {name}")) {
            append(headers, VIA, element);
        }
    }
}

impl Default for Forwarding {
    fn default() -> Self {
        Self::new()
    }
}

/// The address of a client, with its text in a header. A connection may keep it.
#[derive(Clone, Debug)]
pub(super) struct ForwardedClient {
    address: IpAddr,
    text: Option<HeaderValue>,
}

impl ForwardedClient {
    pub(super) fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let text = text::address(address);
        Self { address, text }
    }
}

fn value_of(scheme: &Scheme) -> Option<HeaderValue> {
    match scheme.as_str() {
        "http" => Some(const { HeaderValue::from_static("http") }),
        "https" => Some(const { HeaderValue::from_static("https") }),
        other => HeaderValue::from_str(other).ok(),
    }
}

fn checked(name: &str) -> Result<String, ProxyNameError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    let name = name.to_owned();
    if !name.is_empty() && name.bytes().all(fine) {
        Ok(name)
    } else {
        Err(ProxyNameError { name })
    }
}
