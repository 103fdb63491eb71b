//! What is secret in a text that a person will see: passwords in URLs, values of names that
//! sound secret, credentials. One room, so that configuration, errors and `Debug` agree.
//!
//! What does not live here: where texts are shown. A configuration that is printed to be
//! read again keeps its secrets.

use std::borrow::Cow;
use std::ops::Range;

/// What is shown for each character of a secret, so that columns stay where they are.
const MASK: char = '*';

/// The text with its secrets masked, character by character: the password in a URL, the
/// value of `password=..`, and what follows `Basic`, `Bearer` and the like.
pub(in crate::config) fn masked(text: &str) -> Cow<'_, str> {
    let mut found = urls(text);
    found.extend(pairs(text));
    found.extend(credentials(text));
    mask(text, found)
}

/// A line of a configuration with its secrets masked: as [`masked`], and all that follows a
/// word that sounds secret, as in `SetEnv DB_PASSWORD x` or `Header set Authorization x`.
pub(in crate::config) fn masked_line(line: &str) -> Cow<'_, str> {
    let mut found = urls(line);
    found.extend(pairs(line));
    found.extend(credentials(line));
    let words = words(line);
    let shown: Vec<&str> = words
        .iter()
        .map(|word| unquoted(&line[word.clone()]))
        .collect();
    if let Some(first) = first_secret(&shown) {
        found.extend(words.into_iter().skip(first));
    }
    mask(line, found)
}

/// The secrets among the words of a directive, of which the first is its name.
pub(in crate::config) fn of_words<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut found = Vec::new();
    for word in words {
        let mut ranges = urls(word);
        ranges.extend(pairs(word));
        ranges.extend(credentials(word));
        found.extend(ranges.into_iter().map(|range| &word[range]));
    }
    if let Some(first) = first_secret(words) {
        found.extend(&words[first..]);
    }
    found
}

/// A message without these secrets, and with whatever else is secret in it [`masked`].
pub(in crate::config) fn without<'s>(
    message: &str,
    secrets: impl IntoIterator<Item = &'s str>,
) -> String {
    let mut found = Vec::new();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        // It may have been cut where a part of a URL seemed to end.
        let parts = quoted
            .iter()
            .filter(|part| part.len() > 2 && secret.contains(*part));
        found.extend(parts.map(|part| {
            let begin = part.as_ptr() as usize - message.as_ptr() as usize;
            begin..begin + part.len()
        }));
        for (at, _) in message.match_indices(secret) {
            let end = at + secret.len();
            let open = message[..at].ends_with(|c: char| c.is_alphanumeric());
            let goes_on = message[end..].starts_with(|c: char| c.is_alphanumeric());
            // A short one may be any word of ours, but for what is quoted from the text.
            let is_quoted = message[..at].matches('`').count() % 2 == 1;
            if secret.len() >= 8 || (is_quoted && !open && !goes_on) {
                found.push(at..end);
            }
        }
    }
    masked(&mask(message, found)).into_owned()
}

/// Whether what has this name is likely to be secret: a variable, a header, a parameter.
pub(in crate::config) fn sounds_secret(name: &str) -> bool {
    let name = name.strip_suffix(':').unwrap_or(name);
    if name.is_empty() || !name.bytes().all(is_of_name) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let contains = [
        "apikey",
        "authorization",
        "credential",
        "nonce",
        "passphrase",
        "passw",
        "privatekey",
        "secret",
        "token",
    ];
    let parts = ["auth", "jwt", "key", "pass", "pw", "pwd"];
    // `stickysession` is a name, and `ServerTokens` says how much is told of the server.
    let known = ["servertokens", "www-authenticate"];
    !known.contains(&name.as_str())
        && (name == "cookie"
            || contains.iter().any(|part| name.contains(part))
            || name.split(['-', '_']).any(|part| parts.contains(&part)))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// From which word on a directive is secret.
fn first_secret(words: &[&str]) -> Option<usize> {
    // After the file there may be the pass phrase of its key.
    let certificate = "SSLProxyMachineCertificate";
    let name = words.first()?.get(..certificate.len());
    if name.is_some_and(|name| name.eq_ignore_ascii_case(certificate)) {
        return Some(2);
    }
    let named = words.iter().position(|word| sounds_secret(word))?;
    Some(named + 1)
}

fn mask(text: &str, mut secrets: Vec<Range<usize>>) -> Cow<'_, str> {
    secrets.retain(|range| !range.is_empty());
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    secrets.sort_by_key(|range| range.start);
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for secret in secrets {
        if secret.end <= end {
            continue;
        }
        let start = secret.start.max(end);
        shown.push_str(&text[end..start]);
        shown.extend(text[start..secret.end].chars().map(|_| MASK));
        end = secret.end;
    }
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// Users and passwords in URLs.
fn urls(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, sign) in text.match_indices("://") {
        let begin = at + sign.len();
        let rest = &text[begin..];
        let rest = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
        // A slash in a password should be escaped, but it may not be.
        let has_user = authority.contains('@') || !is_port;
        if let Some(user) = rest.rfind('@').filter(|_| has_user) {
            found.push(begin..begin + user);
        }
    }
    // A scheme may have been forgotten.
    for word in text.split(ends_word).filter(|word| !word.contains("://")) {
        let (Some(colon), Some(user)) = (word.find(':'), word.rfind('@')) else {
            continue;
        };
        let begin = word.as_ptr() as usize - text.as_ptr() as usize;
        found.extend((colon < user).then_some(begin..begin + user));
    }
    found
}

