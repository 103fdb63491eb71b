//! Rewrites the URLs in the headers of a response: [`ReverseMap`].
//!
//! Not here: cookies (see [`CookieMap`](super::CookieMap)).

use http::header::{CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, LOCATION, REFRESH};
use http::uri::{Authority, Scheme, Uri};

use super::error::MapRuleError;
use super::join::{checked_path, join};

/// Rewrites the URLs in the headers of a response, so that a client that follows them
/// reaches this proxy again (Apache: `ProxyPassReverse`).
///
/// It rewrites `Location`, `Content-Location`, `Refresh`, `URI` and `Destination`. The
/// first rule that matches applies. Relative URLs, URLs of other hosts, and values that
/// cannot be parsed stay unchanged.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{Origin, ReverseMap};
/// use http::header::{HeaderMap, HeaderValue};
/// use http::uri::Scheme;
///
/// let map = ReverseMap::new()
///     .with_members(["http://10.0.0.1:8080/shop", "http://10.0.0.2:8080/shop"], "/app")?;
/// let public_origin = Origin::new(Scheme::HTTPS, "www.example.com".parse()?);
///
/// let mut response = HeaderMap::new();
/// let internal = HeaderValue::from_static("http://10.0.0.2:8080/shop/login?next=cart");
/// response.insert("location", internal);
/// map.rewrite(&mut response, Some(&public_origin));
/// assert_eq!(response["location"], "https://www.example.com/app/login?next=cart");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReverseMap {
    rules: Vec<ReverseRule>,
}

#[derive(Clone, Debug)]
struct ReverseRule {
    /// `None` for a path, which matches for every host.
    place: Option<MemberOrigin>,
    /// Empty for the root.
    path: String,
    local: String,
}

/// In lower case, and without the default port of the scheme.
#[derive(Clone, Debug, Eq, PartialEq)]
struct MemberOrigin {
    scheme: String,
    authority: String,
}

