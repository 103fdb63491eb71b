//! Errors of a router's rules: [`RouterError`], and the fault of one rule, [`RuleError`].

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why a [`Router`](super::Router) could not be built: the number of the rule, and its
/// fault.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{StaticResponse, Router, Rule};
///
/// let error = Router::<()>::builder()
///     .respond(Rule::new().path("/health"), StaticResponse::text("fine\n"))
///     .respond(Rule::new().host("example.com:80"), StaticResponse::text("here\n"))
///     .build()
///     .unwrap_err();
/// assert_eq!(error.rule(), 2);
/// assert_eq!(
///     error.to_string(),
///     "rule 2: `example.com:80` is not a valid host: remove the port"
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RouterError {
    pub(super) rule: usize,
    pub(super) fault: RuleError,
}

impl RouterError {
    /// Returns the number of the rule, from 1. The fallback counts as the last.
    #[must_use]
    pub fn rule(&self) -> usize {
        self.rule
    }

    /// Returns the fault of the rule.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{StaticResponse, Router, Rule, RuleError};
    ///
    /// let rule = Rule::new().path_regex("/[0-9+");
    /// let built = Router::<()>::builder().respond(rule, StaticResponse::text("")).build();
    /// assert!(matches!(built.unwrap_err().fault(), RuleError::Regex { .. }));
    /// ```
    #[must_use]
    pub fn fault(&self) -> &RuleError {
        &self.fault
    }
}

impl fmt::Display for RouterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.rule, self.fault)
    }
}

/// The message contains the fault. The cause of the fault, such as a regular expression's
/// error, is the source.
impl Error for RouterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

/// The fault of a rule, and how to correct it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The name is not valid for a header, cookie or parameter.
    #[error(
        "`{text}` is not a valid {of} name: use at least one character, and no blanks or delimiters"
    )]
    Name {
        /// The kind of thing to be named.
        of: &'static str,
        /// The given text.
        text: String,
    },
    /// The text is not a host.
    #[error("`{text}` is not a valid host: {advice}")]
    Host {
        /// The given text.
        text: String,
        /// How to correct it.
        advice: &'static str,
    },
    /// The location of a redirect is not valid.
    #[error("`{text}` is not a valid location: {advice}")]
    Location {
        /// The given text.
        text: String,
        /// How to correct it.
        advice: &'static str,
    },
    /// A list is empty.
    #[error("an empty list of {of} matches no request: give at least one")]
    Nothing {
        /// The kind of list.
        of: &'static str,
    },
    /// The text is not a path.
    #[error("`{text}` is not a valid path: {advice}")]
    Path {
        /// The given text.
        text: String,
        /// How to correct it.
        advice: &'static str,
    },
    /// The text is not a pattern for paths.
    #[error("`{text}` is not a valid path pattern: {advice}")]
    Pattern {
        /// The given text.
        text: String,
        /// How to correct it.
        advice: &'static str,
    },
    /// The text is not a regular expression. The source names the position.
    #[error("`{text}` is not a regular expression")]
    Regex {
        /// The given text.
        text: String,
        /// The cause.
        source: regex::Error,
    },
    /// The percentage is not a number from 0 to 100.
    #[error("{percent} % is not a share of the requests: use 0 to 100")]
    Share {
        /// The given percentage.
        percent: f64,
    },
    /// The status is not valid for a response or redirect.
    #[error("the status {status} is not valid for {of}: {advice}")]
    Status {
        /// The kind of response.
        of: &'static str,
        /// The given status.
        status: StatusCode,
        /// How to correct it.
        advice: &'static str,
    },
    /// The text is not valid as the value of a header.
    #[error("{text:?} is not a valid header value: remove blanks around it and control characters")]
    Value {
        /// The given text.
        text: String,
    },
}

impl RuleError {
    /// Returns a conversion of the errors of the regular expression `text`, of characters
    /// or bytes.
    pub(super) fn regex(text: &str) -> impl FnOnce(regex::Error) -> Self + '_ {
        |source| Self::Regex {
            text: text.to_owned(),
            source,
        }
    }
}
