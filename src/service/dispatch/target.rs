//! Pointing a request at a member: [`Target`], for members that are addresses.
//!
//! What does not live here: headers that concern one connection only (`Connection`,
//! `Keep-Alive`, `Upgrade` and their like). They are passed on as they are; whoever
//! faces strangers strips them before.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Uri, Version};

/// A member that is an address: it points the head of a request at itself.
///
/// It is implemented for [`Uri`], [`Authority`], [`SocketAddr`] (the latter two with the
/// scheme `http`), and for your own type. A `Uri` is the quickest; a `SocketAddr` is
/// written out for each request.
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
/// member.aim(&mut head);
/// assert_eq!(head.uri, "http://10.0.0.1:8080/app/cart?id=7");
/// assert_eq!(head.headers["host"], "10.0.0.1:8080");
/// # Ok::<(), http::Error>(())
/// ```
///
/// One of your own, with what a request should carry besides:
///
/// ```
/// use equipoise::service::Target;
/// use http::{HeaderValue, Uri, request::Parts};
///
/// struct Tenant {
///     uri: Uri,
///     key: HeaderValue,
/// }
///
/// impl Target for Tenant {
///     fn aim(&self, head: &mut Parts) {
///         self.uri.aim(head);
///         head.headers.insert("x-api-key", self.key.clone());
///     }
/// }
/// # let tenant = Tenant { uri: Uri::from_static("http://a"), key: HeaderValue::from_static("k") };
/// # let (mut head, ()) = http::Request::new(()).into_parts();
/// # tenant.aim(&mut head);
/// # assert_eq!(head.headers["x-api-key"], "k");
/// ```
pub trait Target {
    /// Sets the scheme, authority and path prefix, the version and the `Host` of a
    /// request as the member needs them.
    ///
    /// # Examples
    ///
    /// See [`Target`].
    fn aim(&self, head: &mut Parts);
}

impl Target for Uri {
    fn aim(&self, head: &mut Parts) {
        let scheme = self.scheme().cloned().unwrap_or(Scheme::HTTP);
        let Some(authority) = self.authority() else {
            // A path without a host: only the prefix can be meant.
            head.uri = joined(None, self.path(), &head.uri);
            head.version = Version::HTTP_11;
            return;
        };
        point(head, scheme, authority, self.path());
    }
}

impl Target for Authority {
    fn aim(&self, head: &mut Parts) {
        point(head, Scheme::HTTP, self, "/");
    }
}

impl Target for SocketAddr {
    fn aim(&self, head: &mut Parts) {
        // An address is always an authority.
        if let Ok(authority) = Authority::from_maybe_shared(Bytes::from(self.to_string())) {
            authority.aim(head);
        }
    }
}

impl<T: Target + ?Sized> Target for std::sync::Arc<T> {
    fn aim(&self, head: &mut Parts) {
        (**self).aim(head);
    }
}

/// A target that leaves the client's `Host` as it is (Apache: `ProxyPreserveHost On`).
/// A host in the request line, which is where HTTP/2 has it, comes before the header.
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
/// member.aim(&mut head);
/// assert_eq!(head.uri, "http://10.0.0.1:8080/");
/// assert_eq!(head.headers["host"], "shop.example.com");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper, and nothing else")]
pub struct PreserveHost<T>(pub T);

impl<T: Target> Target for PreserveHost<T> {
    fn aim(&self, head: &mut Parts) {
        // RFC 9112, 3.2.2: a host in the request line comes before the header.
        let named = head.uri.authority().and_then(host_of);
        let host = named.or_else(|| head.headers.get(HOST).cloned());
        self.0.aim(head);
        if let Some(host) = host {
            head.headers.insert(HOST, host);
        }
    }
}

fn point(head: &mut Parts, scheme: Scheme, authority: &Authority, prefix: &str) {
    head.uri = joined(Some((scheme, authority)), prefix, &head.uri);
    // Clients that speak HTTP/2 to the member take no notice.
    head.version = Version::HTTP_11;
    if let Some(host) = host_of(authority) {
        head.headers.insert(HOST, host);
    }
}

/// The authority as a `Host`, without the user that it may name.
fn host_of(authority: &Authority) -> Option<HeaderValue> {
    let text = authority.as_str();
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    HeaderValue::from_str(host).ok()
}

fn joined(place: Option<(Scheme, &Authority)>, prefix: &str, asked: &Uri) -> Uri {
    let path = match asked.path_and_query() {
        Some(path) if prefix == "/" || prefix.is_empty() || path.path() == "*" => path.clone(),
        Some(path) => under(prefix, path),
        None => PathAndQuery::from_static("/"),
    };
    let mut parts = http::uri::Parts::default();
    if let Some((scheme, authority)) = place {
        parts.scheme = Some(scheme);
        parts.authority = Some(authority.clone());
    }
    parts.path_and_query = Some(path);
    // Scheme, authority and path, or a path alone, are always a URI.
    Uri::from_parts(parts).unwrap_or_default()
}

/// Joins with exactly one slash.
fn under(prefix: &str, asked: &PathAndQuery) -> PathAndQuery {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let slash = if asked.as_str().starts_with('/') {
        ""
    } else {
        "/"
    };
    let joined = format!("{prefix}{slash}{}", asked.as_str());
    PathAndQuery::try_from(joined).unwrap_or_else(|_| asked.clone())
}

#[cfg(test)]
mod tests {
    use super::{PreserveHost, Target};
    use http::uri::Authority;
    use http::{Method, Request, Uri, Version};
    use std::net::SocketAddr;

    fn aimed(member: &impl Target, asked: &str) -> String {
        let (mut head, ()) = Request::get(asked).body(()).unwrap().into_parts();
        member.aim(&mut head);
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
        assert_eq!(aimed(&member, "/"), "http://user:secret@h:1/ host h:1");
    }

    #[test]
    fn an_asterisk_stays_one() {
        let request = Request::builder().method(Method::OPTIONS).uri("*");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        Uri::from_static("http://h/p").aim(&mut head);
        assert_eq!(head.uri.path(), "*");
        assert_eq!(head.uri.authority().unwrap(), "h");
    }

    #[test]
    fn what_came_by_http_2_gets_a_host_and_the_version_of_the_member() {
        let request = Request::get("https://shop.example.com/a").version(Version::HTTP_2);
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        PreserveHost(Uri::from_static("http://h")).aim(&mut head);
        assert_eq!(head.version, Version::HTTP_11);
        assert_eq!(head.headers["host"], "shop.example.com");
        assert_eq!(head.uri, "http://h/a");
    }

    #[test]
    fn the_host_of_the_request_line_comes_before_the_header() {
        let request = Request::get("http://shop.example.com/a").header("host", "evil.example.com");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        PreserveHost(Uri::from_static("http://h")).aim(&mut head);
        assert_eq!(head.headers["host"], "shop.example.com");
        assert_eq!(head.headers.get_all("host").iter().count(), 1);
    }

    #[test]
    fn a_member_without_a_host_gives_its_prefix() {
        let (mut head, ()) = Request::get("/a").body(()).unwrap().into_parts();
        Uri::from_static("/p").aim(&mut head);
        assert_eq!(head.uri, "/p/a");
    }
}
