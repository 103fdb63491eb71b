//! Why a text does not name a sticky session.
//!
//! Not here: errors of requests. A request never causes an error; at worst it presents no
//! session.

/// Why a text does not name the cookie and the URL parameter of a session.
///
/// # Examples
///
/// ```
/// use equipoise::session::{ParseStickySessionError, StickySession};
///
/// let error = StickySession::new("JSESSIONID | jsessionid");
/// assert_eq!(error, Err(ParseStickySessionError::UnmatchableCharacter(' ')));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseStickySessionError {
    /// There is nothing before the first `|`.
    #[error("no cookie name before the `|`: write `cookie|parameter`, or one name for both")]
    NoCookieName,
    /// The text is empty.
    #[error("no session name: write the name of the cookie, or `cookie|parameter`")]
    NoName,
    /// There is nothing after the first `|`.
    #[error("no URL parameter name after the `|`: write `cookie|parameter`, or drop the `|`")]
    NoParameterName,
    /// A name contains a character with which no request can match it.
    #[error(
        "session name contains {0:?}: remove it (blanks, control characters, `=`, `;` and `,` are not allowed)"
    )]
    UnmatchableCharacter(char),
}

#[cfg(test)]
mod tests {
    use super::ParseStickySessionError as Error;

    #[test]
    fn an_error_says_what_to_write_instead() {
        assert_eq!(
            Error::NoCookieName.to_string(),
            "no cookie name before the `|`: write `cookie|parameter`, or one name for both"
        );
        assert_eq!(
            Error::NoName.to_string(),
            "no session name: write the name of the cookie, or `cookie|parameter`"
        );
        assert_eq!(
            Error::NoParameterName.to_string(),
            "no URL parameter name after the `|`: write `cookie|parameter`, or drop the `|`"
        );
        assert_eq!(
            Error::UnmatchableCharacter('\t').to_string(),
            "session name contains '\\t': remove it \
             (blanks, control characters, `=`, `;` and `,` are not allowed)"
        );
    }
}
