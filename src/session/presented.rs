//! What a client presented as its session.
//!
//! Not here: how it was found. The session's own identifier is a secret of the
//! client and is not kept, so that printing this tells nobody more than a route.

use std::borrow::Cow;

/// Tells where in the request a session stood.
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

/// A session that a client presented, with the route it asks for if it has one.
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

    /// Tells where the session stood.
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

    /// Says which route the session asks for.
    ///
    /// `None` is a client that has a session, yet none that any member could own:
    /// its value has no separator, or nothing behind it. A route is never empty.
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

    /// Takes the route out, to keep it for as long as the request itself lives.
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
