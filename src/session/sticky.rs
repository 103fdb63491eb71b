//! The names under which clients carry their session, and how they are read.
//!
//! Not here: the search itself, which each place in a request has in its own file.

use super::{
    ParseStickySessionError, PresentedSession, SessionSource, cookie, path_parameter, route,
};
use http::{HeaderMap, Uri, request::Parts};
use std::{borrow::Cow, fmt, str::FromStr};

/// Where a client's session says it belongs.
///
/// It is written `cookie|parameter`, or as one name for both, and displayed the
/// same way; the settings below are no part of that text. Names are case-sensitive.
///
/// # Examples
///
/// ```
/// use equipoise::StickySession;
///
/// let sticky: StickySession = "JSESSIONID|jsessionid".parse()?;
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
    whole_value_routes: bool,
}

impl StickySession {
    /// Reads the name of the cookie, or `cookie|parameter`.
    ///
    /// The first `|` divides; any others belong to the parameter's name.
    ///
    /// # Errors
    ///
    /// When a name is missing, or could never be found in a request because of a
    /// blank, a control character, `=`, `;` or `,` in it.
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
    pub fn new(name: &str) -> Result<Self, ParseStickySessionError> {
        name.parse()
    }

    /// Takes as the route what is behind the first `separator` of a value, which
    /// is `.` unless this says otherwise.
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

    /// Takes the whole value as the route, whatever is in it.
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

    /// Lets a semicolon end a value in the URL, for links with more than one
    /// parameter behind a path segment.
    ///
    /// Otherwise only `/`, `?` and `&` do. A semicolon may stand *before* the name
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

    /// Refuses a request rather than serve it without its session.
    ///
    /// For applications that would lose a client's work by starting over on
    /// another member. Reading requests is the same; the balancer heeds this.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?.with_no_failover();
    /// assert!(sticky.is_no_failover());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn with_no_failover(self) -> Self {
        Self {
            no_failover: true,
            ..self
        }
    }

    /// Takes a value without separator as a route in itself.
    ///
    /// For cookies that a foreign proxy set to nothing but the route. Without this
    /// such a value belongs to no member, as in Apache.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// let sticky = StickySession::new("ROUTEID")?;
    /// assert_eq!(sticky.route_of("C"), None);
    /// let sticky = sticky.with_whole_value_routes();
    /// assert_eq!(sticky.route_of("C"), Some("C"));
    /// assert_eq!(sticky.route_of("4f3a.C"), Some("C"));
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn with_whole_value_routes(self) -> Self {
        Self {
            whole_value_routes: true,
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

    /// Says what stands before the route in a value; `None` if the value is the route.
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

    /// Returns whether a request is refused rather than served without its session.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// assert!(!StickySession::new("sid")?.is_no_failover());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn is_no_failover(&self) -> bool {
        self.no_failover
    }

    /// Returns whether a value without separator is a route in itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    ///
    /// assert!(!StickySession::new("sid")?.has_whole_value_routes());
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    #[must_use]
    pub fn has_whole_value_routes(&self) -> bool {
        self.whole_value_routes
    }

    /// Finds the session that a request presents: in its URL, else in its cookies.
    ///
    /// A session in the URL hides those in cookies even when no route can be read
    /// from it. An empty value, or one that is not UTF-8, is no session.
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

    /// Finds the session in the head of a request, as [`find`](Self::find) does.
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

    /// Reads the route from a session value; never an empty one.
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
        route::route_of(value, self.separator, self.whole_value_routes)
    }
}

impl FromStr for StickySession {
    type Err = ParseStickySessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseStickySessionError::NoName);
        }
        let (cookie, parameter) = text.split_once('|').unwrap_or((text, text));
        if cookie.is_empty() {
            return Err(ParseStickySessionError::NoCookieName);
        }
        if parameter.is_empty() {
            return Err(ParseStickySessionError::NoParameterName);
        }
        if let Some(character) = text.chars().find(|character| is_unmatchable(*character)) {
            return Err(ParseStickySessionError::UnmatchableCharacter(character));
        }
        Ok(Self {
            cookie: cookie.to_owned(),
            parameter: parameter.to_owned(),
            separator: Some('.'),
            semicolon_path_delimiter: false,
            no_failover: false,
            whole_value_routes: false,
        })
    }
}

/// These end a cookie's name, or keep a request from being one at all.
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
