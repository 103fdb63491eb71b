//! Rewriting a request for a member: [`Target`], for members that are addresses.
//!
//! Not here: headers of one connection only (`Connection`, `Keep-Alive`, `Upgrade` and
//! others). They are passed on unchanged; a proxy for untrusted clients removes them first
//! (`EdgeLayer`).

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{COOKIE, HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{StatusCode, Uri, Version};

use crate::service::BoxError;

/// A member that is an address: it rewrites the head of a request so that the request is
/// sent to it.
///
/// It is implemented for [`Uri`], [`Authority`] and [`SocketAddr`] (the latter two with the
/// scheme `http`). You can implement it for a type of your own. A `Uri` is the fastest; a
/// `SocketAddr` is formatted for each request.
///
/// # Examples
///
/// ```
/// use equipoise::service::Target;
/// use http::Uri;
///
/// let member: Uri = "http://10.0.0.1:8080/app".parse()?;
/// let (mut head, ()) = http::Request::get("/cart?id=7")
///     .header("host", "shop.example.com")
///     .body(())?
///     .into_parts();
///
/// member.rewrite(&mut head)?;
/// assert_eq!(head.uri, "http://10.0.0.1:8080/app/cart?id=7");
/// assert_eq!(head.headers["host"], "10.0.0.1:8080");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A target of your own, which adds a header:
///
/// ```
/// use equipoise::service::{RequestError, Target};
/// use http::{HeaderValue, Uri, request::Parts};
///
/// struct Tenant {
///     uri: Uri,
///     key: HeaderValue,
/// }
///
/// impl Target for Tenant {
///     fn rewrite(&self, head: &mut Parts) -> Result<(), RequestError> {
///         self.uri.rewrite(head)?;
///         head.headers.insert("x-api-key", self.key.clone());
///         Ok(())
///     }
/// }
/// # let tenant = Tenant { uri: Uri::from_static("http://a"), key: HeaderValue::from_static("k") };
/// # let (mut head, ()) = http::Request::new(()).into_parts();
/// # tenant.rewrite(&mut head).unwrap();
/// # assert_eq!(head.headers["x-api-key"], "k");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an address that requests can be sent to",
    label = "the members of the balancer must implement `Target`",
    note = "use members of type `http::Uri`, `http::uri::Authority` or `SocketAddr`, or implement `Target`",
    note = "for members that are services themselves, use `BalanceService::over` or `BalanceLayer::over_members`"
)]
pub trait Target {
    /// Sets the scheme, authority, path prefix, version and `Host` of a request as the
    /// member needs them. The authority of a `CONNECT` is replaced as well.
    ///
    /// # Errors
    ///
    /// If the request cannot be rewritten. The balancer then responds with the error's
    /// status, and nothing is sent.
    fn rewrite(&self, head: &mut Parts) -> Result<(), RequestError>;
}

/// Why a request cannot be sent to any member: the request itself or its client is at
/// fault. For a [`Target`] that cannot rewrite the request, a client that cannot send it,
/// and a request body that breaks off.
///
/// # Examples
///
/// ```
/// use equipoise::service::RequestError;
/// use http::StatusCode;
///
/// let error = RequestError::new(StatusCode::FORBIDDEN, "this tenant may not upload");
/// assert_eq!(error.status(), StatusCode::FORBIDDEN);
/// ```
#[derive(Debug, thiserror::Error)]
#[error("request rejected with status {}", status.as_u16())]
pub struct RequestError {
    status: StatusCode,
    /// The reason, in words that the client may read; empty if the status is enough.
    detail: &'static str,
    source: BoxError,
}

impl RequestError {
    /// Creates an error that is turned into a response with `status`.
    #[must_use]
    pub fn new(status: StatusCode, source: impl Into<BoxError>) -> Self {
        Self {
            status,
            detail: "",
            source: source.into(),
        }
    }

    /// Adds a reason for the client, which the [`ErrorPage`](crate::service::ErrorPage)
    /// shows.
    #[cfg(feature = "proxy")]
    pub(crate) fn with_detail(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    pub(in crate::service) fn detail(&self) -> &'static str {
        self.detail
    }

    /// Returns the status of the response to the client.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A URI has at most 65 534 bytes.
    fn too_long(source: http::uri::InvalidUri) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, source)
    }

    pub(in crate::service) fn into_source(self) -> BoxError {
        self.source
    }
}

