//! The error of parsing or evaluating an expression, with its position:
//! [`ExpressionError`].

use std::fmt;

/// Why an expression cannot be parsed or evaluated, and where in its text.
///
/// # Examples
///
/// ```
/// use equipoise::config::Expression;
///
/// let error = Expression::parse("%{REQUEST_STATUS} =~ /[/").unwrap_err();
/// assert_eq!((error.line(), error.column()), (1, 22));
/// assert!(error.to_string().starts_with("1:22: the regular expression cannot be used: "));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExpressionError {
    at: TextPosition,
    message: String,
}

/// A position in the text of an expression; line and column count from 1, and columns are
/// characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TextPosition {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl TextPosition {
    /// Returns the position of a byte of the text.
    pub(super) fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count();
        let in_line = before.rsplit('\n').next().unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            line: number(line.saturating_add(1)),
            column: number(in_line.chars().count().saturating_add(1)),
        }
    }
}

impl ExpressionError {
    pub(super) fn new(at: TextPosition, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    /// Returns the line, from 1.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.at.line
    }

    /// Returns the column in the line, in characters, from 1.
    #[must_use]
    pub const fn column(&self) -> u32 {
        self.at.column
    }

    /// Returns the message, without the position.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = (self.line(), self.column());
        write!(f, "{line}:{column}: {}", self.message)
    }
}

impl std::error::Error for ExpressionError {}
