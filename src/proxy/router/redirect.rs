//! A redirect response: [`Redirect`].

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::condition::RequestFacts;
use super::{RuleError, StaticResponse};
use crate::proxy::mapping::{ResolvedReadings, strip};
use crate::service::PreferredFormat;

/// Redirects clients to another location. The location may contain
///
/// * `{host}`: the host of the request, without port; a request without one gets 400,
/// * `{path}`: the path of the request, which begins with a slash,
/// * `{rest}`: the path after the rule's [`path_prefix`](super::Rule::path_prefix); it
///   begins with a slash, or is empty,
/// * `{query}`: the query of the request with its `?`, if it has one; after a `?` in the
///   location, with `&`.
///
/// A request cannot redirect to a host that the location does not contain: in a location
/// without a host, slashes at the beginning are merged into one, and characters that
/// browsers treat as a slash are escaped.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{Redirect, Router, Rule};
/// use http::Request;
/// use tower::{ServiceExt, service_fn};
/// # use std::convert::Infallible;
/// # type Answered = http::Response<String>;
///
/// let pages = service_fn(|_: Request<String>| async {
/// #   let response: Result<Answered, Infallible> =
///     Ok(http::Response::new(String::from("a page")))
/// #   ; response
/// });
/// let router = Router::builder()
///     .redirect(Rule::new().path_prefix("/old"), Redirect::permanent("/new{rest}{query}"))
///     .redirect(
///         Rule::new().host("example.com"),
///         Redirect::permanent("https://www.example.com{path}{query}"),
///     )
///     .fallback(pages)
///     .build()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let response = router.oneshot(Request::get("/old/a?b=c").body(String::new())?).await?;
/// assert_eq!(response.status(), 308);
/// assert_eq!(response.headers()["location"], "/new/a?b=c");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Redirect {
    status: StatusCode,
    location: String,
}

impl Redirect {
    /// Redirects permanently, with the same method: 308.
    pub fn permanent(location: impl Into<String>) -> Self {
        Self::new(StatusCode::PERMANENT_REDIRECT, location)
    }

    /// Redirects temporarily, with the same method: 307.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Redirect;
    ///
    /// let redirect = Redirect::temporary("https://status.example.com/");
    /// # let _ = redirect;
    /// ```
    pub fn temporary(location: impl Into<String>) -> Self {
        Self::new(StatusCode::TEMPORARY_REDIRECT, location)
    }

    /// Redirects with one of the statuses 301, 302, 303, 307 and 308.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Redirect;
    /// use http::StatusCode;
    ///
    /// let redirect = Redirect::new(StatusCode::SEE_OTHER, "/done");
    /// # let _ = redirect;
    /// ```
    pub fn new(status: StatusCode, location: impl Into<String>) -> Self {
        let location = location.into();
        Self { status, location }
    }

    /// Returns the redirect for a rule with this path prefix.
    pub(super) fn planned(&self, prefix: Option<&str>) -> Result<RedirectPlan, RuleError> {
        if !matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Err(RuleError::Status {
                of: "a redirect",
                status: self.status,
                advice: "use 301, 302, 303, 307 or 308",
            });
        }
        let wrong = |advice| RuleError::Location {
            text: self.location.clone(),
            advice,
        };
        if !self.location.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("escape blanks and letters beyond ASCII, as in `%20`"));
        }
        if self.location.contains('\\') {
            return Err(wrong("browsers treat a backslash as a slash: write `%5C`"));
        }
        let query_from = self.location.find("{query}");
        if query_from > self.location.find('#') && self.location.contains('#') {
            return Err(wrong("put the query before the fragment"));
        }
        let pieces = pieces(&self.location).map_err(wrong)?;
        let names_host = match self.location.split_once("//") {
            Some((scheme, place)) if scheme.is_empty() || is_scheme(scheme) => {
                let begins = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'[';
                if !place.starts_with("{host}") && !place.as_bytes().first().is_some_and(begins) {
                    return Err(wrong("put a host, or `{host}`, after the two slashes"));
                }
                true
            }
            _ => false,
        };
        let begins = ["/", "{path}", "{rest}"];
        if !names_host && !begins.iter().any(|begin| self.location.starts_with(begin)) {
            return Err(wrong(
                "begin it with a slash, `{path}`, `{rest}`, or a scheme as in `https://{host}`",
            ));
        }
        let has_rest = pieces
            .iter()
            .any(|piece| matches!(piece, LocationPiece::Rest));
        if has_rest && prefix.is_none() {
            return Err(wrong("use `{rest}` only in a rule with a path prefix"));
        }
        // With its leading slash, the rest can never become part of the host.
        let prefix = prefix.map_or("", |prefix| prefix.strip_suffix('/').unwrap_or(prefix));
        Ok(RedirectPlan {
            status: self.status,
            names_host,
            pieces,
            prefix: prefix.into(),
        })
    }
}

