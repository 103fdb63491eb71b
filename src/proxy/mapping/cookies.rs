//! Rewrites the paths and domains of a member's cookies: [`CookieMap`].
//!
//! Not here: the cookie that stores a session's member, which is
//! [`RouteCookie`](crate::service::RouteCookie).

use std::ops::Range;

use http::header::{HeaderMap, SET_COOKIE};

use super::error::MapRuleError;
use super::reverse_map::replace;

/// Rewrites the paths and domains of a member's cookies, so that clients send them back
/// (Apache: `ProxyPassReverseCookiePath`, `ProxyPassReverseCookieDomain`).
///
/// In each `Set-Cookie`, the last `Path` and the last `Domain` apply, as in a browser. The
/// first rule whose `internal` text is a prefix of the value replaces **the whole value**
/// with its `public` text. All other bytes stay as they are.
///
/// As in Apache, a cookie that is itself named `path` or `domain` is treated as the
/// attribute if it has no such attribute.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::CookieMap;
///
/// let map = CookieMap::new()
///     .with_path("/shop", "/app")?
///     .with_domain("m1.internal", "www.example.com")?;
/// let (mut head, ()) = http::Response::builder()
///     .header("set-cookie", "id=7; Path=/shop; Domain=m1.internal; Secure")
///     .body(())?
///     .into_parts();
/// map.rewrite(&mut head.headers);
/// assert_eq!(
///     head.headers["set-cookie"],
///     "id=7; Path=/app; Domain=www.example.com; Secure"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CookieMap {
    paths: Vec<CookieRule>,
    domains: Vec<CookieRule>,
}

#[derive(Clone, Debug)]
struct CookieRule {
    internal: String,
    public: String,
}

impl CookieMap {
    /// Creates a map without rules, which rewrites nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule for paths that begin with `internal`. The comparison is case-sensitive
    /// and does not look at segments: with `/` and `/app`, `/foo/bar` becomes `/app`.
    ///
    /// # Errors
    ///
    /// If `internal` or `public` is not valid in a cookie.
    pub fn with_path(mut self, internal: &str, public: &str) -> Result<Self, MapRuleError> {
        self.paths.push(CookieRule::new(internal, public)?);
        Ok(self)
    }

    /// Adds a rule for domains that begin with `internal`, in any case. A domain with a
    /// leading dot does not begin with one without.
    ///
    /// # Errors
    ///
    /// If `internal` or `public` is not valid in a cookie.
    pub fn with_domain(mut self, internal: &str, public: &str) -> Result<Self, MapRuleError> {
        self.domains.push(CookieRule::new(internal, public)?);
        Ok(self)
    }

    /// Rewrites every `Set-Cookie` of a response.
    pub fn rewrite(&self, headers: &mut HeaderMap) {
        for (name, value) in headers.iter_mut() {
            if name == SET_COOKIE {
                let rewritten = self.rewritten(value.as_bytes());
                replace(value, rewritten);
            }
        }
    }

    /// Returns the rewritten cookie; `None` if it stays as it is.
    fn rewritten(&self, cookie: &[u8]) -> Option<Vec<u8>> {
        let path = attribute(cookie, b"path").and_then(|place| {
            let begins =
                |rule: &&CookieRule| cookie[place.clone()].starts_with(rule.internal.as_bytes());
            Some((self.paths.iter().find(begins)?, place))
        });
        let domain = attribute(cookie, b"domain").and_then(|place| {
            let begins = |rule: &&CookieRule| {
                let internal = rule.internal.as_bytes();
                let start = cookie[place.clone()].get(..internal.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(internal))
            };
            Some((self.domains.iter().find(begins)?, place))
        });
        let mut changes: Vec<(&CookieRule, Range<usize>)> =
            path.into_iter().chain(domain).collect();
        if changes.is_empty() {
            return None;
        }
        // From the end, so that the ranges before it stay valid.
        changes.sort_by_key(|(_, place)| std::cmp::Reverse(place.start));
        let mut rewritten = cookie.to_vec();
        for (rule, place) in changes {
            rewritten.splice(place, rule.public.bytes());
        }
        Some(rewritten)
    }
}

