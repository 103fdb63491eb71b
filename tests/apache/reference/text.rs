//! Which session a request names by the rules of [`Fix::SessionText`](super::Fix::SessionText):
//! ledger rows 13, 41 and 42. Written from the ledger and the manual of `StickySession`, plainly.

use super::session::{Session, Sticky};
use super::url::decoded;

/// The session of a request with this path (raw), query (raw) and cookie header.
///
/// It is looked for in the path and query that the client sent, not in the mapped URL, whose other
/// parts are not the client's.
pub fn session(sticky: &Sticky, path: &str, query: &str, cookies: &[String]) -> Option<Session> {
    if !sticky.is_on() {
        return None;
    }
    let delimits = |c: char| matches!(c, '?' | '&' | ';');
    let ends = |c: char| delimits(c) && (c != ';' || sticky.semicolon_delimits);
    // A segment of the path is decoded; the query is not.
    let mut texts: Vec<String> = path.split('/').map(decoded).collect();
    texts.push(query.to_owned());
    let in_url = texts
        .iter()
        .find_map(|text| parameter(text, &sticky.parameter, delimits, ends));
    let (name, value) = match in_url {
        Some(value) => (&sticky.parameter, value),
        None => {
            let mut found = cookies.iter();
            (
                &sticky.cookie,
                found.find_map(|header| cookie(header, &sticky.cookie))?,
            )
        }
    };
    let route = match sticky.separator {
        Some(separator) => value.split_once(separator)?.1.to_owned(),
        None => value,
    };
    let name = name.clone();
    (!route.is_empty()).then_some(Session { name, route })
}

/// The name begins the text or follows a delimiter; an empty value does not count. What follows a
/// value that does not count is looked at behind it, never inside.
fn parameter(
    text: &str,
    name: &str,
    delimits: impl Fn(char) -> bool,
    ends: impl Fn(char) -> bool,
) -> Option<String> {
    let mut rest = text;
    loop {
        if let Some(value) = rest
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
        {
            let end = value.find(&ends).unwrap_or(value.len());
            if end > 0 {
                return Some(value[..end].to_owned());
            }
            rest = value;
        }
        let at = rest.find(&delimits)?;
        rest = &rest[at..];
        rest = &rest[rest.chars().next()?.len_utf8()..];
    }
}

/// Blanks around the value and one pair of quotes do not count, nor does an empty value.
fn cookie(header: &str, name: &str) -> Option<String> {
    header.split([';', ',']).find_map(|piece| {
        let mut rest = piece.trim_start();
        loop {
            let behind = rest.strip_prefix(name).map(str::trim_start);
            if let Some(value) = behind.and_then(|behind| behind.strip_prefix('=')) {
                let value = value.trim();
                let quoted = value
                    .strip_prefix('"')
                    .and_then(|value| value.strip_suffix('"'));
                let value = quoted.unwrap_or(value);
                return (!value.is_empty()).then(|| value.to_owned());
            }
            let blank = rest.find(|c: char| c.is_ascii_whitespace())?;
            rest = rest[blank..].trim_start();
        }
    })
}
