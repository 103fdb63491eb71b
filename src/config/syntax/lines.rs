//! Logical lines: physical lines, joined where a line ends with a backslash.
//!
//! Not here: the content of a line (`fill`, `words`, `tree`).

use std::ops::Range;

use super::Span;

/// A logical line. Positions in it are counted in characters, from 0.
#[derive(Debug)]
pub(super) struct LogicalLine {
    pub(super) chars: Vec<char>,
    source: u32,
    /// The length in characters before variables were expanded.
    written: usize,
    /// The position and line number of each physical line, before variables were expanded.
    parts: Vec<(usize, u32)>,
    fills: Vec<Fill>,
}

/// An expanded variable.
#[derive(Debug)]
pub(super) struct Fill {
    /// The range of `${NAME}` in the original line.
    pub(super) from: Range<usize>,
    /// The range of the value in the expanded line.
    pub(super) to: Range<usize>,
}

impl LogicalLine {
    /// Returns the span in the source. If it crosses physical lines, only the part in the
    /// first line is returned.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let begin = self.origin(range.start).start;
        let end = match range.is_empty() {
            true => begin,
            false => self.origin(range.end - 1).end,
        };
        let next = self.parts.partition_point(|&(part, _)| part <= begin);
        let (part, line) = self.parts[next.saturating_sub(1)];
        let part_end = match self.parts.get(next) {
            Some(&(end, _)) => end,
            None => self.written,
        };
        let end = end.min(part_end).max(begin);
        Span {
            source: self.source,
            line,
            column: number(begin - part).saturating_add(1),
            length: number(end - begin),
        }
    }

    /// Returns the range of the original line that this character came from.
    fn origin(&self, at: usize) -> Range<usize> {
        let before = self.fills.partition_point(|fill| fill.to.start <= at);
        match before.checked_sub(1).map(|last| &self.fills[last]) {
            None => at..at + 1,
            Some(fill) if fill.to.contains(&at) => fill.from.clone(),
            Some(fill) => {
                let at = fill.from.end + (at - fill.to.end);
                at..at + 1
            }
        }
    }

    /// Replaces the characters after variables were expanded; call it once.
    pub(super) fn fill(&mut self, chars: Vec<char>, fills: Vec<Fill>) {
        self.chars = chars;
        self.fills = fills;
    }

    /// Returns the range without the blanks around it.
    pub(super) fn trimmed(&self) -> Range<usize> {
        let solid = |c: &char| !is_blank(*c);
        let Some(begin) = self.chars.iter().position(solid) else {
            return 0..0;
        };
        let end = self.chars.iter().rposition(solid);
        begin..end.map_or(begin, |last| last + 1)
    }

    pub(super) fn text(&self, range: Range<usize>) -> String {
        self.chars[range].iter().collect()
    }
}

/// An iterator over the logical lines of a text.
#[derive(Debug)]
pub(super) struct LogicalLines<'a> {
    rest: Option<&'a str>,
    source: u32,
    line: u32,
}

impl<'a> LogicalLines<'a> {
    pub(super) fn new(source: u32, text: &'a str) -> Self {
        Self {
            rest: Some(text),
            source,
            line: 0,
        }
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        self.rest?;
        let mut line = LogicalLine {
            chars: Vec::new(),
            source: self.source,
            written: 0,
            parts: Vec::new(),
            fills: Vec::new(),
        };
        while let Some(rest) = self.rest {
            self.line = self.line.saturating_add(1);
            line.parts.push((line.chars.len(), self.line));
            let Some((physical, rest)) = rest.split_once('\n') else {
                // A backslash at the end of the text is literal.
                line.chars.extend(rest.chars());
                self.rest = None;
                break;
            };
            self.rest = Some(rest);
            let physical = physical.strip_suffix('\r').unwrap_or(physical);
            let Some(joined) = physical.strip_suffix('\\') else {
                line.chars.extend(physical.chars());
                break;
            };
            line.chars.extend(joined.chars());
        }
        line.written = line.chars.len();
        Some(line)
    }
}

/// Returns whether the character separates words: `apr_isspace`.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c')
}

/// Converts to the type of a span; larger numbers are clamped, since no position in such a
/// text is useful.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        LogicalLines::new(0, text)
            .map(|line| line.chars.iter().collect())
            .collect()
    }

    #[test]
    fn a_backslash_before_the_end_joins_lines() {
        assert_eq!(lines("a \\\n b\nc"), ["a  b", "c"]);
        assert_eq!(lines("a\\\r\nb\r\n"), ["ab", ""]);
        assert_eq!(lines("# a\\\nb"), ["# ab"]);
    }

    #[test]
    fn a_backslash_before_a_blank_or_the_end_of_the_text_joins_nothing() {
        assert_eq!(lines("a\\ \nb"), ["a\\ ", "b"]);
        assert_eq!(lines("a\\"), ["a\\"]);
    }

    #[test]
    fn a_span_counts_in_the_physical_line() {
        let line = LogicalLines::new(3, "ab \\\n\tcd\\\nef").next();
        let line = line.expect("a line");
        let span = line.span(4..8);
        assert_eq!((span.source, span.line, span.column), (3, 2, 2));
        assert_eq!(span.length, 2);
        let span = line.span(6..8);
        assert_eq!((span.line, span.column, span.length), (3, 1, 2));
    }
}
