//! Finds secrets in a text, by the shape of a URL and by the names before them.
//!
//! Not here: secrets by their position in a directive, and the list of names (`names`).

use std::ops::Range;

use super::names::{is_of_name, nearly_sounds_secret, sounds_secret};

/// Finds the secrets that can be recognised anywhere in a text.
pub(super) fn everywhere(text: &str) -> Vec<Range<usize>> {
    let mut found = urls(text);
    found.extend(pairs(text));
    found.extend(credentials(text));
    found
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// Finds users and passwords in URLs.
pub(super) fn urls(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, sign) in text.match_indices("://") {
        let begin = at + sign.len();
        let rest = &text[begin..];
        let rest = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
        // A slash in a password should be escaped, but may not be.
        let has_user = authority.contains('@') || !is_port;
        let user = rest.rfind('@').filter(|_| has_user);
        found.extend(user.map(|user| begin..begin + user));
        // A fragment is not sent to servers, and may therefore hold a secret.
        let behind = user.unwrap_or(0);
        let fragment = rest[behind..].find('#');
        found.extend(fragment.map(|at| begin + behind + at + 1..begin + rest.len()));
    }
    // The scheme may be missing.
    for word in text.split(ends_word).filter(|word| !word.contains("://")) {
        let (Some(colon), Some(user)) = (word.find(':'), word.rfind('@')) else {
            continue;
        };
        let begin = word.as_ptr() as usize - text.as_ptr() as usize;
        found.extend((colon < user).then_some(begin..begin + user));
    }
    found
}

/// Finds the values of `name=..` and `name: ..` where the name suggests a secret.
fn pairs(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, sign) in text.match_indices(['=', ':']) {
        let before = &text[..at];
        let begin = before.bytes().rposition(|byte| !is_of_name(byte));
        let name = &before[begin.map_or(0, |begin| begin + 1)..];
        // Hints contain `key=value` literally; it is not a secret there.
        let is_typed_wrong = sign == "=" && nearly_sounds_secret(name);
        if !(sounds_secret(name) || is_typed_wrong) || text[at..].starts_with("=value") {
            continue;
        }
        // A colon in a path or host belongs to the URL.
        let is_of_url = match before[..before.len() - name.len()].chars().next_back() {
            Some('/') => true,
            Some('.' | '@') => !text[at + 1..].starts_with(' '),
            _ => false,
        };
        if sign == ":" && is_of_url {
            continue;
        }
        // A quote before the name extends to the next quote.
        let quote = before[..before.len() - name.len()].chars().next_back();
        let quote = quote.filter(|quote| matches!(quote, '"' | '\'' | '`'));
        let rest = &text[at + sign.len()..];
        let blanks = rest.len() - rest.trim_start().len();
        let value = &rest[blanks..];
        let (open, end) = match (quote, value.chars().next()) {
            (Some(quote), _) => (0, value.find(quote)),
            (None, Some(quote @ ('"' | '\''))) => (1, value[1..].find(quote).map(|end| end + 1)),
            (None, _) if sign == ":" => (0, None),
            (None, _) => (0, value.find(|c| ends_word(c) || c == '&')),
        };
        let begin = at + sign.len() + blanks;
        found.push(begin + open..begin + end.unwrap_or(value.len()));
    }
    found
}

/// Finds the credentials after a scheme of `Authorization`, and tokens with a known prefix.
fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let all: Vec<&str> = text.split_whitespace().collect();
    for pair in all.windows(2) {
        let [scheme, value] = pair else { continue };
        let name = scheme.trim_start_matches(['"', '\'', '`']);
        let schemes = ["basic", "bearer", "digest", "negotiate"];
        let value = unquoted(value);
        let begin = value.as_ptr() as usize - text.as_ptr() as usize;
        // Nothing follows `AuthType Basic`, and short words follow in prose.
        let is_long = value.len() >= 6 || value.contains(|c: char| c.is_ascii_digit());
        let is_scheme = schemes.iter().any(|known| known.eq_ignore_ascii_case(name));
        // A command-line option, as in `|log --password x`.
        let is_option = name.starts_with('-') && sounds_secret(name);
        if (is_scheme && is_long) || is_option {
            found.push(begin..begin + value.len());
        }
    }
    for (at, _) in text.match_indices("eyJ") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii() || !(is_of_name(c as u8) || c == '.'));
        let token = &rest[..end.unwrap_or(rest.len())];
        if token.contains('.') {
            found.push(at..at + token.len());
        }
    }
    found
}

/// Finds the words of a text, with their quotes.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = text[at..].find(|c: char| !c.is_whitespace()) {
        let begin = at + begin;
        let rest = &text[begin..];
        let length = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted_length(rest, quote),
            _ => rest.find(char::is_whitespace),
        };
        let end = begin + length.unwrap_or(rest.len());
        found.push(begin..end);
        at = end;
    }
    found
}

fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

pub(super) fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\'', '`', '<', '>'])
}

/// Finds, in a condition, everything after the first name that suggests a secret, as in
/// `%{HTTP:Authorization} == 'x'`.
pub(super) fn after_names(condition: &str) -> Option<Range<usize>> {
    let mut names = condition.split(|c: char| !(c.is_ascii() && is_of_name(c as u8)));
    let name = names.find(|name| sounds_secret(name))?;
    let end = name.as_ptr() as usize - condition.as_ptr() as usize + name.len();
    let rest = condition[end..].trim_start_matches(['}', ')', '\'', '"']);
    Some(condition.len() - rest.len()..condition.len())
}

/// Finds the value of the cookie in a `Set-Cookie`, unless it consists of variables.
pub(super) fn cookie_value(word: &str) -> Option<Range<usize>> {
    let (name, rest) = word.split_once('=')?;
    if name.eq_ignore_ascii_case("env") || name.eq_ignore_ascii_case("expr") {
        return None;
    }
    let length = rest.find(';').unwrap_or(rest.len());
    let begin = name.len() + 1;
    (!rest[..length].contains("%{")).then_some(begin..begin + length)
}