/// Values of `name=..` and `name: ..` with names that sound secret.
fn pairs(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, sign) in text.match_indices(['=', ':']) {
        let before = &text[..at];
        let begin = before.bytes().rposition(|byte| !is_of_name(byte));
        let name = &before[begin.map_or(0, |begin| begin + 1)..];
        // Hints write `key=value` for any of them.
        if !sounds_secret(name) || text[at..].starts_with("=value") {
            continue;
        }
        // A quote before the name goes on to the next one.
        let quote = before[..before.len() - name.len()].chars().next_back();
        let quote = quote.filter(|quote| matches!(quote, '"' | '\'' | '`'));
        let rest = &text[at + sign.len()..];
        let blanks = match sign {
            ":" => rest.len() - rest.trim_start().len(),
            _ => 0,
        };
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

/// What follows a scheme of `Authorization`, and tokens that say what they are.
fn credentials(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let all: Vec<&str> = text.split_whitespace().collect();
    for pair in all.windows(2) {
        let [scheme, value] = pair else { continue };
        let name = scheme.trim_start_matches(['"', '\'', '`']);
        let schemes = ["basic", "bearer", "digest", "negotiate"];
        let value = unquoted(value);
        let begin = value.as_ptr() as usize - text.as_ptr() as usize;
        // `AuthType Basic` is followed by nothing, and prose by short words.
        let is_long = value.len() >= 6 || value.contains(|c: char| c.is_ascii_digit());
        if schemes.iter().any(|known| known.eq_ignore_ascii_case(name)) && is_long {
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

/// Where the words of a text are, with their quotes.
fn words(text: &str) -> Vec<Range<usize>> {
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

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\'', '`', '<', '>'])
}

#[cfg(test)]
mod tests {
    use super::{masked, masked_line, of_words, sounds_secret, without};

    #[test]
    fn a_line_keeps_its_columns_and_loses_its_secrets() {
        for (line, expected) in [
            (
                "ProxyPass / http://user:pw@h/",
                "ProxyPass / http://*******@h/",
            ),
            (
                "ProxyPass / http://u:p/w@h/ x",
                "ProxyPass / http://*****@h/ x",
            ),
            (
                "ProxyPass / http://h:80/a@2x",
                "ProxyPass / http://h:80/a@2x",
            ),
            (
                "ProxyPass / \"http://é:ü@h/\"",
                "ProxyPass / \"http://***@h/\"",
            ),
            (
                "BalancerMember ajp://h secret=abc retry=x",
                "BalancerMember ajp://h secret=*** retry=x",
            ),
            (
                "BalancerMember h \"secret=a b\" retry=x",
                "BalancerMember h \"secret=***\" retry=x",
            ),
            (
                "ProxySet nonce=abc stickysession=S",
                "ProxySet nonce=*** stickysession=S",
            ),
            (
                "RequestHeader set Authorization \"Basic abc\" x",
                "RequestHeader set Authorization *********** *",
            ),
            ("Header set X-Api-Key: k", "Header set X-Api-Key: *"),
            ("SetEnv DB_PASSWORD hunter2", "SetEnv DB_PASSWORD *******"),
            ("SetEnv X \"Bearer abcdef\"", "SetEnv X \"Bearer ******\""),
            ("Define PW a", "Define PW *"),
            (
                "SSLProxyMachineCertificateFile a.pem phrase",
                "SSLProxyMachineCertificateFile a.pem ******",
            ),
            ("AuthType Basic", "AuthType Basic"),
            ("ServerTokens Prod", "ServerTokens Prod"),
            (
                "ProxyPass /token http://secret.example/",
                "ProxyPass /token http://secret.example/",
            ),
            (
                "Header add Set-Cookie \"R=.%{X}e; path=/\" env=Y",
                "Header add Set-Cookie \"R=.%{X}e; path=/\" env=Y",
            ),
        ] {
            assert_eq!(masked_line(line), expected);
        }
    }

    #[test]
    fn a_message_says_no_secret_of_its_line() {
        let words = ["ProxyPas", "/", "http://u:pw@h/", "secret=a", "x"];
        assert_eq!(of_words(&words), ["u:pw", "a"]);
        let said = without("`http://u:pw@h/` and `a`, not about", ["u:pw", "a"]);
        assert_eq!(said, "`http://****@h/` and `*`, not about");
        assert_eq!(masked("password: x y"), "password: ***");
        assert_eq!(masked("`token=abc` is no"), "`token=***` is no");
    }

    #[test]
    fn names_sound_secret_by_their_parts() {
        for name in [
            "PW",
            "db-pass",
            "X-Auth-User",
            "Proxy-Authorization",
            "cookie",
            "APIKEY",
        ] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in [
            "path",
            "route",
            "Set-Cookie",
            "keepalive",
            "stickysession",
            "",
            "a b",
        ] {
            assert!(!sounds_secret(name), "{name}");
        }
    }
}
