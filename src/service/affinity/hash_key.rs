//! Hash keys from the head of a request: [`HashKey`].
//!
//! Not here: the client's address, which only a server knows (`proxy`), and the member for a
//! key (`scheduler`).

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName};
use http::request::Parts;

use crate::session::find_cookie;
use crate::stable_hash::hash_bytes;

/// Reads a hash key from the head of a request.
pub(in crate::service) type ReadHash = Arc<dyn Fn(&Parts) -> Option<u64> + Send + Sync>;

/// The part of a request that a hashing scheduler keeps with one member: a header, a cookie,
/// the path, the query, the client's address, or a combination.
///
/// [`BalanceLayer::hash_on`](crate::service::BalanceLayer::hash_on) uses it. With the
/// feature `proxy` there are also keys from the address of the client: `client_addr` and
/// `client_network`. A scheduler that does not hash ignores the key.
///
/// A part that is missing or empty gives no key, and a hashing scheduler then picks at
/// random, by weight. [`or`](Self::or) names another part for this case, and
/// [`and`](Self::and) combines two. Texts are used as they are in the request: escapes in
/// paths and queries are not decoded, and case matters. A proxy that maps paths does so
/// before, so the path is the one that members get, without the prefix of a member's own
/// URL.
///
/// The key of one part is [`hash_bytes`] of its text, so that other programs can compute it,
/// and [`hash_by`](crate::service::BalanceLayer::hash_by) can give the same keys.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::scheduler::Maglev;
/// use equipoise::service::{BalanceLayer, HashKey};
/// use http::{HeaderName, Uri};
///
/// // Requests of a tenant stay together; those without a tenant stay by path.
/// let tenant = HashKey::header(HeaderName::from_static("x-tenant"));
/// let key = tenant.or(HashKey::path());
/// let head = |uri| http::Request::get(uri).header("x-tenant", "7").body(()).unwrap().into_parts().0;
/// assert!(key.hash(&head("/a")).is_some());
/// assert_eq!(key.hash(&head("/a")), key.hash(&head("/b")));
///
/// let balancer = Balancer::<Uri>::builder().scheduler(Maglev::new()).build()?;
/// let layer = BalanceLayer::new(balancer).hash_on(key);
/// # let _ = layer;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone)]
pub struct HashKey {
    source: KeySource,
    /// Whether it may read the extensions of requests.
    reads_extensions: bool,
}

#[derive(Clone)]
enum KeySource {
    And(Arc<[HashKey; 2]>),
    By(ReadHash),
    Cookie(Arc<str>),
    Header(HeaderName),
    Or(Arc<[HashKey; 2]>),
    Path,
    Query,
    QueryParameter(Arc<str>),
}

impl HashKey {
    const fn of(source: KeySource) -> Self {
        Self {
            source,
            reads_extensions: false,
        }
    }

