//! The cookie that carries a client's route: [`RouteCookie`].
//!
//! Not here: reading the cookie (`session`), and the opaque form of a route (`opaque`).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use cookie::Cookie;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, SET_COOKIE};

use super::cookie_header;
use super::opaque::{OpaqueKey, OpaqueRoutes};
use crate::balancer::Balancer;
use crate::session::StickySession;

/// A cookie with the route of the member. It is set on a response if the member has another
/// route than the client presented (Apache's recipe with `ROUTEID`, built in).
///
/// By default its name is that of the [`StickySession`], it lasts for the browser's
/// session, and it is `HttpOnly; SameSite=Lax; Path=/`. It is removed from requests to
/// members, and responses that set it are marked `Cache-Control: private`.
///
/// A member's own `Set-Cookie` with this name is passed on, as in Apache (and unlike
/// HAProxy's `rewrite`). A cookie of the balancer follows it, and replaces it in the
/// client; but if the client presented the right route, there is none, and the member's
/// cookie then decides where the next request goes. Give the session a name that members do
/// not use.
///
/// A route with characters that are not allowed in a cookie is not set: give members routes
/// of letters and digits, or use [`with_opaque_routes`](Self::with_opaque_routes).
///
/// # Examples
///
/// ```
/// use equipoise::service::{BalanceLayer, RouteCookie};
/// use equipoise::{Balancer, StickySession};
/// use std::time::Duration;
///
/// let balancer = Balancer::<http::Uri>::builder().build()?;
/// let cookie = RouteCookie::new()
///     .with_secure()
///     .with_max_age(Duration::from_secs(3_600));
/// let layer = BalanceLayer::new(balancer)
///     .sticky_with_cookie(StickySession::new("ROUTEID")?, cookie);
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RouteCookie {
    template: Cookie<'static>,
    opaque: Option<OpaqueKey>,
    forwarded: bool,
    cacheable: bool,
}

/// Whether a cookie is sent with requests from other sites.
///
/// # Examples
///
/// ```
/// use equipoise::service::{SameSite, RouteCookie};
///
/// let cookie = RouteCookie::new().with_same_site(SameSite::Strict);
/// # let _ = cookie;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SameSite {
    /// If a link is followed (`SameSite=Lax`).
    Lax,
    /// Always, over TLS only (`SameSite=None; Secure`).
    None,
    /// Never (`SameSite=Strict`).
    Strict,
}

/// A text that is not allowed in a cookie.
///
/// # Examples
///
/// ```
/// use equipoise::service::RouteCookie;
///
/// let error = RouteCookie::new().with_path("/a;b").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\"/a;b\" cannot be part of a cookie: use visible ASCII without `;`"
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} cannot be part of a cookie: use visible ASCII without `;`")]
#[non_exhaustive]
pub struct CookieTextError {
    /// The text.
    pub text: String,
}

impl RouteCookie {
    /// Creates a cookie with the defaults above.
    #[must_use]
    pub fn new() -> Self {
        let template = Cookie::build(("", ""))
            .path("/")
            .http_only(true)
            .same_site(cookie::SameSite::Lax);
        Self {
            template: template.build(),
            opaque: None,
            forwarded: false,
            cacheable: false,
        }
    }

    /// Sets the path below which the client presents the cookie; the default is `/`.
    ///
    /// # Errors
    ///
    /// If the text is not allowed in a cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::RouteCookie;
    ///
    /// let cookie = RouteCookie::new().with_path("/shop")?;
    /// # let _ = cookie;
    /// # Ok::<(), equipoise::service::CookieTextError>(())
    /// ```
    pub fn with_path(mut self, path: &str) -> Result<Self, CookieTextError> {
        self.template.set_path(checked(path)?);
        Ok(self)
    }

