//! Words of a line: blanks, quotes, backslashes.
//!
//! The rules are those of httpd's `ap_getword_conf` and `ap_getword_conf2`, but that a
//! quote has to be closed.

use std::ops::Range;

use super::lines::{LogicalLine, is_blank};
use super::state::ParserState;
use super::{ConfigWord, Diagnostic};

/// The words in a stretch of a line. `None`, after a complaint, if they cannot be read.
/// With `braces`, what stands in `{` and `}` is one word.
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

/// The next word, and where to go on behind it; or that there is none, or none to be read.
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
                let complaint = Diagnostic::error(format!("the quote `{quote}` is not closed"));
                let hint = format!("write `{quote}` where the word ends");
                state.complain(span, complaint.with_hint(hint));
                return None;
            };
            (unescaped(chars, begin + 1..end, Some(quote)), end + 1)
        }
        '{' if braces => {
            let Some(end) = brace_end(chars, begin + 1) else {
                let span = line.span(begin..stretch.end);
                let complaint = Diagnostic::error("the brace `{` is not closed");
                state.complain(span, complaint.with_hint("write `}` where the word ends"));
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

/// Takes the backslash away before a backslash, in words without quotes too, and before
/// the quote that the word is in.
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
