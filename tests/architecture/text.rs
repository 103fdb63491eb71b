//! Reads Rust as text: cuts away comments, literals and tests, and finds paths.
//!
//! Every function keeps the line breaks, so that a line number is one of the file.
//! What the rules are is not here.

use std::iter::Peekable;

/// Cuts away comments and what stands in character literals; in string literals
/// too if `literals` says so, but never their quotes.
pub(crate) fn strip(text: &str, literals: Literals) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let in_word = code.ends_with(is_word);
        let (length, kept) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = string(rest).filter(|_| next == '"' || !in_word) {
            code.push('"');
            (length, literals == Literals::Kept)
        } else if let Some(length) = character(rest) {
            (length, false)
        } else {
            (next.len_utf8(), true)
        };
        let (taken, left) = rest.split_at(length);
        if kept {
            code.push_str(taken.trim_matches('"'));
        } else {
            code.extend(taken.chars().filter(|&c| c == '\n'));
        }
        if taken.len() > 1 && taken.contains('"') && string(rest) == Some(length) {
            code.push('"');
        }
        rest = left;
    }
    code
}
