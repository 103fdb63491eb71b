//! The names under which clients send their session, and how its value is read:
//! [`StickySession`].
//!
//! Not here: the search itself; `path_parameter` and `cookie` do it.

use super::{
    ParseStickySessionError, PresentedSession, SessionSource, cookie, path_parameter, route,
};
use http::{HeaderMap, Uri, request::Parts};
use std::{borrow::Cow, fmt};

/// The names of the cookie and of the URL parameter that carry a client's session, and how
/// the route is read from their value.
///
/// `Display` writes the names as [`new`](Self::new) reads them: `cookie|parameter`, or one
/// name if both are equal. The other settings are not displayed. Names are case-sensitive.
///
/// # Examples
///
/// ```
/// use equipoise::StickySession;
///
/// let sticky = StickySession::new("JSESSIONID|jsessionid")?;
/// assert_eq!(sticky.cookie_name(), "JSESSIONID");
/// assert_eq!(sticky.parameter_name(), "jsessionid");
/// assert_eq!(sticky.to_string(), "JSESSIONID|jsessionid");
/// # Ok::<(), equipoise::session::ParseStickySessionError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickySession {
    cookie: String,
    parameter: String,
    separator: Option<char>,
    semicolon_path_delimiter: bool,
    no_failover: bool,
    optional_separator: bool,
}