    /// The value of a header; of several values, the first that is not empty.
    ///
    /// The host is in the header `host` only with HTTP/1; with HTTP/2 it is in the URI.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::HashKey;
    /// use equipoise::stable_hash::hash_bytes;
    /// use http::header::AUTHORIZATION;
    ///
    /// let (head, ()) = http::Request::get("/").header(AUTHORIZATION, "Bearer 7").body(())?.into_parts();
    /// assert_eq!(HashKey::header(AUTHORIZATION).hash(&head), Some(hash_bytes(b"Bearer 7")));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self::of(KeySource::Header(name))
    }

    /// The value of a cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::HashKey;
    /// use equipoise::stable_hash::hash_bytes;
    ///
    /// let (head, ()) = http::Request::get("/").header("cookie", "a=1; cart=77").body(())?.into_parts();
    /// assert_eq!(HashKey::cookie("cart").hash(&head), Some(hash_bytes(b"77")));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn cookie(name: impl Into<Arc<str>>) -> Self {
        Self::of(KeySource::Cookie(name.into()))
    }

    /// The path, without the query.
    #[must_use]
    pub const fn path() -> Self {
        Self::of(KeySource::Path)
    }

    /// The whole query, without the question mark.
    #[must_use]
    pub const fn query() -> Self {
        Self::of(KeySource::Query)
    }

    /// The value of a parameter of the query; of several, the first that is not empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::HashKey;
    /// use equipoise::stable_hash::hash_bytes;
    ///
    /// let (head, ()) = http::Request::get("/list?page=2&user=77").body(())?.into_parts();
    /// assert_eq!(HashKey::query_parameter("user").hash(&head), Some(hash_bytes(b"77")));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn query_parameter(name: impl Into<Arc<str>>) -> Self {
        Self::of(KeySource::QueryParameter(name.into()))
    }

    /// What a closure computes from the head of the request.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::HashKey;
    /// use equipoise::stable_hash::hash_bytes;
    ///
    /// // The first segment of the path.
    /// let key = HashKey::by(|head| {
    ///     let segment = head.uri.path().split('/').nth(1)?;
    ///     Some(hash_bytes(segment.as_bytes()))
    /// });
    /// # assert_ne!(key.hash(&http::Request::new(()).into_parts().0), None);
    /// ```
    #[must_use]
    pub fn by(key: impl Fn(&Parts) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self {
            source: KeySource::By(Arc::new(key)),
            reads_extensions: true,
        }
    }

    /// Uses another key for requests for which this one is missing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.with(other, KeySource::Or)
    }

    /// Combines two keys: the same for two requests only if both are the same. If one of
    /// them is missing, that counts as a value of its own; if both are, there is no key.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::HashKey;
    ///
    /// let key = HashKey::path().and(HashKey::query_parameter("page"));
    /// let hash = |uri| key.hash(&http::Request::get(uri).body(()).unwrap().into_parts().0);
    /// assert_eq!(hash("/list?page=2"), hash("/list?x=1&page=2"));
    /// assert_ne!(hash("/list?page=2"), hash("/list?page=3"));
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.with(other, KeySource::And)
    }

    fn with(self, other: Self, combined: impl FnOnce(Arc<[Self; 2]>) -> KeySource) -> Self {
        Self {
            reads_extensions: self.reads_extensions || other.reads_extensions,
            source: combined(Arc::new([self, other])),
        }
    }

    /// Returns the key of a request, if it has one.
    #[must_use]
    pub fn hash(&self, head: &Parts) -> Option<u64> {
        match &self.source {
            KeySource::And(both) => {
                let [one, other] = both.each_ref().map(|key| key.hash(head));
                (one.is_some() || other.is_some()).then(|| combined(one, other))
            }
            KeySource::By(key) => key(head),
            KeySource::Cookie(name) => hash_text(find_cookie(&head.headers, name)?.as_bytes()),
            KeySource::Header(name) => hash_text(find_header(&head.headers, name)?),
            KeySource::Or(both) => both.iter().find_map(|key| key.hash(head)),
            KeySource::Path => hash_text(head.uri.path().as_bytes()),
            KeySource::Query => hash_text(head.uri.query()?.as_bytes()),
            KeySource::QueryParameter(name) => {
                hash_text(find_parameter(head.uri.query()?, name)?.as_bytes())
            }
        }
    }

    /// Returns whether the key may depend on the extensions of requests.
    pub(in crate::service) fn reads_extensions(&self) -> bool {
        self.reads_extensions
    }
}

fn hash_text(text: &[u8]) -> Option<u64> {
    (!text.is_empty()).then(|| hash_bytes(text))
}

/// Hashes two keys. Each has a fixed length and says whether it is there, so that different
/// parts cannot run together.
fn combined(one: Option<u64>, other: Option<u64>) -> u64 {
    let mut bytes = [0; 18];
    for (bytes, key) in bytes.chunks_exact_mut(9).zip([one, other]) {
        bytes[0] = key.is_some().into();
        bytes[1..].copy_from_slice(&key.unwrap_or(0).to_le_bytes());
    }
    hash_bytes(&bytes)
}

fn find_header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let values = headers.get_all(name).iter();
    let mut values = values.map(|value| value.as_bytes().trim_ascii());
    values.find(|value| !value.is_empty())
}