    /// Sets the domain to whose hosts the client presents the cookie; by default only to
    /// the host that set it.
    ///
    /// # Errors
    ///
    /// If the text is not allowed in a cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::RouteCookie;
    ///
    /// let cookie = RouteCookie::new().with_domain("example.com")?;
    /// # let _ = cookie;
    /// # Ok::<(), equipoise::service::CookieTextError>(())
    /// ```
    pub fn with_domain(mut self, domain: &str) -> Result<Self, CookieTextError> {
        self.template.set_domain(checked(domain)?);
        Ok(self)
    }

    /// Presents the cookie over TLS only.
    #[must_use]
    pub fn with_secure(mut self) -> Self {
        self.template.set_secure(true);
        self
    }

    /// Lets scripts read the cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::RouteCookie;
    ///
    /// let cookie = RouteCookie::new().without_http_only();
    /// # let _ = cookie;
    /// ```
    #[must_use]
    pub fn without_http_only(mut self) -> Self {
        self.template.set_http_only(false);
        self
    }

    /// Sets whether the cookie is sent with requests from other sites; the default is
    /// [`SameSite::Lax`].
    #[must_use]
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.template.set_same_site(match same_site {
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::None => cookie::SameSite::None,
            SameSite::Strict => cookie::SameSite::Strict,
        });
        self
    }

    /// Sets how long the client keeps the cookie, in whole seconds; by default until the
    /// browser is closed.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let age = cookie::time::Duration::seconds(seconds);
        self.template.set_max_age(age);
        self
    }

    /// Sets a value that does not reveal the route: a client can neither read the member
    /// from it nor forge a value for another member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::{OpaqueKey, RouteCookie};
    ///
    /// let key = OpaqueKey::new("shop", b"0123456789abcdef0123456789abcdef");
    /// let cookie = RouteCookie::new().with_opaque_routes(key);
    /// # let _ = cookie;
    /// ```
    #[must_use]
    pub fn with_opaque_routes(self, key: OpaqueKey) -> Self {
        Self {
            opaque: Some(key),
            ..self
        }
    }

    /// Passes the cookie to members; by default it is removed from their requests.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::RouteCookie;
    ///
    /// let cookie = RouteCookie::new().with_forwarding_to_members();
    /// # let _ = cookie;
    /// ```
    #[must_use]
    pub fn with_forwarding_to_members(self) -> Self {
        Self {
            forwarded: true,
            ..self
        }
    }

    /// Keeps `Cache-Control` as the member sent it. A shared cache may then send one
    /// client's cookie to others.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::service::RouteCookie;
    ///
    /// let cookie = RouteCookie::new().with_cacheable_responses();
    /// # let _ = cookie;
    /// ```
    #[must_use]
    pub fn with_cacheable_responses(self) -> Self {
        Self {
            cacheable: true,
            ..self
        }
    }

    /// Adds the cookie to a response.
    pub(in crate::service) fn set(
        &self,
        session: &StickySession,
        route: &str,
        headers: &mut HeaderMap,
    ) {
        if session.check_cookie_route(Some(route)).is_err() {
            return;
        }
        let mut value = String::with_capacity(1 + route.len());
        if let Some(separator) = session.separator() {
            value.push(separator);
        }
        value.push_str(route);
        let mut cookie = self.template.clone();
        cookie.set_name(session.cookie_name().to_owned());
        cookie.set_value(value);
        let mut text = String::with_capacity(96);
        let written = write!(text, "{cookie}").is_ok();
        let Ok(header) = HeaderValue::try_from(text) else {
            return;
        };
        if written {
            headers.append(SET_COOKIE, header);
        }
        if !self.cacheable && !is_private(headers) {
            headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }

    /// Removes the cookie from a request.
    pub(in crate::service) fn strip(&self, session: &StickySession, headers: &mut HeaderMap) {
        if !self.forwarded {
            cookie_header::remove(session.cookie_name(), headers);
        }
    }
}

impl Default for RouteCookie {
    fn default() -> Self {
        Self::new()
    }
}

/// How routes are encoded in cookies.
pub(in crate::service) enum RouteEncoding {
    Opaque(Box<OpaqueRoutes>),
    Plain,
}

