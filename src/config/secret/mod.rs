//! Masks secrets in texts that a person will see: passwords in URLs, values with names that
//! suggest a secret, credentials. Configuration, errors and `Debug` all use this module.
//!
//! Not here: where texts are shown, which names suggest a secret (`names`), and how
//! secrets are found in a text (`find`). A configuration that is printed to be read again
//! keeps its secrets.

mod find;
mod names;

use std::borrow::Cow;
use std::ops::Range;

use find::{after_names, cookie_value, everywhere, unquoted, urls, words};
pub(in crate::config) use names::sounds_secret;

/// Replaces each character of a secret, so that columns do not change.
const MASK: char = '*';

/// Masks the secrets in a text, character by character: the password in a URL, the value of
/// `password=..`, and what follows `Basic`, `Bearer` and similar schemes.
pub(in crate::config) fn masked(text: &str) -> Cow<'_, str> {
    mask(text, everywhere(text))
}

/// Masks the secrets in a line of a configuration: as [`masked`], and everything after a
/// word that suggests a secret, as in `SetEnv DB_PASSWORD x` or `Header set Authorization
/// x`.
pub(in crate::config) fn masked_line(line: &str) -> Cow<'_, str> {
    let mut found = everywhere(line);
    let places = words(line);
    let shown: Vec<&str> = places
        .iter()
        .map(|place| unquoted(&line[place.clone()]))
        .collect();
    for part in by_position(&shown) {
        let begin = part.as_ptr() as usize - line.as_ptr() as usize;
        let end = begin + part.len();
        // A word is masked with its quotes.
        let mut whole = shown.iter().zip(&places);
        let whole = whole.find(|(word, _)| std::ptr::eq(**word, part));
        found.push(whole.map_or(begin..end, |(_, place)| place.clone()));
    }
    mask(line, found)
}

/// Masks the value of this header if it is secret; the value of a cookie always is.
pub(in crate::config) fn masked_header<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    let mut found = everywhere(value);
    found.extend(sets_cookie(name).then(|| cookie_value(value)).flatten());
    mask(value, found)
}

fn sets_cookie(name: &str) -> bool {
    let name = name.strip_suffix(':').unwrap_or(name);
    let mut known = ["set-cookie", "set-cookie2"].into_iter();
    known.any(|known| name.eq_ignore_ascii_case(known))
}

/// Returns the secrets among the words of a directive; the first word is its name.
pub(in crate::config) fn of_words<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut found = by_position(words);
    for word in words {
        found.extend(everywhere(word).into_iter().map(|range| &word[range]));
    }
    found
}

/// Masks secrets in a message of this crate. Text of the user stands in quotes there;
/// outside of quotes only URLs are masked.
pub(in crate::config) fn masked_message(message: &str) -> Cow<'_, str> {
    let mut found = urls(message);
    for quote in ['`', '"'] {
        for part in message.split(quote).skip(1).step_by(2) {
            let begin = part.as_ptr() as usize - message.as_ptr() as usize;
            let moved = |range: Range<usize>| begin + range.start..begin + range.end;
            found.extend(everywhere(part).into_iter().map(moved));
        }
    }
    mask(message, found)
}

/// Removes these secrets from a message, and masks all other secrets in its quoted parts.
pub(in crate::config) fn without<'s>(
    message: &str,
    secrets: impl IntoIterator<Item = &'s str>,
) -> String {
    let mut found = Vec::new();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        // The secret may have been cut where a part of a URL seemed to end.
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
            // A short secret may equal any word of a message, so it is only removed from
            // quoted text.
            let is_quoted = ['`', '"']
                .iter()
                .any(|&quote| message[..at].matches(quote).count() % 2 == 1);
            if secret.len() >= 8 || (is_quoted && !open && !goes_on) {
                found.push(at..end);
            }
        }
    }
    masked_message(&mask(message, found)).into_owned()
}

/// Directives with a secret among their words, and how many words precede it.
const POSITIONS: [(&str, usize); 9] = [
    ("AuthBasicFake", 2),
    ("CryptoIV", 1),
    ("CryptoKey", 1),
    ("LDAPTrustedClientCert", 3),
    ("LDAPTrustedGlobalCert", 3),
    ("MDExternalAccountBinding", 1),
    ("SSLProxyMachineCertificateFile", 2),
    ("SSLProxyMachineCertificatePath", 2),
    ("SSLSRPUnknownUserSeed", 1),
];

/// Directives with a condition: a value that is compared with a secret is a secret.
const CONDITIONS: [&str; 5] = ["ElseIf", "If", "Require", "RewriteCond", "SetEnvIfExpr"];

/// Returns the words that are secret by their position in a directive; the first word is
/// its name.
fn by_position<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let Some((name, rest)) = words.split_first() else {
        return Vec::new();
    };
    let is_it = |known: &str| name.eq_ignore_ascii_case(known);
    let position = POSITIONS.iter().find(|(known, _)| is_it(known));
    let is_named = |word: &&str| sounds_secret(word.strip_suffix('=').unwrap_or(word));
    let first = match position {
        Some(&(_, before)) => Some(before),
        None => words.iter().position(is_named).map(|at| at + 1),
    };
    let mut found: Vec<&str> = match first {
        Some(first) => words.iter().skip(first).copied().collect(),
        None => Vec::new(),
    };
    let compares = CONDITIONS.into_iter().any(is_it);
    let (mut compared, mut is_cookie) = (false, false);
    for &word in rest {
        let is_condition = compares || word.get(..5) == Some("expr=");
        if compared {
            found.push(word);
        } else if let Some(range) = after_names(word).filter(|_| is_condition) {
            found.push(&word[range]);
            compared = true;
        } else if is_cookie {
            found.extend(cookie_value(word).map(|range| &word[range]));
        }
        is_cookie |= sets_cookie(word);
    }
    found
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

#[cfg(test)]
mod tests {
    use super::{masked, masked_line, of_words, without};

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
    fn a_message_masks_the_secrets_of_its_line() {
        let words = ["ProxyPas", "/", "http://u:pw@h/", "secret=a", "x"];
        assert_eq!(of_words(&words), ["u:pw", "a"]);
        let said = without("`http://u:pw@h/` and `a`, not about", ["u:pw", "a"]);
        assert_eq!(said, "`http://****@h/` and `*`, not about");
        assert_eq!(masked("password: x y"), "password: ***");
        assert_eq!(masked("`token=abc` is no"), "`token=***` is no");
    }
}