/// The scheme and the authority under which clients reach this proxy.
///
/// The authority usually comes from the client's `Host` header, so the client controls it.
/// Configure one where responses can be cached for others.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::Origin;
/// use http::uri::Scheme;
///
/// let origin = Origin::new(Scheme::HTTPS, "shop.example.com:8443".parse()?);
/// assert_eq!(origin.to_string(), "https://shop.example.com:8443");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    /// Creates an origin from its parts.
    #[must_use]
    pub fn new(scheme: Scheme, authority: Authority) -> Self {
        Self { scheme, authority }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl ReverseMap {
    /// Creates a map without rules, which rewrites nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule: URLs below `member` become paths below `local`.
    ///
    /// Scheme and host are compared without case, the path with case. A URL is below
    /// another only if it continues with `/`, `?`, `#` or ends. If `member` is only a path,
    /// URLs of every host and URLs without a host match by their path.
    ///
    /// # Errors
    ///
    /// If `member` is not an absolute URL or a path, without a query, or if `local` is
    /// not a path.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::ReverseMap;
    ///
    /// let map = ReverseMap::new().with_member("http://10.0.0.1:8080", "/app")?;
    /// let url = map.url("http://10.0.0.1:8080/login", None);
    /// assert_eq!(url.as_deref(), Some("/app/login"));
    /// assert_eq!(map.url("http://10.0.0.1:80800/login", None), None);
    /// # Ok::<(), equipoise::proxy::MapRuleError>(())
    /// ```
    pub fn with_member(mut self, member: &str, local: &str) -> Result<Self, MapRuleError> {
        let (place, path) = read_member(member).ok_or_else(|| {
            let text = member.to_owned();
            MapRuleError::Url { text }
        })?;
        self.rules.push(ReverseRule {
            place,
            path: if path == "/" { String::new() } else { path },
            local: checked_path(local)?,
        });
        Ok(self)
    }

    /// Adds a rule for each member of a balancer: a member's response may contain the URL
    /// of another member.
    ///
    /// # Errors
    ///
    /// As [`with_member`](Self::with_member), for the first that is wrong.
    pub fn with_members<M>(
        self,
        members: impl IntoIterator<Item = M>,
        local: &str,
    ) -> Result<Self, MapRuleError>
    where
        M: AsRef<str>,
    {
        let mut members = members.into_iter();
        members.try_fold(self, |map, member| map.with_member(member.as_ref(), local))
    }

    /// Rewrites the headers of a response. URLs become absolute, with `public_origin`, if
    /// it is given; otherwise they become paths.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::ReverseMap;
    ///
    /// let map = ReverseMap::new().with_member("http://10.0.0.1:8080", "/app")?;
    /// let (mut head, ()) = http::Response::builder()
    ///     .header("refresh", "5; url=http://10.0.0.1:8080/done")
    ///     .body(())?
    ///     .into_parts();
    /// map.rewrite(&mut head.headers, None);
    /// assert_eq!(head.headers["refresh"], "5; url=/app/done");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rewrite(&self, headers: &mut HeaderMap, public_origin: Option<&Origin>) {
        for (name, value) in headers.iter_mut() {
            let text = value.as_bytes();
            let rewritten = if name == REFRESH {
                self.refresh(text, public_origin)
            } else if holds_a_url(name) {
                self.rewritten(text, public_origin)
            } else {
                None
            };
            replace(value, rewritten);
        }
    }

    /// Returns the rewritten URL, or `None` if it stays unchanged.
    #[must_use]
    pub fn url(&self, url: &str, public_origin: Option<&Origin>) -> Option<String> {
        let rewritten = self.rewritten(url.as_bytes(), public_origin)?;
        String::from_utf8(rewritten).ok()
    }

    fn rewritten(&self, url: &[u8], public_origin: Option<&Origin>) -> Option<Vec<u8>> {
        let (place, path) = match split(url) {
            Some((scheme, authority, path)) => (Some(MemberOrigin::new(scheme, authority)?), path),
            // Two slashes begin a host.
            None if url.starts_with(b"/") && !url.starts_with(b"//") => (None, url),
            None => return None,
        };
        let mut local = self.rules.iter().find_map(|rule| {
            let matches = rule.place.is_none() || rule.place == place;
            let rest = below(&rule.path, path).filter(|_| matches)?;
            let slash = rule.path.ends_with('/') || rest.starts_with(b"/");
            let rest = if slash { without_slashes(rest) } else { rest };
            Some(join(&rule.local, rest, slash))
        })?;
        if let Some(origin) = public_origin {
            local.splice(0..0, origin.to_string().into_bytes());
        }
        Some(local)
    }

    /// Parses `5; url=http://..`, also with quotes around the URL or without `url=` (HTML,
    /// "shared declarative refresh steps").
    fn refresh(&self, value: &[u8], public_origin: Option<&Origin>) -> Option<Vec<u8>> {
        let mut at = 1 + value.iter().position(|byte| matches!(byte, b';' | b','))?;
        at += blanks(&value[at..]);
        let named = value.get(at..at + 3);
        if named.is_some_and(|name| name.eq_ignore_ascii_case(b"url")) {
            let equals = at + 3 + blanks(&value[at + 3..]);
            if value.get(equals) == Some(&b'=') {
                at = equals + 1;
                at += blanks(&value[at..]);
            }
        }
        let mut end = value.len();
        if let Some(&quote @ (b'"' | b'\'')) = value.get(at) {
            at += 1;
            let length = value[at..].iter().position(|&byte| byte == quote);
            end = length.map_or(end, |length| at + length);
        }
        let url = value[at..end].trim_ascii_end();
        let mut rewritten = value[..at].to_vec();
        rewritten.extend(self.rewritten(url, public_origin)?);
        rewritten.extend_from_slice(&value[at + url.len()..]);
        Some(rewritten)
    }
}

