//! What is wrong with a configuration, where, and what to do about it: [`Diagnostic`].

use std::fmt;
use std::sync::Arc;

use super::secret;

/// One thing to say about a configuration.
///
/// It shows no secrets, neither in the message nor in the line: stars stand for passwords
/// in URLs, for the values of parameters, headers and variables whose names sound secret
/// (`secret`, `Authorization`, `DB_PASSWORD`), and for credentials such as `Basic ..`.
///
/// # Examples
///
/// ```
/// let (_, complaints) = equipoise::config::parse("ProxyPas /app http://10.0.0.1/\n");
/// assert!(complaints[0].is_error());
/// assert_eq!(
///     complaints[0].to_string(),
///     "\
/// error: there is no directive `ProxyPas`
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
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// Where, if it is somewhere in a text.
    pub place: Option<Position>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// It only concerns httpd itself, and is not needed here.
    Note,
    /// It is read in another way than httpd would.
    Warning,
    /// It cannot be carried out; nothing is.
    Error,
}

/// A place in the text of a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// The name of the file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, in characters, from 1.
    pub column: u32,
    /// How many characters it is about, 1 at least.
    pub length: u32,
    /// The line itself, with stars in place of secrets.
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

    /// Takes these secrets, and all that looks like one, out of what is said.
    pub(super) fn without<'s>(mut self, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets: Vec<&str> = secrets.into_iter().collect();
        self.message = secret::without(&self.message, secrets.iter().copied());
        let hint = self.hint.as_deref();
        self.hint = hint.map(|hint| secret::without(hint, secrets.iter().copied()));
        self
    }

    /// Returns whether nothing can be built as long as it stands.
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
    /// What is shown of the line, how much stands before what it is about, and how long
    /// that is there: a terminal has no room for more, and a line can be of any length.
    fn window(&self) -> (String, usize, usize) {
        const WIDTH: usize = 160;
        let at = usize::try_from(self.column.saturating_sub(1)).unwrap_or(0);
        let begin = if at < WIDTH { 0 } else { at - WIDTH / 4 };
        // What a terminal would act on is not shown to it.
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
            let (_, complaints) = parse(&text);
            let said = complaints[0].to_string();
            // The message may name a word whole.
            let picture: Vec<_> = said.lines().skip(1).collect();
            assert!(picture.iter().all(|line| line.len() < 300), "{picture:?}");
            assert!(said.contains('^'), "{picture:?}");
        }
    }
}