fn is_scheme(text: &str) -> bool {
    text.strip_suffix(':').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn pieces(location: &str) -> Result<Vec<LocationPiece>, &'static str> {
    const KNOWN: &str = "put only `host`, `path`, `rest` or `query` in braces";
    let mut pieces = Vec::new();
    let mut ahead = location;
    while let Some((text, behind)) = ahead.split_once('{') {
        let (name, rest) = behind.split_once('}').ok_or(KNOWN)?;
        if text.contains('}') {
            return Err(KNOWN);
        }
        pieces.push(LocationPiece::Text(text.into()));
        pieces.push(match name {
            "host" => LocationPiece::Host,
            "path" => LocationPiece::Path,
            "query" => LocationPiece::Query,
            "rest" => LocationPiece::Rest,
            _ => return Err(KNOWN),
        });
        ahead = rest;
    }
    if ahead.contains('}') {
        return Err(KNOWN);
    }
    pieces.push(LocationPiece::Text(ahead.into()));
    Ok(pieces)
}

#[derive(Clone, Debug)]
enum LocationPiece {
    Host,
    Path,
    Query,
    Rest,
    Text(Box<str>),
}

/// A redirect that has been checked.
#[derive(Clone, Debug)]
pub(super) struct RedirectPlan {
    status: StatusCode,
    names_host: bool,
    pieces: Vec<LocationPiece>,
    /// The prefix that `{rest}` follows.
    prefix: Box<str>,
}

impl RedirectPlan {
    pub(super) fn to_response(
        &self,
        facts: &RequestFacts<'_>,
        wanted: PreferredFormat,
    ) -> Response<Bytes> {
        let location = self.location(facts);
        match location.and_then(|location| HeaderValue::try_from(location).ok()) {
            Some(location) => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = self.status;
                response.headers_mut().insert(LOCATION, location);
                response
            }
            None => StaticResponse::no_host().to_response(wanted),
        }
    }

    fn location(&self, facts: &RequestFacts<'_>) -> Option<String> {
        let mut location = String::new();
        for piece in &self.pieces {
            match piece {
                LocationPiece::Host => location.push_str(facts.host.as_deref()?),
                LocationPiece::Path => push_path(&mut location, facts.uri.path()),
                LocationPiece::Query => push_query(&mut location, facts.uri.query()),
                LocationPiece::Rest => {
                    let rest = rest_of(facts.uri.path(), &self.prefix);
                    if !rest.is_empty() {
                        push_path(&mut location, &rest);
                    }
                }
                LocationPiece::Text(text) => location.push_str(text),
            }
        }
        if self.names_host {
            return Some(location);
        }
        // Two slashes would start a host.
        let path = location.trim_start_matches('/');
        Some(format!("/{path}"))
    }
}

/// The characters that are escaped in a decoded path (RFC 3986, 3.3), in addition to those
/// beyond ASCII.
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED_IN_LOCATION
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The characters that are escaped in a location, in addition to those beyond ASCII, which a
/// header cannot contain. Browsers treat `\` as a slash.
const ESCAPED_IN_LOCATION: &AsciiSet = &CONTROLS.add(b' ').add(b'\\');

/// Returns the raw path after a prefix. If only another interpretation of the path is below
/// the prefix, it returns the rest of that one.
fn rest_of<'p>(path: &'p str, prefix: &str) -> Cow<'p, str> {
    if let Some(rest) = strip(prefix, path) {
        return Cow::Borrowed(rest);
    }
    let places = ResolvedReadings::of(path);
    let rest = places.all().find_map(|place| {
        let (front, rest) = place.split_at_checked(prefix.len())?;
        let is_below = rest.is_empty() || rest.starts_with('/');
        (is_below && front.eq_ignore_ascii_case(prefix)).then_some(rest)
    });
    let escaped = utf8_percent_encode(rest.unwrap_or_default(), ESCAPED_IN_PATH);
    Cow::Owned(escaped.to_string())
}

/// The targets of `OPTIONS *` and `CONNECT` have no leading slash.
fn push_path(location: &mut String, path: &str) {
    if !path.starts_with('/') {
        location.push('/');
    }
    push_escaped(location, path);
}

fn push_query(location: &mut String, query: Option<&str>) {
    let Some(query) = query else {
        return;
    };
    if !location.contains('?') {
        location.push('?');
    } else if !location.ends_with(['?', '&']) {
        location.push('&');
    }
    push_escaped(location, query);
}

fn push_escaped(location: &mut String, text: &str) {
    location.extend(utf8_percent_encode(text, ESCAPED_IN_LOCATION));
}

#[cfg(test)]
mod tests {
    use super::{ESCAPED_IN_LOCATION, ESCAPED_IN_PATH};
    use percent_encoding::{AsciiSet, utf8_percent_encode};

    #[test]
    fn all_characters_are_escaped_except_those_of_a_path_or_location() {
        let in_path =
            |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        let in_location = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let rows: [(&AsciiSet, &dyn Fn(u8) -> bool); 2] = [
            (ESCAPED_IN_PATH, &in_path),
            (ESCAPED_IN_LOCATION, &in_location),
        ];
        for (set, stays) in rows {
            for c in (0..=0x24f).filter_map(char::from_u32).chain(['€', '🦀']) {
                let text = c.to_string();
                let slowly: String = text
                    .bytes()
                    .map(|byte| match stays(byte) {
                        true => char::from(byte).to_string(),
                        false => format!("%{byte:02X}"),
                    })
                    .collect();
                assert_eq!(utf8_percent_encode(&text, set).to_string(), slowly, "{c:?}");
            }
        }
    }
}