impl MemberOrigin {
    fn new(scheme: &[u8], authority: &[u8]) -> Option<Self> {
        let lower = |text: &[u8]| String::from_utf8(text.to_ascii_lowercase()).ok();
        let scheme = lower(scheme)?;
        let mut authority = lower(authority)?;
        let implied = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => ":",
        };
        if authority.ends_with(implied) {
            authority.truncate(authority.len() - implied.len());
        }
        Some(Self { scheme, authority })
    }
}

fn read_member(member: &str) -> Option<(Option<MemberOrigin>, String)> {
    let uri: Uri = member.parse().ok()?;
    if uri.query().is_some() || member.contains('#') {
        return None;
    }
    let path = uri.path().to_owned();
    let place = match (uri.scheme(), uri.authority()) {
        (Some(scheme), Some(authority)) => {
            let authority = authority.as_str();
            // User and password are not part of the URLs that the member returns.
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            Some(MemberOrigin::new(
                scheme.as_str().as_bytes(),
                host.as_bytes(),
            )?)
        }
        (None, None) if path.starts_with('/') => None,
        _ => return None,
    };
    Some((place, path))
}

/// Splits an absolute URL into the scheme, the authority and the rest.
fn split(url: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let colon = url.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = url.split_at(colon);
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let rest = rest.strip_prefix(b"://")?;
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let named = scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(is_scheme);
    named.then_some((scheme, authority, path))
}

/// Returns the rest after the prefix, if the path is below it.
fn below<'p>(prefix: &str, path: &'p [u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(prefix.as_bytes())?;
    let ends = prefix.ends_with('/') || matches!(rest.first(), None | Some(b'/' | b'?' | b'#'));
    ends.then_some(rest)
}

/// Removes what a browser would interpret, after a leading slash, as the beginning of a
/// host: it ignores tabs, and treats `\` as `/`.
fn without_slashes(rest: &[u8]) -> &[u8] {
    let like_a_slash = |byte: &&u8| matches!(byte, b'/' | b'\\' | b'\t');
    let run = rest.iter().take_while(like_a_slash).count();
    &rest[run..]
}

fn holds_a_url(name: &HeaderName) -> bool {
    name == LOCATION || name == CONTENT_LOCATION || matches!(name.as_str(), "destination" | "uri")
}

fn blanks(text: &[u8]) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// Replaces the value, unless the new one is not valid in a header.
pub(super) fn replace(value: &mut HeaderValue, rewritten: Option<Vec<u8>>) {
    let Some(Ok(mut rewritten)) = rewritten.map(HeaderValue::try_from) else {
        return;
    };
    rewritten.set_sensitive(value.is_sensitive());
    *value = rewritten;
}

#[cfg(test)]
mod tests {
    use super::{Origin, ReverseMap};
    use http::header::{HeaderMap, HeaderValue};
    use http::uri::Scheme;

    fn map(member: &str, local: &str) -> ReverseMap {
        ReverseMap::new().with_member(member, local).unwrap()
    }

    #[test]
    fn a_url_lies_below_another_only_at_a_boundary() {
        let rows = [
            ("http://h:19001", "http://h:190012/x", None),
            ("http://h:19001", "http://h:19001.evil/x", None),
            ("http://h:19001", "http://h:19001@evil/x", None),
            ("http://h", "http://h", Some("/app")),
            ("http://h", "http://h/", Some("/app/")),
            ("http://h", "http://h?q", Some("/app?q")),
            ("http://h", "http://h#f", Some("/app#f")),
            ("http://h/m", "http://h/mm", None),
            ("http://h/m", "http://h/m?q", Some("/app?q")),
            ("http://h/m/", "http://h/m", None),
            ("http://h/m/", "http://h/m/x", Some("/app/x")),
            ("http://h/m", "http://h/M/x", None),
            ("http://h/m", "HTTP://H/m/x", Some("/app/x")),
            ("HTTP://H:80/m", "http://h/m/x", Some("/app/x")),
            ("http://h", "http://h:80/x", Some("/app/x")),
            ("http://u:p@h", "http://h/x", Some("/app/x")),
            ("http://h", "https://h/x", None),
            ("http://[::1]:8080", "http://[::1]:8080/x", Some("/app/x")),
        ];
        for (member, url, expected) in rows {
            let found = map(member, "/app").url(url, None);
            assert_eq!(found.as_deref(), expected, "{member} {url}");
        }
    }

