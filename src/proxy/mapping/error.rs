//! Why there is no such rule ([`MapRuleError`]), and why a request that a rule matches
//! has no path at the member ([`MapError`]).

use http::StatusCode;

/// Why a rule of a [`PathMap`](super::PathMap), a [`ReverseMap`](super::ReverseMap) or a
/// [`CookieMap`](super::CookieMap) cannot be.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::PathMap;
///
/// let error = PathMap::new().with_prefix("app", "/").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\"app\" is not a plain path: begin with `/`, and leave out `?`, `#`, blanks, \
///      broken escapes and dot segments"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MapRuleError {
    /// A text that cannot be the attribute of a cookie.
    #[error("{text:?} cannot be part of a cookie: use visible ASCII without `;`")]
    Cookie {
        /// The text.
        text: String,
    },
    /// A target names a group that its regular expression does not have.
    #[error("the target {target:?} names group {group}, which its expression does not have")]
    Group {
        /// The target.
        target: String,
        /// The group.
        group: usize,
    },
    /// A text that is no path, or one that a request could not have.
    #[error(
        "{text:?} is not a plain path: begin with `/`, and leave out `?`, `#`, blanks, broken \
         escapes and dot segments"
    )]
    Path {
        /// The text.
        text: String,
    },
    /// A text that is no regular expression.
    #[error("{pattern:?} is not a regular expression")]
    Pattern {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        source: regex::Error,
    },
    /// A text that is not the URL of a member.
    #[error("{text:?} is not the URL of a member: use `http://host/path`, or a path")]
    Url {
        /// The text.
        text: String,
    },
}

/// Why a request that a rule matches has no path at the member. It must be refused: under
/// the path that the client sent it would reach what it was not meant to.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{MapError, PathMap};
/// use http::StatusCode;
///
/// let map = PathMap::new().with_prefix("/app", "/shop")?;
/// let error = map.map(&"/app/../admin".parse()?).unwrap_err();
/// assert_eq!(error, MapError::DotSegment);
/// assert_eq!(error.status(), StatusCode::BAD_REQUEST);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A segment `.` or `..`, which would lead out of where the rule points to.
    #[error("the path of the request has a segment `.` or `..`")]
    DotSegment,
    /// An escape that is broken (`%zz`), or a path at the member that would not be one.
    #[error("the path of the request is not valid")]
    Invalid,
    /// The path at the member, with the query, has more than 65 534 bytes.
    #[error("the path at the member is too long")]
    TooLong,
}

impl MapError {
    /// Returns with what status the request is answered.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::DotSegment | Self::Invalid => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::URI_TOO_LONG,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MapError, MapRuleError};

    #[test]
    fn errors_say_what_is_wrong() {
        let text = || "x".to_owned();
        let rules = [
            (
                MapRuleError::Cookie { text: text() },
                "\"x\" cannot be part of a cookie: use visible ASCII without `;`",
            ),
            (
                MapRuleError::Group {
                    target: text(),
                    group: 2,
                },
                "the target \"x\" names group 2, which its expression does not have",
            ),
            (
                MapRuleError::Url { text: text() },
                "\"x\" is not the URL of a member: use `http://host/path`, or a path",
            ),
            (
                MapRuleError::Pattern {
                    pattern: text(),
                    source: regex::Error::Syntax(text()),
                },
                "\"x\" is not a regular expression",
            ),
        ];
        for (error, message) in rules {
            assert_eq!(error.to_string(), message);
        }
        let requests = [
            (
                MapError::DotSegment,
                400,
                "the path of the request has a segment `.` or `..`",
            ),
            (
                MapError::Invalid,
                400,
                "the path of the request is not valid",
            ),
            (MapError::TooLong, 414, "the path at the member is too long"),
        ];
        for (error, status, message) in requests {
            assert_eq!(error.status(), status);
            assert_eq!(error.to_string(), message);
        }
    }
}
