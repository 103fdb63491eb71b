//! An error, warning or note about a configuration, with its position and a hint:
//! [`Diagnostic`].

use std::fmt;
use std::sync::Arc;

use super::secret;

/// An error, warning or note about a configuration.
///
/// Neither the message nor the line shows secrets. Asterisks replace passwords in URLs, the
/// values of parameters, headers and variables whose names suggest a secret (`secret`,
/// `Authorization`, `DB_PASSWORD`), and credentials such as `Basic ..`.
///
/// # Examples
///
/// ```
/// let (_, diagnostics) = equipoise::config::parse("ProxyPas /app http://10.0.0.1/\n");
/// assert!(diagnostics[0].is_error());
/// assert_eq!(
///     diagnostics[0].to_string(),
///     "\
/// error: unknown directive `ProxyPas`
///  --> configuration:1:1
///   |
/// 1 | ProxyPas /app http://10.0.0.1/
///   | ^^^^^^^^
///   = help: did you mean `ProxyPass`?
/// "
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// The position in a text, if there is one.
    pub place: Option<Position>,
    /// How to fix it.
    pub hint: Option<String>,
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// The directive has no effect in this crate, and is not needed.
    Note,
    /// The meaning differs from httpd.
    Warning,
    /// The directive cannot be applied; the configuration is not built.
    Error,
}

/// A position in the text of a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// The name of the file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, in characters, from 1.
    pub column: u32,
    /// The length in characters, at least 1.
    pub length: u32,
    /// The line itself, with asterisks in place of secrets.
    pub text: Arc<str>,
}

impl Diagnostic {
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    pub(super) fn note(message: impl Into<String>) -> Self {
        Self::new(Severity::Note, message)
    }

    fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            place: None,
            hint: None,
        }
    }

    #[must_use]
    pub(super) fn at(mut self, place: Position) -> Self {
        self.place = Some(place);
        self
    }

    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Masks these secrets, and everything that looks like a secret.
    pub(super) fn without<'s>(mut self, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets: Vec<&str> = secrets.into_iter().collect();
        self.message = secret::without(&self.message, secrets.iter().copied());
        let hint = self.hint.as_deref();
        self.hint = hint.map(|hint| secret::without(hint, secrets.iter().copied()));
        self
    }

    /// Returns whether the configuration cannot be built because of this diagnostic.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Note => "note",
            Self::Warning => "warning",
        })
    }
}

impl Position {
    /// Returns the visible part of the line, the offset of the marked text in it, and the
    /// length of the marked text. A line can be of any length, and a terminal is narrow.
    fn window(&self) -> (String, usize, usize) {
        const WIDTH: usize = 160;
        let at = usize::try_from(self.column.saturating_sub(1)).unwrap_or(0);
        let begin = if at < WIDTH { 0 } else { at - WIDTH / 4 };
        // Control characters are replaced, because a terminal would act on them.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let mut rest = self.text.chars().skip(begin);
        let text: String = rest.by_ref().take(WIDTH).map(shown).collect();
        let mut text = text.trim_end().to_owned();
        let left = text.chars().count().saturating_sub(at - begin);
        if rest.any(|c| !c.is_whitespace()) {
            text.push_str(" ..");
        }
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        (text, at - begin, length.min(left).max(1))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.severity, self.message)?;
        let mut margin = 1;
        if let Some(place) = &self.place {
            margin = place.line.to_string().len();
            let (line, column) = (place.line, place.column);
            writeln!(f, "{:margin$}--> {}:{line}:{column}", "", place.file)?;
            writeln!(f, "{:margin$} |", "")?;
            let (text, before, carets) = place.window();
            writeln!(f, "{line} | {text}")?;
            let (before, carets) = (" ".repeat(before), "^".repeat(carets));
            writeln!(f, "{:margin$} | {before}{carets}", "")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "{:margin$} = help: {hint}", "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn of_a_long_line_a_part_is_shown() {
        let blanks = " ".repeat(70_000);
        for text in [
            format!("{}\n", "X".repeat(70_000)),
            format!("ProxyPass / http://h/{blanks}foo bar\n"),
            format!("ProxyPass / http://h/{blanks}foo{blanks}bar\n"),
        ] {
            let (_, diagnostics) = parse(&text);
            let said = diagnostics[0].to_string();
            // The message may name a word in full.
            let picture: Vec<_> = said.lines().skip(1).collect();
            assert!(picture.iter().all(|line| line.len() < 300), "{picture:?}");
            assert!(said.contains('^'), "{picture:?}");
        }
    }
}
