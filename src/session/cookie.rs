//! The value of one cookie in the `Cookie` headers of a request.
//!
//! Not here: which part of the value is the route, and all other cookies. This reads what
//! browsers and old servers actually send rather than a strict grammar: commas between
//! cookies, blanks before the `=`, quotes around the value.

use std::ops::Range;

use http::{HeaderMap, header};

/// Finds the first value of the cookie that counts: it is not empty and is UTF-8.
pub(crate) fn find<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|cookies| spans(cookies.as_bytes(), name.as_bytes()))
        .find_map(|span| {
            std::str::from_utf8(unquoted(span.value))
                .ok()
                .filter(|text| !text.is_empty())
        })
}

/// The position and the value of a cookie in a header.
pub(crate) struct CookieSpan<'r> {
    /// From the name to the end of the value.
    pub(crate) at: Range<usize>,
    value: &'r [u8],
}

/// Finds each `name = value` in a header. The name may follow other words; the value is the
/// rest of the piece: `$Version=1 name=value` is one piece.
pub(crate) fn spans<'r>(cookies: &'r [u8], name: &[u8]) -> impl Iterator<Item = CookieSpan<'r>> {
    let mut start = 0;
    let pieces = cookies.split(|byte| b";,".contains(byte));
    pieces.filter_map(move |piece| {
        let from = start;
        start += piece.len() + 1;
        let (at, value) = value_in(piece, name)?;
        let end = piece.trim_ascii_end().len();
        Some(CookieSpan {
            at: from + at..from + end,
            value,
        })
    })
}

/// Reads `name = value`, and returns where the name begins.
fn value_in<'r>(piece: &'r [u8], name: &[u8]) -> Option<(usize, &'r [u8])> {
    let mut rest = piece.trim_ascii_start();
    loop {
        if let Some(behind) = rest.strip_prefix(name) {
            if let Some(value) = behind.trim_ascii_start().strip_prefix(b"=") {
                return Some((piece.len() - rest.len(), value.trim_ascii()));
            }
        }
        let blank = rest.iter().position(u8::is_ascii_whitespace)?;
        rest = rest[blank..].trim_ascii_start();
    }
}

/// Removes a pair of quotes; a single quote belongs to the value.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::{unquoted, value_in};

    #[test]
    fn only_a_pair_of_quotes_is_taken_off() {
        assert_eq!(unquoted(b"\"a.B\""), b"a.B");
        assert_eq!(unquoted(b"\"\""), b"");
        assert_eq!(unquoted(b"\""), b"\"");
        assert_eq!(unquoted(b"\"a.B"), b"\"a.B");
        assert_eq!(unquoted(b"a.B\""), b"a.B\"");
        assert_eq!(unquoted(b""), b"");
    }

    #[test]
    fn a_piece_gives_a_value_only_where_the_whole_name_stands_before_the_equals_sign() {
        let rows: [(&[u8], Option<&[u8]>); 9] = [
            (b"S=1", Some(b"1")),
            (b"  S\t=\t1\t", Some(b"1")),
            (b"x S=1", Some(b"1")),
            (b"S S=1", Some(b"1")),
            (b"S=", Some(b"")),
            (b"S", None),
            (b"xS=1", None),
            (b"Sx=1", None),
            (b"", None),
        ];
        for (piece, value) in rows {
            let found = value_in(piece, b"S").map(|(_, value)| value);
            assert_eq!(found, value, "{piece:?}");
        }
    }
}