impl Target for Uri {
    fn rewrite(&self, head: &mut Parts) -> Result<(), RequestError> {
        let scheme = self.scheme().cloned().unwrap_or(Scheme::HTTP);
        let place = self.authority().map(|authority| (scheme, authority));
        point(head, place, self.path())
    }
}

impl Target for Authority {
    fn rewrite(&self, head: &mut Parts) -> Result<(), RequestError> {
        point(head, Some((Scheme::HTTP, self)), "/")
    }
}

impl Target for SocketAddr {
    fn rewrite(&self, head: &mut Parts) -> Result<(), RequestError> {
        let authority = Authority::from_maybe_shared(Bytes::from(self.to_string()));
        authority.map_err(RequestError::too_long)?.rewrite(head)
    }
}

impl<T: Target + ?Sized> Target for std::sync::Arc<T> {
    fn rewrite(&self, head: &mut Parts) -> Result<(), RequestError> {
        (**self).rewrite(head)
    }
}

/// A target that keeps the client's `Host` (Apache: `ProxyPreserveHost On`). A host in the
/// request line takes precedence over the header; this is where HTTP/2 has it.
///
/// It is for members that use HTTP/1.1. To a member that uses HTTP/2, the client behind the
/// balancer sends the member's own authority as well.
///
/// # Examples
///
/// ```
/// use equipoise::service::{PreserveHost, Target};
/// use http::Uri;
///
/// let member = PreserveHost(Uri::from_static("http://10.0.0.1:8080"));
/// let (mut head, ()) = http::Request::get("/")
///     .header("host", "shop.example.com")
///     .body(())?
///     .into_parts();
///
/// member.rewrite(&mut head)?;
/// assert_eq!(head.uri, "http://10.0.0.1:8080/");
/// assert_eq!(head.headers["host"], "shop.example.com");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper, and nothing else")]
pub struct PreserveHost<T>(pub T);

impl<T: Target> Target for PreserveHost<T> {
    fn rewrite(&self, head: &mut Parts) -> Result<(), RequestError> {
        // RFC 9112, 3.2.2: a host in the request line takes precedence over the header.
        let named = head.uri.authority().and_then(host_of);
        let host = named.or_else(|| head.headers.get(HOST).cloned());
        self.0.rewrite(head)?;
        if let Some(host) = host {
            head.headers.insert(HOST, host);
        }
        Ok(())
    }
}

/// Without an authority, only the prefix is applied.
fn point(
    head: &mut Parts,
    place: Option<(Scheme, &Authority)>,
    prefix: &str,
) -> Result<(), RequestError> {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(match head.uri.path_and_query() {
        Some(path) if prefix == "/" || prefix.is_empty() || path.path() == "*" => path.clone(),
        Some(path) => under(prefix, path)?,
        None => PathAndQuery::from_static("/"),
    });
    if let Some((scheme, authority)) = place {
        if let Some(host) = host_of(authority) {
            head.headers.insert(HOST, host);
        }
        parts.scheme = Some(scheme);
        parts.authority = Some(without_user(authority)?);
    }
    let uri = Uri::from_parts(parts);
    head.uri = uri.map_err(|error| RequestError::new(StatusCode::BAD_REQUEST, error))?;
    // A client that uses HTTP/2 to the member ignores this.
    if head.version == Version::HTTP_2 {
        join_cookies(&mut head.headers);
    }
    head.version = Version::HTTP_11;
    Ok(())
}

/// The user information of an authority is not part of a `Host`, nor of HTTP/2's
/// `:authority` (RFC 9113, 8.3.1).
fn host_text(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

pub(crate) fn host_of(authority: &Authority) -> Option<HeaderValue> {
    HeaderValue::from_str(host_text(authority)).ok()
}

pub(crate) fn without_user(authority: &Authority) -> Result<Authority, RequestError> {
    let host = host_text(authority);
    if host.len() == authority.as_str().len() {
        return Ok(authority.clone());
    }
    host.parse().map_err(RequestError::too_long)
}

/// Joins prefix and path with exactly one slash.
pub(crate) fn under(prefix: &str, asked: &PathAndQuery) -> Result<PathAndQuery, RequestError> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let slash = if asked.as_str().starts_with('/') {
        ""
    } else {
        "/"
    };
    let joined = format!("{prefix}{slash}{}", asked.as_str());
    PathAndQuery::try_from(joined).map_err(RequestError::too_long)
}

