//! Splits a line into words: blanks, quotes, backslashes.
//!
//! The rules are those of httpd's `ap_getword_conf` and `ap_getword_conf2`, except that a
//! quote must be closed.

use std::ops::Range;

use super::lines::{LogicalLine, is_blank};
use super::state::ParserState;
use super::{ConfigWord, Diagnostic};

/// Returns the words in a range of a line. Returns `None`, after a diagnostic, if they
/// cannot be parsed. With `braces`, text between `{` and `}` is one word.
pub(super) fn words(
    state: &mut ParserState<'_>,
    line: &LogicalLine,
    stretch: Range<usize>,
    braces: bool,
) -> Option<Vec<ConfigWord>> {
    let mut words = Vec::new();
    let mut at = stretch.start;
    while let Some((word, rest)) = next(state, line, at..stretch.end, braces)? {
        words.push(word);
        at = rest;
    }
    Some(words)
}

/// Returns the next word and the position after it; or that there is no more word, or an
/// error.
fn next(
    state: &mut ParserState<'_>,
    line: &LogicalLine,
    stretch: Range<usize>,
    braces: bool,
) -> Option<Option<(ConfigWord, usize)>> {
    let chars = &line.chars[..stretch.end];
    let Some(begin) = (stretch.start..stretch.end).find(|&at| !is_blank(chars[at])) else {
        return Some(None);
    };
    let (text, end) = match chars[begin] {
        quote @ ('"' | '\'') => {
            let Some(end) = quote_end(chars, begin + 1, quote) else {
                let span = line.span(begin..stretch.end);
                let diagnostic = Diagnostic::error(format!("the quote `{quote}` is not closed"));
                let hint = format!("write `{quote}` at the end of the word");
                state.report(span, diagnostic.with_hint(hint));
                return None;
            };
            (unescaped(chars, begin + 1..end, Some(quote)), end + 1)
        }
        '{' if braces => {
            let Some(end) = brace_end(chars, begin + 1) else {
                let span = line.span(begin..stretch.end);
                let diagnostic = Diagnostic::error("the brace `{` is not closed");
                state.report(
                    span,
                    diagnostic.with_hint("write `}` at the end of the word"),
                );
                return None;
            };
            (unescaped(chars, begin + 1..end, None), end + 1)
        }
        _ => {
            let end = (begin..stretch.end).find(|&at| is_blank(chars[at]));
            let end = end.unwrap_or(stretch.end);
            (unescaped(chars, begin..end, None), end)
        }
    };
    let span = line.span(begin..end);
    Some(Some((ConfigWord { text, span }, end)))
}

fn quote_end(chars: &[char], begin: usize, quote: char) -> Option<usize> {
    let mut at = begin;
    loop {
        match *chars.get(at)? {
            c if c == quote => return Some(at),
            '\\' if chars.get(at + 1).is_some_and(|&c| c == quote || c == '\\') => at += 2,
            _ => at += 1,
        }
    }
}

fn brace_end(chars: &[char], begin: usize) -> Option<usize> {
    let mut depth = 1_usize;
    let mut at = begin;
    loop {
        match *chars.get(at)? {
            '}' if depth == 1 => return Some(at),
            '}' => depth -= 1,
            '{' => depth += 1,
            '\\' if chars.get(at + 1) == Some(&'\\') => at += 1,
            _ => {}
        }
        at += 1;
    }
}

/// Removes the backslash before a backslash, also in words without quotes, and before the
/// quote character around the word.
fn unescaped(chars: &[char], stretch: Range<usize>, quote: Option<char>) -> String {
    let mut found = String::new();
    let mut at = stretch.start;
    while at < stretch.end {
        let escapes = |&next: &char| next == '\\' || Some(next) == quote;
        let escaped = at + 1 < stretch.end && chars.get(at + 1).is_some_and(escapes);
        if chars[at] == '\\' && escaped {
            at += 1;
        }
        found.push(chars[at]);
        at += 1;
    }
    found
}
