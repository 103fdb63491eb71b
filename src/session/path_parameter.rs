//! The value of one parameter in a URL: `/a;name=value/b` or `/a?name=value`.
//!
//! Not here: which part of the value is the route. The path is %-decoded; the query is
//! taken as it is. An escaped slash is an ordinary character: only an unescaped one ends a
//! value, and a name begins only after an unescaped one.

use http::Uri;
use percent_encoding::percent_decode;
use std::borrow::Cow;

use crate::percent::escaped;

/// Finds the first value of the parameter that counts, in the path first, then in the
/// query.
pub(super) fn find<'r>(uri: &'r Uri, name: &str, semicolon_ends: bool) -> Option<Cow<'r, str>> {
    let segments = uri.path().split('/').map(Characters::of_path);
    let query = uri.query().map(Characters::of_query);
    segments
        .chain(query)
        .find_map(|text| value_in(text, name, semicolon_ends))
}

/// A name is at the start of the text, or after a `?`, `&` or `;`. A value ends at the next
/// `?` or `&`, and at a `;` if `semicolon_ends`.
///
/// After a value that does not count, the search continues behind it and never inside it.
/// This keeps it linear.
fn value_in<'r>(
    mut text: Characters<'r>,
    name: &str,
    semicolon_ends: bool,
) -> Option<Cow<'r, str>> {
    let delimits = |byte| matches!(byte, b'?' | b'&' | b';');
    let ends = |byte| delimits(byte) && (semicolon_ends || byte != b';');
    loop {
        if let Some(parameter) = text.behind(name) {
            let (value, rest) = parameter.split_before(ends);
            text = rest;
            if let Some(value) = value.decoded().filter(|value| !value.is_empty()) {
                return Some(value);
            }
        }
        (_, text) = text.split_before(delimits);
        text.next()?;
    }
}

/// The bytes of a text, decoded one at a time so that the search does not allocate.
#[derive(Clone, Debug)]
struct Characters<'r> {
    rest: &'r [u8],
    escaped: bool,
}

impl<'r> Characters<'r> {
    fn of_path(segment: &'r str) -> Self {
        Self {
            rest: segment.as_bytes(),
            escaped: true,
        }
    }

    fn of_query(query: &'r str) -> Self {
        Self {
            rest: query.as_bytes(),
            escaped: false,
        }
    }

    /// Returns what follows `name=`, if the text starts with that.
    fn behind(&self, name: &str) -> Option<Self> {
        let mut text = self.clone();
        for byte in name.bytes().chain([b'=']) {
            text.next().filter(|next| *next == byte)?;
        }
        Some(text)
    }

    /// Splits before the first byte for which `stops` is true, or at the end.
    fn split_before(self, stops: impl Fn(u8) -> bool) -> (Self, Self) {
        let mut rest = self.clone();
        let mut beyond = self.clone();
        while beyond.next().is_some_and(|byte| !stops(byte)) {
            rest = beyond.clone();
        }
        let length = self.rest.len() - rest.rest.len();
        let before = Self {
            rest: &self.rest[..length],
            ..self
        };
        (before, rest)
    }

    /// Returns the whole text, unless it is not UTF-8.
    fn decoded(self) -> Option<Cow<'r, str>> {
        if self.escaped {
            percent_decode(self.rest).decode_utf8().ok()
        } else {
            std::str::from_utf8(self.rest).ok().map(Cow::Borrowed)
        }
    }
}

impl Iterator for Characters<'_> {
    type Item = u8;

    /// An invalid escape, such as `%zz` or a `%` at the end, is taken literally.
    fn next(&mut self) -> Option<u8> {
        let &first = self.rest.first()?;
        let escape = if self.escaped {
            escaped(self.rest)
        } else {
            None
        };
        self.rest = &self.rest[if escape.is_some() { 3 } else { 1 }..];
        Some(escape.unwrap_or(first))
    }
}

#[cfg(test)]
mod tests {
    use super::Characters;

    fn decoded(segment: &str) -> Option<String> {
        Some(Characters::of_path(segment).decoded()?.into_owned())
    }

    #[test]
    fn escapes_in_a_path_are_decoded_and_what_is_no_escape_stays() {
        let rows = [
            ("abc%2EC", Some("abc.C")),
            ("%c3%BC", Some("ü")),
            ("%", Some("%")),
            ("a%", Some("a%")),
            ("a%2", Some("a%2")),
            ("%zz", Some("%zz")),
            ("%+1", Some("%+1")),
            ("%2%2e", Some("%2.")),
            ("%252E", Some("%2E")),
            ("%ff", None),
        ];
        for (segment, text) in rows {
            assert_eq!(decoded(segment).as_deref(), text, "{segment}");
        }
    }

    #[test]
    fn a_text_splits_before_an_escape_and_not_inside() {
        let (before, rest) = Characters::of_path("a%41%3Bb").split_before(|byte| byte == b';');
        assert_eq!(before.rest, b"a%41");
        assert_eq!(rest.rest, b"%3Bb");
        let (before, rest) = Characters::of_query("a%3Bb").split_before(|byte| byte == b';');
        assert_eq!(before.rest, b"a%3Bb");
        assert_eq!(rest.rest, b"");
    }
}
