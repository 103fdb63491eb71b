//! Checks whether a session's cookie can carry a member's route: [`CookieRouteError`].
//!
//! Not here: the cookie itself, which `service` sets.

use super::StickySession;

/// The maximum size of a cookie in browsers: its name and value, in bytes.
const MOST: usize = 4096;

/// Why a session's cookie cannot carry a member's route.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CookieRouteError {
    /// The route, or the separator before it, contains a character that is not allowed in a
    /// cookie.
    #[error("{0:?} cannot be in a cookie: use visible ASCII without quotes, `,`, `;` and `\\`")]
    Character(char),
    /// The member has no route.
    #[error("the member has no route: give it one")]
    NoRoute,
    /// The cookie would have more than 4096 bytes, which is what browsers keep.
    #[error("browsers do not keep a cookie of {0} bytes: use a shorter route")]
    TooLong(usize),
}

impl StickySession {
    /// Checks whether a cookie of this session can carry the route of a member, so that the
    /// same route is read from it again.
    ///
    /// # Errors
    ///
    /// If there is no route, if it contains a character that is not allowed in a cookie, or
    /// if the cookie would be longer than browsers keep.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::StickySession;
    /// use equipoise::session::CookieRouteError;
    ///
    /// let sticky = StickySession::new("ROUTE")?;
    /// assert!(sticky.check_cookie_route(Some("a.1")).is_ok());
    /// assert_eq!(sticky.check_cookie_route(None), Err(CookieRouteError::NoRoute));
    /// assert_eq!(
    ///     sticky.check_cookie_route(Some("a;b")),
    ///     Err(CookieRouteError::Character(';'))
    /// );
    /// # Ok::<(), equipoise::session::ParseStickySessionError>(())
    /// ```
    pub fn check_cookie_route(&self, route: Option<&str>) -> Result<(), CookieRouteError> {
        let route = route.filter(|route| !route.is_empty());
        let route = route.ok_or(CookieRouteError::NoRoute)?;
        let mut value = self.separator().into_iter().chain(route.chars());
        if let Some(character) = value.find(|&c| !is_of_cookie(c)) {
            return Err(CookieRouteError::Character(character));
        }
        let separator = usize::from(self.separator().is_some());
        let length = self.cookie_name().len() + 1 + separator + route.len();
        match length > MOST {
            true => Err(CookieRouteError::TooLong(length)),
            false => Ok(()),
        }
    }
}

/// RFC 6265, section 4.1.1.
fn is_of_cookie(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\')
}

#[cfg(test)]
mod tests {
    use super::CookieRouteError as Error;
    use crate::StickySession;

    #[test]
    fn what_passes_the_check_is_read_again_as_the_same() {
        let dot = StickySession::new("S").unwrap();
        let slash = dot.clone().with_separator('/');
        let whole = dot.clone().without_separator();
        for session in [dot, slash, whole] {
            for route in ["a", "a.b", ".", "/a/b", "a=b", &"r".repeat(4000)] {
                assert_eq!(session.check_cookie_route(Some(route)), Ok(()));
                let separator = session.separator().map(String::from).unwrap_or_default();
                let value = separator + route;
                assert_eq!(session.route_of(&value), Some(route));
            }
        }
    }

    #[test]
    fn what_cannot_be_in_a_cookie_is_told() {
        let session = StickySession::new("S").unwrap();
        for (route, character) in [
            ("a b", ' '),
            ("a,b", ','),
            ("é", 'é'),
            ("a\"", '"'),
            ("\t", '\t'),
        ] {
            let told = session.check_cookie_route(Some(route));
            assert_eq!(told, Err(Error::Character(character)));
        }
        let told = session.check_cookie_route(Some(&"r".repeat(5000)));
        assert_eq!(told, Err(Error::TooLong(5003)));
        assert_eq!(session.check_cookie_route(Some("")), Err(Error::NoRoute));
        let semicolon = session.with_separator(';');
        assert_eq!(
            semicolon.check_cookie_route(Some("a")),
            Err(Error::Character(';'))
        );
    }

    #[test]
    fn an_error_says_what_to_do() {
        for (error, text) in [
            (Error::NoRoute, "the member has no route: give it one"),
            (
                Error::TooLong(5000),
                "browsers do not keep a cookie of 5000 bytes: use a shorter route",
            ),
            (
                Error::Character(';'),
                "';' cannot be in a cookie: use visible ASCII without quotes, `,`, `;` and `\\`",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
