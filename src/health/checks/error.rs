//! Why a probe failed: [`ProbeError`].
//!
//! Not here: what follows from a failure (`tally`, `driver`).

use std::error::Error;
use std::fmt;
use std::io;

use crate::member::Cause;
use crate::net::ConnectError;

/// Why a member is unhealthy, or why it could not be checked.
///
/// # Examples
///
/// ```
/// use equipoise::health::ProbeError;
///
/// let error = ProbeError::from("the queue is full");
/// assert_eq!(error.to_string(), "the queue is full");
/// assert!(!error.is_inconclusive());
/// ```
#[derive(Debug)]
pub struct ProbeError {
    words: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    inconclusive: bool,
}

impl ProbeError {
    /// Creates an error with another error as its source.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::ProbeError;
    /// use std::io;
    ///
    /// let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    /// let error = ProbeError::caused_by("no greeting", reset);
    /// assert_eq!(error.cause().to_string(), "no greeting: connection reset");
    /// ```
    #[must_use]
    pub fn caused_by(
        words: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            words: words.into(),
            source: Some(source.into()),
            inconclusive: false,
        }
    }

    /// Marks the error as a fault of this machine, such as running out of file descriptors:
    /// the check counts neither as passed nor as failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::ProbeError;
    ///
    /// assert!(ProbeError::from("no descriptor is left").inconclusive().is_inconclusive());
    /// ```
    #[must_use]
    pub fn inconclusive(mut self) -> Self {
        self.inconclusive = true;
        self
    }

    /// Returns whether the check counts neither as passed nor as failed.
    #[must_use]
    pub const fn is_inconclusive(&self) -> bool {
        self.inconclusive
    }

    /// Returns the cause for the member's health: the error and its sources, in one line of
    /// at most about 200 characters, without control characters.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let mut words = self.words.clone();
        let mut source = self.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !words.ends_with(&text) {
                words.push_str(": ");
                words.push_str(&text);
            }
            source = error.source();
        }
        one_line(&words).into()
    }

    /// Returns the same error with a description of the operation in front.
    pub(super) fn during(mut self, what: &str) -> Self {
        self.words = format!("{what}: {}", self.words);
        self
    }
}

/// Returns one line that fits into a log and a table.
fn one_line(words: &str) -> String {
    const MAX_LENGTH: usize = 200;
    let plain = |it: char| if it.is_control() { ' ' } else { it };
    let mut line: String = words.chars().take(MAX_LENGTH).map(plain).collect();
    if words.chars().nth(MAX_LENGTH).is_some() {
        line.push_str("...");
    }
    line
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for ProbeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|it| it as _)
    }
}

impl From<&str> for ProbeError {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<String> for ProbeError {
    fn from(words: String) -> Self {
        Self {
            words,
            source: None,
            inconclusive: false,
        }
    }
}

impl From<io::Error> for ProbeError {
    fn from(source: io::Error) -> Self {
        Self::caused_by("the exchange failed", source)
    }
}

impl From<ConnectError> for ProbeError {
    fn from(source: ConnectError) -> Self {
        let inconclusive = source.is_exhaustion();
        Self {
            inconclusive,
            ..Self::caused_by("no connection", source)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProbeError;
    use std::io;

    #[test]
    fn a_cause_is_one_line_of_bounded_length() {
        let text = ProbeError::from("a\r\nb\u{1b}c").cause().to_string();
        assert_eq!(text, "a  b c");
        let long = ProbeError::from("x".repeat(10_000)).cause().to_string();
        assert_eq!(long.len(), 203);
        // A source that the text contains already is not repeated.
        let inner = io::Error::other("it is late");
        let outer = ProbeError::caused_by("no response", io::Error::other(inner));
        assert_eq!(
            outer.during("PING").cause().to_string(),
            "PING: no response: it is late"
        );
    }
}