impl RouteEncoding {
    pub(in crate::service) fn of(cookie: &RouteCookie) -> Self {
        match &cookie.opaque {
            Some(key) => Self::Opaque(Box::new(OpaqueRoutes::new(key.clone()))),
            None => Self::Plain,
        }
    }

    /// Returns the route that a client's value stands for, if any.
    pub(in crate::service) fn read<'v, W>(
        &self,
        balancer: &Balancer<W>,
        value: &'v str,
    ) -> Option<Cow<'v, str>> {
        match self {
            Self::Opaque(routes) => routes.read(balancer, value),
            Self::Plain => Some(Cow::Borrowed(value)),
        }
    }

    /// Returns the value of the cookie for a route.
    pub(in crate::service) fn write<'r, W>(
        &self,
        balancer: &Balancer<W>,
        route: &'r str,
    ) -> Cow<'r, str> {
        match self {
            Self::Opaque(routes) => Cow::Owned(routes.write(balancer, route)),
            Self::Plain => Cow::Borrowed(route),
        }
    }
}

fn checked(text: &str) -> Result<String, CookieTextError> {
    let fine = |byte: u8| matches!(byte, b' '..=b'~') && byte != b';';
    if text.bytes().all(fine) {
        Ok(text.to_owned())
    } else {
        let text = text.to_owned();
        Err(CookieTextError { text })
    }
}

fn is_private(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let mut directives = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    directives.any(|directive| {
        let directive = directive.trim_ascii();
        directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
    })
}

#[cfg(test)]
mod tests {
    use super::{RouteCookie, SameSite};
    use crate::session::StickySession;
    use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
    use std::time::Duration;

    fn set(cookie: &RouteCookie, route: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let session = StickySession::new("ROUTEID").unwrap();
        cookie.set(&session, route, &mut headers);
        headers
    }

    #[test]
    fn a_cookie_has_the_attributes_that_were_asked_for() {
        let plain = set(&RouteCookie::new(), "r1");
        assert_eq!(
            plain["set-cookie"],
            "ROUTEID=.r1; HttpOnly; SameSite=Lax; Path=/"
        );
        assert_eq!(plain["cache-control"], "private");
        let full = RouteCookie::new()
            .with_path("/shop")
            .unwrap()
            .with_domain("example.com")
            .unwrap()
            .with_secure()
            .without_http_only()
            .with_same_site(SameSite::Strict)
            .with_max_age(Duration::from_secs(60));
        assert_eq!(
            set(&full, "r1")["set-cookie"],
            "ROUTEID=.r1; SameSite=Strict; Secure; Path=/shop; Domain=example.com; Max-Age=60"
        );
        let everywhere = RouteCookie::new().with_same_site(SameSite::None);
        let everywhere = set(&everywhere, "r1");
        assert!(
            everywhere["set-cookie"]
                .to_str()
                .unwrap()
                .contains("Secure")
        );
        let cacheable = set(&RouteCookie::new().with_cacheable_responses(), "r1");
        assert!(!cacheable.contains_key(CACHE_CONTROL));
    }

    #[test]
    fn a_route_that_would_break_the_cookie_is_not_set() {
        for route in ["a;b", "a b", "a,b", "a\r\nx: y", "é", "a\"b", "a\\b"] {
            assert!(set(&RouteCookie::new(), route).is_empty(), "{route:?}");
        }
    }

    #[test]
    fn text_that_would_break_the_cookie_is_refused() {
        assert!(RouteCookie::new().with_path("/\r\n").is_err());
        assert!(RouteCookie::new().with_domain("a;Secure").is_err());
    }

    #[test]
    fn an_answer_that_is_private_already_is_not_marked_again() {
        let session = StickySession::new("S").unwrap();
        for (before, values) in [
            ("max-age=60", 2),
            ("Private, max-age=60", 1),
            ("no-store", 1),
            ("no-cache=private", 2),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(before));
            RouteCookie::new().set(&session, "r", &mut headers);
            assert_eq!(
                headers.get_all(CACHE_CONTROL).iter().count(),
                values,
                "{before}"
            );
        }
    }
}