impl StickySession {
    /// Creates a session from `cookie|parameter`, or from one name for both (Apache:
    /// `stickysession`).
    ///
    /// The first `|` divides the two; any further `|` belongs to the parameter's name.
    ///
    /// # Errors
    ///
    /// If a name is missing, or contains a blank, a control character, `=`, `;` or `,`: no
    /// request could match such a name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("ROUTEID")?;
    /// assert_eq!(sticky.cookie_name(), sticky.parameter_name());
    /// assert!(StickySession::new("ROUTEID|").is_err());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    pub fn new(names: &str) -> Result<Self, ParseStickySessionError> {
        if names.is_empty() {
            return Err(ParseStickySessionError::NoName);
        }
        let (cookie, parameter) = names.split_once('|').unwrap_or((names, names));
        if cookie.is_empty() {
            return Err(ParseStickySessionError::NoCookieName);
        }
        if parameter.is_empty() {
            return Err(ParseStickySessionError::NoParameterName);
        }
        if let Some(character) = names.chars().find(|character| is_unmatchable(*character)) {
            return Err(ParseStickySessionError::UnmatchableCharacter(character));
        }
        Ok(Self {
            cookie: cookie.to_owned(),
            parameter: parameter.to_owned(),
            separator: Some('.'),
            semicolon_path_delimiter: false,
            no_failover: false,
            optional_separator: false,
        })
    }

    /// Sets the separator: the route is the text after the first `separator` of a value.
    /// The default is `.`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?.with_separator('!');
    /// assert_eq!(sticky.route_of("4f3a!C.1"), Some("C.1"));
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn with_separator(self, separator: char) -> Self {
        Self {
            separator: Some(separator),
            ..self
        }
    }

    /// Takes the whole value as the route, always, whatever it contains.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?.without_separator();
    /// assert_eq!(sticky.route_of("C.1"), Some("C.1"));
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn without_separator(self) -> Self {
        Self {
            separator: None,
            ..self
        }
    }

    /// Ends a value in the URL at a semicolon, for links with several parameters after a
    /// path segment.
    ///
    /// By default only `/`, `?` and `&` end it. A semicolon *before* the name is accepted
    /// in either case.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let request = http::Request::get("/a;sid=4f3a.C;lang=en").body(())?;
    /// let route = |sticky: StickySession| {
    ///     let presented = sticky.find(request.uri(), request.headers())?;
    ///     Some(presented.route()?.to_owned())
    /// };
    /// let sticky = StickySession::new("sid")?;
    /// assert_eq!(route(sticky.clone()).as_deref(), Some("C;lang=en"));
    /// assert_eq!(route(sticky.with_semicolon_path_delimiter()).as_deref(), Some("C"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_semicolon_path_delimiter(self) -> Self {
        Self {
            semicolon_path_delimiter: true,
            ..self
        }
    }

    /// Rejects a request if the member of its session cannot serve it (Apache:
    /// `nofailover`).
    ///
    /// For applications that would lose a client's work on another member. Requests are
    /// read in the same way; the balancer applies this setting.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?.with_no_failover();
    /// assert!(sticky.has_no_failover());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn with_no_failover(self) -> Self {
        Self {
            no_failover: true,
            ..self
        }
    }

    /// Takes a value that does not contain the separator as the route. A value that
    /// contains it is read as usual.
    ///
    /// For cookies in which another proxy has set only the route. By default such a value
    /// has no route, as in Apache.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("ROUTEID")?;
    /// assert_eq!(sticky.route_of("C"), None);
    /// let sticky = sticky.with_optional_separator();
    /// assert_eq!(sticky.route_of("C"), Some("C"));
    /// assert_eq!(sticky.route_of("4f3a.C"), Some("C"));
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn with_optional_separator(self) -> Self {
        Self {
            optional_separator: true,
            ..self
        }
    }

    /// Returns the name of the cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// assert_eq!(StickySession::new("SID|s")?.cookie_name(), "SID");
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        &self.cookie
    }

    /// Returns the name of the URL parameter.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// assert_eq!(StickySession::new("SID|s")?.parameter_name(), "s");
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn parameter_name(&self) -> &str {
        &self.parameter
    }

    /// Returns the separator before the route in a value; `None` if the whole value is the
    /// route.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?;
    /// assert_eq!(sticky.separator(), Some('.'));
    /// assert_eq!(sticky.without_separator().separator(), None);
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn separator(&self) -> Option<char> {
        self.separator
    }

    /// Returns whether a semicolon ends a value in the URL.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// assert!(!StickySession::new("sid")?.has_semicolon_path_delimiter());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn has_semicolon_path_delimiter(&self) -> bool {
        self.semicolon_path_delimiter
    }

    /// Returns whether a request is rejected if the member of its session cannot serve it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// assert!(!StickySession::new("sid")?.has_no_failover());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn has_no_failover(&self) -> bool {
        self.no_failover
    }

    /// Returns whether a value without the separator is taken as the route.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// assert!(!StickySession::new("sid")?.has_optional_separator());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn has_optional_separator(&self) -> bool {
        self.optional_separator
    }

    /// Finds the session that a request presents: in its URL first, then in its cookies.
    ///
    /// A session in the URL takes precedence over cookies even if it contains no route. A
    /// value that is empty or not UTF-8 is ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?;
    /// let request = http::Request::get("/shop;sid=4f3a.C/basket")
    ///     .header("cookie", "sid=9b10.B")
    ///     .body(())?;
    /// let presented = sticky.find(request.uri(), request.headers()).ok_or("no session")?;
    /// assert_eq!(presented.route(), Some("C"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn find<'r>(
        &'r self,
        uri: &'r Uri,
        headers: &'r HeaderMap,
    ) -> Option<PresentedSession<'r>> {
        let name = &self.parameter;
        if let Some(value) = path_parameter::find(uri, name, self.semicolon_path_delimiter) {
            let route = match value {
                Cow::Borrowed(value) => self.route_of(value).map(Cow::Borrowed),
                Cow::Owned(value) => self.route_of(&value).map(|it| Cow::Owned(it.to_owned())),
            };
            return Some(PresentedSession::new(SessionSource::Url, name, route));
        }
        let value = cookie::find(headers, &self.cookie)?;
        let route = self.route_of(value).map(Cow::Borrowed);
        Some(PresentedSession::new(
            SessionSource::Cookie,
            &self.cookie,
            route,
        ))
    }

    /// Finds the session in the head of a request, like [`find`](Self::find).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?;
    /// let (parts, _body) = http::Request::get("/?sid=4f3a.C").body(())?.into_parts();
    /// let presented = sticky.find_in_parts(&parts).ok_or("no session")?;
    /// assert_eq!(presented.route(), Some("C"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn find_in_parts<'r>(&'r self, parts: &'r Parts) -> Option<PresentedSession<'r>> {
        self.find(&parts.uri, &parts.headers)
    }

    /// Returns the route in a session value, if there is one; a route is never empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?;
    /// assert_eq!(sticky.route_of("4f3a.C"), Some("C"));
    /// assert_eq!(sticky.route_of("4f3a."), None);
    /// assert_eq!(sticky.route_of("4f3a"), None);
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn route_of<'v>(&self, value: &'v str) -> Option<&'v str> {
        route::route_of(value, self.separator, self.optional_separator)
    }
}

/// Such characters end a cookie's name, or make the request invalid.
fn is_unmatchable(character: char) -> bool {
    character.is_whitespace() || character.is_control() || matches!(character, '=' | ';' | ',')
}

impl fmt::Display for StickySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cookie == self.parameter {
            f.write_str(&self.cookie)
        } else {
            write!(f, "{}|{}", self.cookie, self.parameter)
        }
    }
}