fn find_parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut values = query.split('&').filter_map(|parameter| {
        let value = parameter.strip_prefix(name)?.strip_prefix('=')?;
        (!value.is_empty()).then_some(value)
    });
    values.next()
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            KeySource::And(both) => write!(f, "({:?} and {:?})", both[0], both[1]),
            KeySource::By(_) => f.write_str("by a function"),
            KeySource::Cookie(name) => write!(f, "cookie {name:?}"),
            KeySource::Header(name) => write!(f, "header {:?}", name.as_str()),
            KeySource::Or(both) => write!(f, "({:?} or {:?})", both[0], both[1]),
            KeySource::Path => f.write_str("path"),
            KeySource::Query => f.write_str("query"),
            KeySource::QueryParameter(name) => write!(f, "query parameter {name:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "clippy does not know helpers of tests")]

    use super::HashKey;
    use crate::stable_hash::hash_bytes;
    use http::HeaderName;
    use http::request::Parts;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = http::Request::get(uri);
        let add = |request: http::request::Builder, &(name, value): &(&str, &str)| {
            request.header(name, value)
        };
        let request = headers.iter().fold(request, add);
        request.body(()).unwrap().into_parts().0
    }

    fn tenant() -> HashKey {
        HashKey::header(HeaderName::from_static("x-tenant"))
    }

    #[test]
    fn the_key_of_one_part_is_the_hash_of_its_text() {
        type Headers = [(&'static str, &'static str)];
        let rows: [(HashKey, &str, &Headers, Option<&str>); 17] = [
            (HashKey::path(), "/a%20b/c?d=e", &[], Some("/a%20b/c")),
            (HashKey::path(), "http://host", &[], Some("/")),
            (HashKey::query(), "/a?b=c&d", &[], Some("b=c&d")),
            (HashKey::query(), "/a", &[], None),
            (HashKey::query(), "/a?", &[], None),
            (
                HashKey::query_parameter("user"),
                "/?xuser=1&user=2",
                &[],
                Some("2"),
            ),
            (
                HashKey::query_parameter("user"),
                "/?user=&user=a%26b",
                &[],
                Some("a%26b"),
            ),
            (
                HashKey::query_parameter("user"),
                "/?user&users=1",
                &[],
                None,
            ),
            (HashKey::query_parameter("user"), "/?User=1", &[], None),
            (HashKey::query_parameter("user"), "/", &[], None),
            (
                HashKey::cookie("S"),
                "/",
                &[("cookie", "a=1; S=2; S=3")],
                Some("2"),
            ),
            (
                HashKey::cookie("S"),
                "/",
                &[("cookie", "a=1"), ("cookie", "S=\"x\"")],
                Some("x"),
            ),
            (HashKey::cookie("S"), "/", &[("cookie", "xS=1; S=")], None),
            (HashKey::cookie("S"), "/", &[], None),
            (
                tenant(),
                "/",
                &[("x-tenant", ""), ("x-tenant", "7")],
                Some("7"),
            ),
            (tenant(), "/", &[("X-Tenant", " 7 ")], Some("7")),
            (tenant(), "/", &[], None),
        ];
        for (key, uri, headers, expected) in rows {
            let found = key.hash(&head(uri, headers));
            let expected = expected.map(|text| hash_bytes(text.as_bytes()));
            assert_eq!(found, expected, "{key:?} {uri} {headers:?}");
        }
    }

    #[test]
    fn parts_are_delimited() {
        let both = HashKey::query_parameter("a").and(HashKey::query_parameter("b"));
        let hash = |uri| both.hash(&head(uri, &[])).unwrap();
        assert_eq!(hash("/?a=x&b=y"), hash("/?b=y&a=x"));
        let keys = [
            "/?a=ab&b=c",
            "/?a=a&b=bc",
            "/?a=c&b=ab",
            "/?a=abc",
            "/?b=abc",
            "/?a=c",
        ];
        for (at, one) in keys.iter().enumerate() {
            for other in &keys[..at] {
                assert_ne!(hash(one), hash(other), "{one} {other}");
            }
        }
        assert_eq!(both.hash(&head("/?c=d", &[])), None);
    }

    #[test]
    fn the_first_key_that_is_there_is_used() {
        let key = tenant().or(HashKey::cookie("S")).or(HashKey::path());
        let all = head("/p", &[("x-tenant", "t"), ("cookie", "S=c")]);
        let hash = |text: &str| Some(hash_bytes(text.as_bytes()));
        assert_eq!(key.hash(&all), hash("t"));
        assert_eq!(key.hash(&head("/p", &[("cookie", "S=c")])), hash("c"));
        assert_eq!(key.hash(&head("/p", &[("x-tenant", "")])), hash("/p"));
        assert_eq!(
            format!("{key:?}"),
            "((header \"x-tenant\" or cookie \"S\") or path)"
        );
    }

    #[test]
    fn a_closure_is_a_key_too() {
        let key = HashKey::by(|head| Some(head.uri.path().len() as u64));
        assert_eq!(key.hash(&head("/abc", &[])), Some(4));
        assert!(key.clone().and(HashKey::path()).reads_extensions());
        assert!(HashKey::path().or(key).reads_extensions());
        assert!(!HashKey::path().or(tenant()).reads_extensions());
    }

    #[test]
    fn keys_are_the_same_in_every_release() {
        let key = HashKey::path().and(HashKey::query());
        assert_eq!(
            key.hash(&head("/a?b", &[])),
            Some(hash_bytes(
                &[
                    &[1],
                    &hash_bytes(b"/a").to_le_bytes()[..],
                    &[1],
                    &hash_bytes(b"b").to_le_bytes()[..]
                ]
                .concat()
            ))
        );
    }
}
