//! The texts that were read, and the conversion of spans to positions: [`Sources`].
//!
//! Not here: finding and opening files (`include`).

use std::path::PathBuf;
use std::sync::Arc;

use super::lines::number;
use super::node::Span;
use crate::config::diagnostic::Position;
use crate::config::secret;

/// The texts that were read.
#[derive(Debug, Default)]
pub(in crate::config) struct Sources {
    /// The directory for relative file names.
    pub(in crate::config) base: Option<PathBuf>,
    /// The values of variables that must not be shown.
    pub(in crate::config) secrets: Vec<String>,
    files: Vec<TextSource>,
}

#[derive(Debug)]
struct TextSource {
    name: Arc<str>,
    text: Arc<str>,
    /// The offset of each line.
    lines: Vec<usize>,
}

impl Sources {
    /// Returns the position of a span, as a diagnostic shows it.
    pub(in crate::config) fn place(&self, span: Span) -> Position {
        let source = &self.files[span.source as usize];
        let line = span.line as usize;
        let begin = source.lines[line - 1];
        let end = source
            .lines
            .get(line)
            .map_or(source.text.len(), |next| next - 1);
        let text = &source.text[begin..end];
        Position {
            file: source.name.clone(),
            line: span.line,
            column: span.column,
            length: span.length.max(1),
            text: self.shown(span, text.strip_suffix('\r').unwrap_or(text)),
        }
    }

    /// Returns a physical line with its secrets masked. The lines before and after it that
    /// belong to the same logical line may show which words are secrets.
    fn shown(&self, span: Span, text: &str) -> Arc<str> {
        fn joined(line: &str) -> Option<&str> {
            let line = line.strip_suffix('\n').unwrap_or(line);
            line.strip_suffix('\r').unwrap_or(line).strip_suffix('\\')
        }
        let source = &self.files[span.source as usize];
        let (before, rest) = source.text.split_at(source.lines[span.line as usize - 1]);
        let mut parts: Vec<&str> = before
            .split_inclusive('\n')
            .rev()
            .map_while(joined)
            .collect();
        parts.reverse();
        let announced: usize = parts.iter().map(|part| part.chars().count()).sum();
        let own = joined(text).unwrap_or(text);
        // A backslash at the end of the text is literal.
        let mut following = rest
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let mut is_joined = following.next().and_then(joined).is_some();
        let (own, sign) = if is_joined { (own, "\\") } else { (text, "") };
        parts.push(own);
        let mut following = rest.split_inclusive('\n').skip(1);
        while let Some(line) = following.next().filter(|_| is_joined) {
            let part = joined(line).filter(|_| line.ends_with('\n'));
            is_joined = part.is_some();
            parts.push(part.unwrap_or(line.trim_end_matches(['\n', '\r'])));
        }
        let whole = secret::masked_line(&parts.concat()).into_owned();
        let shown = whole.chars().skip(announced).take(own.chars().count());
        shown.chain(sign.chars()).collect::<String>().into()
    }

    /// Returns a sort key for a position in the order of reading; diagnostics without a
    /// position come last.
    pub(in crate::config) fn rank(&self, place: Option<&Position>) -> (usize, u32, u32) {
        let Some(place) = place else {
            return (usize::MAX, 0, 0);
        };
        let file = self.files.iter().position(|it| it.name == place.file);
        (file.unwrap_or(usize::MAX), place.line, place.column)
    }

    /// Adds a text, and returns its number.
    pub(super) fn add(&mut self, name: &str, text: &str) -> (u32, Arc<str>) {
        let text: Arc<str> = text.into();
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let source = TextSource {
            name: name.into(),
            text: text.clone(),
            lines: std::iter::once(0).chain(ends).collect(),
        };
        self.files.push(source);
        (number(self.files.len() - 1), text)
    }
}
