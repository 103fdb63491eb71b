//! The session that a client presented: [`PresentedSession`].
//!
//! Not here: how it was found. The session's own identifier is a secret of the client. It
//! is not kept, so printing this type reveals no more than the route.

use std::borrow::Cow;

/// Where in the request a session was found.
///
/// # Examples
///
/// ```
/// use equipoise::session::{SessionSource, StickySession};
///
/// let sticky = StickySession::new("sid")?;
/// let request = http::Request::get("/shop?sid=4f3a.C").body(())?;
/// let presented = sticky.find(request.uri(), request.headers()).ok_or("no session")?;
/// assert_eq!(presented.source(), SessionSource::Url);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SessionSource {
    /// A cookie.
    Cookie,
    /// A parameter in the path or the query of the URL.
    Url,
}

/// A session that a client presented, with its route if it has one.
///
/// # Examples
///
/// ```
/// use equipoise::session::StickySession;
///
/// let sticky = StickySession::new("sid")?;
/// let request = http::Request::get("/shop?sid=4f3a.C").body(())?;
/// let presented = sticky.find(request.uri(), request.headers());
/// assert_eq!(presented.and_then(|session| session.into_route()).as_deref(), Some("C"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PresentedSession<'r> {
    source: SessionSource,
    name: &'r str,
    route: Option<Cow<'r, str>>,
}

impl<'r> PresentedSession<'r> {
    pub(super) fn new(source: SessionSource, name: &'r str, route: Option<Cow<'r, str>>) -> Self {
        Self {
            source,
            name,
            route,
        }
    }

    /// Returns where in the request the session was found.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::{SessionSource, StickySession};
    ///
    /// let sticky = StickySession::new("sid")?;
    /// let request = http::Request::get("/").header("cookie", "sid=4f3a.C").body(())?;
    /// let presented = sticky.find(request.uri(), request.headers()).ok_or("no session")?;
    /// assert_eq!(presented.source(), SessionSource::Cookie);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn source(&self) -> SessionSource {
        self.source
    }

    /// Returns the name of the cookie or the URL parameter that matched.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::StickySession;
    ///
    /// let sticky = StickySession::new("JSESSIONID|jsessionid")?;
    /// let request = http::Request::get("/a;jsessionid=4f3a.C").body(())?;
    /// let presented = sticky.find(request.uri(), request.headers()).ok_or("no session")?;
    /// assert_eq!(presented.name(), "jsessionid");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &'r str {
        self.name
    }

    /// Returns the route of the session, if it has one.
    ///
    /// `None` means that the client presented a session, but its value has no separator or
    /// nothing after it. A route is never empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::StickySession;
    ///
    /// let sticky = StickySession::new("sid")?;
    /// let request = http::Request::get("/?sid=4f3a").body(())?;
    /// let presented = sticky.find(request.uri(), request.headers()).ok_or("no session")?;
    /// assert_eq!(presented.route(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// Returns the route, which may live as long as the request.
    ///
    /// It is borrowed unless it had to be %-decoded.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::session::StickySession;
    /// use std::borrow::Cow;
    ///
    /// let sticky = StickySession::new("sid")?;
    /// let request = http::Request::get("/a;sid=4f3a%2EC").body(())?;
    /// let presented = sticky.find(request.uri(), request.headers()).ok_or("no session")?;
    /// assert!(matches!(presented.into_route(), Some(Cow::Owned(route)) if route == "C"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_route(self) -> Option<Cow<'r, str>> {
        self.route
    }
}