    #[test]
    fn a_path_never_turns_into_a_host() {
        for url in [
            "http://h//evil",
            "http://h/\\evil",
            "http://h/\t/evil",
            "http://h/",
        ] {
            for member in ["http://h", "http://h/", "/"] {
                let path = map(member, "/").url(url, None).unwrap();
                assert!(["/evil", "/"].contains(&path.as_str()), "{url:?} {path:?}");
            }
        }
    }

    #[test]
    fn a_rule_for_a_path_holds_for_every_host_and_for_none() {
        let rows = [
            ("http://any/base/x", Some("/app/x")),
            ("ftp://other:1/base", Some("/app")),
            ("/base/x", Some("/app/x")),
            ("/bases", None),
            ("//any/base/x", None),
            ("base/x", None),
            ("://any/base/x", None),
        ];
        for (url, expected) in rows {
            let found = map("/base", "/app").url(url, None);
            assert_eq!(found.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_refresh_keeps_all_but_its_url() {
        let rows = [
            ("5; url=http://h/x", "5; url=/app/x"),
            ("5;URL = 'http://h/x' ; y", "5;URL = '/app/x' ; y"),
            ("0, \"http://h/x\"", "0, \"/app/x\""),
            ("0; http://h/x ", "0; /app/x "),
            ("0; url='http://h/x", "0; url='/app/x"),
            ("5", "5"),
            ("5;", "5;"),
            ("5; ur", "5; ur"),
            ("5; url", "5; url"),
            ("5; url=", "5; url="),
            ("5; url=\"", "5; url=\""),
            ("5; url=http://other/x", "5; url=http://other/x"),
        ];
        for (value, expected) in rows {
            let mut headers = HeaderMap::new();
            // `HeaderValue` does not trim whitespace at the end.
            headers.insert(
                "refresh",
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
            map("http://h", "/app").rewrite(&mut headers, None);
            assert_eq!(headers["refresh"], expected);
        }
    }

    #[test]
    fn each_header_with_a_url_is_rewritten_and_no_other() {
        let names = ["location", "content-location", "uri", "destination", "link"];
        let mut headers = HeaderMap::new();
        for name in names {
            let mut url = HeaderValue::from_bytes(b"http://h/\xff").unwrap();
            url.set_sensitive(true);
            headers.insert(name, url);
        }
        let origin = Origin::new(Scheme::HTTPS, "www.example.com".parse().unwrap());
        map("http://h", "/app").rewrite(&mut headers, Some(&origin));
        for name in &names[..4] {
            let seen: &[u8] = b"https://www.example.com/app/\xff";
            assert_eq!(headers[*name].as_bytes(), seen);
            assert!(headers[*name].is_sensitive());
        }
        assert_eq!(headers["link"].as_bytes(), b"http://h/\xff");
    }

    #[test]
    fn a_member_is_a_url_or_a_path() {
        for member in [
            "",
            "h",
            "h:80",
            "*",
            "http://h/?q",
            "http://h/#f",
            "http://",
            "//h /",
        ] {
            let error = ReverseMap::new().with_member(member, "/").unwrap_err();
            assert!(error.to_string().contains("is not the URL"), "{member:?}");
        }
        for local in ["", "app", "/a?b", "http://h", "/a\r\nb"] {
            assert!(ReverseMap::new().with_member("http://h", local).is_err());
        }
    }
}
