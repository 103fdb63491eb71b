//! Why a table of rules cannot be used: [`RouterError`], and what is wrong with one of
//! its rules, [`RuleError`].

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why there is no [`Router`](super::Router): which rule, and what is wrong with it.
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
///     "rule 2: no host is written `example.com:80`: leave the port away"
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RouterError {
    pub(super) rule: usize,
    pub(super) fault: RuleError,
}

impl RouterError {
    /// Returns the number of the rule, from 1. What is done otherwise counts as the last.
    #[must_use]
    pub fn rule(&self) -> usize {
        self.rule
    }

    /// Returns what is wrong with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{StaticResponse, Router, Rule, RuleError};
    ///
    /// let rule = Rule::new().path_regex("/[0-9+");
    /// let built = Router::<()>::builder().answer(rule, StaticResponse::text("")).build();
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

/// The fault is in the text; what is behind it, such as a regular expression's error, is
/// the source.
impl Error for RouterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

/// What is wrong with a rule, and what to write instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No header, cookie or parameter is called that.
    #[error("no {of} is called `{text}`")]
    Name {
        /// What should be called that.
        of: &'static str,
        /// What was written.
        text: String,
    },
    /// No request has such a host.
    #[error("no host is written `{text}`: {advice}")]
    Host {
        /// What was written.
        text: String,
        /// What to write instead.
        advice: &'static str,
    },
    /// A redirect leads nowhere.
    #[error("no location is written `{text}`: {advice}")]
    Location {
        /// What was written.
        text: String,
        /// What to write instead.
        advice: &'static str,
    },
    /// A list that nothing is in.
    #[error("an empty list of {of} matches nothing: name at least one")]
    Nothing {
        /// What the list should be of.
        of: &'static str,
    },
    /// No request has such a path.
    #[error("no path is written `{text}`: {advice}")]
    Path {
        /// What was written.
        text: String,
        /// What to write instead.
        advice: &'static str,
    },
    /// Not a pattern for paths.
    #[error("no pattern is written `{text}`: {advice}")]
    Pattern {
        /// What was written.
        text: String,
        /// What to write instead.
        advice: &'static str,
    },
    /// Not a regular expression; the source says where.
    #[error("`{text}` is no regular expression")]
    Regex {
        /// What was written.
        text: String,
        /// Where it ends to be one.
        source: regex::Error,
    },
    /// More than everything, less than nothing, or no number.
    #[error("no share of the requests is {percent} %: say 0 to 100")]
    Share {
        /// What was asked for.
        percent: f64,
    },
    /// An answer or redirect with a status that is not one for it.
    #[error("the status {status} is none for {of}: {advice}")]
    Status {
        /// What should have the status.
        of: &'static str,
        /// What was asked for.
        status: StatusCode,
        /// What to take instead.
        advice: &'static str,
    },
    /// No header has such a value.
    #[error("no header has the value {text:?}: take out blanks around it and control characters")]
    Value {
        /// What was written.
        text: String,
    },
}

impl RuleError {
    /// What becomes of a fault in the regular expression `text`, of characters or bytes.
    pub(super) fn regex(text: &str) -> impl FnOnce(regex::Error) -> Self + '_ {
        |source| Self::Regex {
            text: text.to_owned(),
            source,
        }
    }
}
