//! The built-in functions of expressions: [`find`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::percent::escaped;

type Function = fn(&[u8]) -> Result<Vec<u8>, String>;

/// Returns a function by its name; letter case is ignored.
pub(super) fn find(name: &str) -> Option<Function> {
    const ALL: [(&str, Function); 6] = [
        ("tolower", |value| Ok(value.to_ascii_lowercase())),
        ("toupper", |value| Ok(value.to_ascii_uppercase())),
        ("escape", |value| Ok(escape(value))),
        ("unescape", unescape),
        ("base64", |value| Ok(STANDARD.encode(value).into_bytes())),
        ("unbase64", |value| {
            STANDARD
                .decode(value)
                .map_err(|_| "the argument is not base64".to_owned())
        }),
    ];
    let mut all = ALL.iter();
    let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, function)| *function)
}

/// As a part of a path: letters, digits and `$-_.+!*'(),:@&=/~` stay.
fn escape(value: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"$-_.+!*'(),:@&=/~".contains(&byte) {
            escaped.push(byte);
        } else {
            escaped.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    escaped
}

fn unescape(value: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, behind)) = rest.split_first() {
        if byte != b'%' {
            plain.push(byte);
            rest = behind;
            continue;
        }
        // As in httpd, where what hides a slash or an end is not unescaped.
        let decoded = escaped(rest).filter(|it| !matches!(it, 0 | b'/'));
        plain.push(decoded.ok_or("its argument is not escaped well")?);
        rest = &behind[2..];
    }
    Ok(plain)
}