impl CookieRule {
    fn new(internal: &str, public: &str) -> Result<Self, MapRuleError> {
        Ok(Self {
            internal: checked(internal)?,
            public: checked(public)?,
        })
    }
}

/// Returns the range of the value of the last attribute with this name, without whitespace
/// around it.
fn attribute(cookie: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    let mut start = 0;
    for token in cookie.split(|&byte| byte == b';') {
        if let Some(equals) = token.iter().position(|&byte| byte == b'=') {
            if token[..equals].trim_ascii().eq_ignore_ascii_case(name) {
                let value = &token[equals + 1..];
                let from = start + token.len() - value.trim_ascii_start().len();
                found = Some(from..from + value.trim_ascii().len());
            }
        }
        start += token.len() + 1;
    }
    found
}

fn checked(text: &str) -> Result<String, MapRuleError> {
    let fine = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b';';
    if !text.is_empty() && text.bytes().all(fine) {
        Ok(text.to_owned())
    } else {
        let text = text.to_owned();
        Err(MapRuleError::Cookie { text })
    }
}

#[cfg(test)]
mod tests {
    use super::CookieMap;
    use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

    fn map() -> CookieMap {
        let map = CookieMap::new().with_path("/shop", "/app").unwrap();
        let map = map.with_path("/", "/root").unwrap();
        map.with_domain("int.example", "www.example.com").unwrap()
    }

    fn rewritten(cookie: &[u8]) -> Vec<u8> {
        let rewritten = map().rewritten(cookie);
        rewritten.unwrap_or_else(|| cookie.to_vec())
    }

    #[test]
    fn attributes_are_found_however_they_are_written_and_the_rest_stays() {
        let rows = [
            ("a=b; Path=/shop; Secure", "a=b; Path=/app; Secure"),
            (
                "a=b ;\tPATH = /shop/x ;HttpOnly",
                "a=b ;\tPATH = /app ;HttpOnly",
            ),
            ("a=b;path=/other", "a=b;path=/root"),
            (
                "a=b; path=/shop; path=/other",
                "a=b; path=/shop; path=/root",
            ),
            (
                "a=b; Domain=INT.example.org; Path=/shop",
                "a=b; Domain=www.example.com; Path=/app",
            ),
            (
                "a=b; Path=/shop; Domain=int.example",
                "a=b; Path=/app; Domain=www.example.com",
            ),
            ("path=/shop; Path=/x", "path=/shop; Path=/root"),
            ("a=path=/shop", "a=path=/shop"),
            ("a=b; Domain=.int.example", "a=b; Domain=.int.example"),
            ("a=b; Domain=int", "a=b; Domain=int"),
            ("a=b; Path=\"/shop\"", "a=b; Path=\"/shop\""),
            ("a=b; Path", "a=b; Path"),
            ("a=b; Path=;", "a=b; Path=;"),
            ("", ""),
        ];
        for (cookie, expected) in rows {
            let found = rewritten(cookie.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        }
        assert_eq!(
            rewritten(b"a=\xff\xfe; Path=/shop"),
            b"a=\xff\xfe; Path=/app"
        );
    }

    #[test]
    fn every_cookie_is_rewritten_and_stays_in_its_place() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=1; Path=/shop", "b=2", "c=3; Path=/shop"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        headers.insert("x-path", HeaderValue::from_static("a=1; Path=/shop"));
        map().rewrite(&mut headers);
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; Path=/app", "b=2", "c=3; Path=/app"]);
        assert_eq!(headers["x-path"], "a=1; Path=/shop");
    }

    #[test]
    fn text_that_would_break_the_cookie_is_refused() {
        for text in ["", "/a;b", "/a\r\nb", "/a b", "/é"] {
            assert!(CookieMap::new().with_path("/", text).is_err(), "{text:?}");
            assert!(CookieMap::new().with_domain(text, "h").is_err(), "{text:?}");
        }
    }
}