/// HTTP/2 may send each cookie in a field of its own (RFC 9113, 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::{PreserveHost, Target};
    use http::uri::Authority;
    use http::{Method, Request, Uri, Version};
    use std::net::SocketAddr;

    fn aimed(member: &impl Target, asked: &str) -> String {
        let (mut head, ()) = Request::get(asked).body(()).unwrap().into_parts();
        member.rewrite(&mut head).unwrap();
        format!(
            "{} host {}",
            head.uri,
            head.headers["host"].to_str().unwrap()
        )
    }

    #[test]
    fn a_request_is_joined_to_the_prefix_with_exactly_one_slash() {
        let rows = [
            ("http://h:1", "/", "http://h:1/"),
            ("http://h:1", "/a?b=c", "http://h:1/a?b=c"),
            ("http://h:1/", "/a", "http://h:1/a"),
            ("http://h:1/p", "/", "http://h:1/p/"),
            ("http://h:1/p", "/a?b", "http://h:1/p/a?b"),
            ("http://h:1/p/", "/a", "http://h:1/p/a"),
            ("http://h:1/p", "//a", "http://h:1/p//a"),
            ("http://h:1/p", "http://other/a?b", "http://h:1/p/a?b"),
            ("http://h:1/p", "http://other?b", "http://h:1/p/?b"),
            ("https://h/p", "/a", "https://h/p/a"),
        ];
        for (member, asked, uri) in rows {
            let aimed = aimed(&member.parse::<Uri>().unwrap(), asked);
            assert!(aimed.starts_with(&format!("{uri} host h")), "{aimed}");
        }
    }

    #[test]
    fn authorities_and_addresses_are_http() {
        let authority: Authority = "h:8080".parse().unwrap();
        assert_eq!(aimed(&authority, "/a"), "http://h:8080/a host h:8080");
        let address: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(aimed(&address, "/a"), "http://[::1]:80/a host [::1]:80");
    }

    #[test]
    fn a_password_does_not_end_up_in_the_host() {
        let member: Uri = "http://user:secret@h:1/".parse().unwrap();
        assert_eq!(aimed(&member, "/"), "http://h:1/ host h:1");
    }

    #[test]
    fn an_asterisk_stays_one() {
        let request = Request::builder().method(Method::OPTIONS).uri("*");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        Uri::from_static("http://h/p").rewrite(&mut head).unwrap();
        assert_eq!(head.uri.path(), "*");
        assert_eq!(head.uri.authority().unwrap(), "h");
    }

    #[test]
    fn what_came_by_http_2_gets_a_host_and_the_version_of_the_member() {
        let request = Request::get("https://shop.example.com/a").version(Version::HTTP_2);
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        PreserveHost(Uri::from_static("http://h"))
            .rewrite(&mut head)
            .unwrap();
        assert_eq!(head.version, Version::HTTP_11);
        assert_eq!(head.headers["host"], "shop.example.com");
        assert_eq!(head.uri, "http://h/a");
    }

    #[test]
    fn the_host_of_the_request_line_comes_before_the_header() {
        let request = Request::get("http://shop.example.com/a").header("host", "evil.example.com");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        PreserveHost(Uri::from_static("http://h"))
            .rewrite(&mut head)
            .unwrap();
        assert_eq!(head.headers["host"], "shop.example.com");
        assert_eq!(head.headers.get_all("host").iter().count(), 1);
    }

    #[test]
    fn a_path_that_grows_too_long_is_refused_and_never_sent_without_its_prefix() {
        let long = format!("/admin?{}", "x".repeat(65_525));
        let (mut head, ()) = Request::get(long).body(()).unwrap().into_parts();
        let error = Uri::from_static("http://h/app")
            .rewrite(&mut head)
            .unwrap_err();
        assert_eq!(error.status(), 414);
        assert_eq!(error.to_string(), "request rejected with status 414");
    }

    #[test]
    fn crumbs_of_cookies_are_joined_for_a_member_that_may_speak_http_1() {
        let request = Request::get("/a").version(Version::HTTP_2);
        let request = request.header("cookie", "a=1").header("cookie", "b=2");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        Uri::from_static("http://h").rewrite(&mut head).unwrap();
        let cookies: Vec<_> = head.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
    }

    #[test]
    fn a_member_without_a_host_gives_its_prefix() {
        let (mut head, ()) = Request::get("/a").body(()).unwrap().into_parts();
        Uri::from_static("/p").rewrite(&mut head).unwrap();
        assert_eq!(head.uri, "/p/a");
    }
}
