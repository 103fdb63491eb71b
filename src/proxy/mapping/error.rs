//! Errors of rules ([`MapRuleError`]), and of requests whose path cannot be mapped
//! ([`MapError`]).

use http::StatusCode;

/// Why a rule of a [`PathMap`](super::PathMap), a [`ReverseMap`](super::ReverseMap) or a
/// [`CookieMap`](super::CookieMap) is not valid.
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
    /// The text is not valid in the attribute of a cookie.
    #[error("{text:?} cannot be part of a cookie: use visible ASCII without `;`")]
    Cookie {
        /// The text.
        text: String,
    },
    /// The target refers to a group that the regular expression does not have.
    #[error("the target {target:?} names group {group}, which its expression does not have")]
    Group {
        /// The target.
        target: String,
        /// The group.
        group: usize,
    },
    /// The text is not a path, or not one that a request can have.
    #[error(
        "{text:?} is not a plain path: begin with `/`, and leave out `?`, `#`, blanks, broken \
         escapes and dot segments"
    )]
    Path {
        /// The text.
        text: String,
    },
    /// The text is not a regular expression.
    #[error("{pattern:?} is not a regular expression")]
    Pattern {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        source: regex::Error,
    },
    /// The text is not the URL of a member.
    #[error("{text:?} is not the URL of a member: use `http://host/path`, or a path")]
    Url {
        /// The text.
        text: String,
    },
}

/// Why a request that a rule matches has no path at the member.
///
/// Reject the request: under the client's path it could reach something that it must not
/// reach.
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
    /// The path has a segment `.` or `..`, which would lead out of the rule's target.
    #[error("the path of the request has a segment `.` or `..`")]
    DotSegment,
    /// The path has a broken escape (`%zz`), or its mapped path would not be valid.
    #[error("the path of the request is not valid")]
    Invalid,
    /// The path at the member, with the query, has more than 65 534 bytes.
    #[error("the path at the member is too long")]
    TooLong,
}

impl MapError {
    /// Returns the status to respond with.
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
    fn errors_name_the_fault() {
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
