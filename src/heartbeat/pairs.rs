//! The syntax of messages and files: `key=value` pairs separated by `&`, with `%` escapes,
//! and their numbers.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The pairs of a text, in order. A key without `=` has the value `1`.
pub(super) struct Pairs<'t> {
    rest: Option<&'t [u8]>,
}

impl<'t> Pairs<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self { rest: Some(text) }
    }
}

impl<'t> Iterator for Pairs<'t> {
    type Item = (Cow<'t, [u8]>, Cow<'t, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (pair, rest) = split(self.rest?, b'&');
            self.rest = rest;
            if !pair.is_empty() {
                let (key, value) = split(pair, b'=');
                return Some((unescape(key), unescape(value.unwrap_or(b"1"))));
            }
        }
    }
}

/// Returns the text before the first `at`, and the text after it.
fn split(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == at) {
        Some(end) => (&text[..end], Some(&text[end + 1..])),
        None => (text, None),
    }
}

/// Decodes `%` escapes; invalid ones stay as they are.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(text).into()
}

/// Parses a number that has digits only, if it fits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Parses a number of slots; a negative one is 0.
pub(super) fn slots(text: &[u8]) -> Option<u32> {
    match text.strip_prefix(b"-") {
        Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => Some(0),
        Some(_) => None,
        None => u32::try_from(decimal(text)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pairs, unescape};
    use proptest::{collection::vec, prelude::*};
    use std::borrow::Cow;

    #[test]
    fn an_invalid_escape_stays_as_it_is() {
        for (text, plain) in [
            ("%41b", "Ab"),
            ("%4", "%4"),
            ("%", "%"),
            ("%%41", "%A"),
            ("%g1", "%g1"),
            ("a+b", "a+b"),
        ] {
            assert_eq!(unescape(text.as_bytes()), plain.as_bytes(), "{text}");
        }
    }

    /// A simple reference, byte by byte.
    fn slowly(text: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some((&byte, behind)) = rest.split_first() {
            let digits = behind.get(..2).filter(|_| byte == b'%');
            let digits = digits.and_then(|it| str::from_utf8(it).ok());
            let digits = digits.filter(|it| it.bytes().all(|digit| digit.is_ascii_hexdigit()));
            match digits {
                Some(digits) => {
                    plain.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &behind[2..];
                }
                None => {
                    plain.push(byte);
                    rest = behind;
                }
            }
        }
        plain
    }

    proptest! {
        #[test]
        fn any_bytes_are_unescaped_as_one_by_one(
            pieces in vec(prop_oneof![Just(b'%'), b'0'..=b'9', b'A'..=b'g', any::<u8>()], 0..24),
        ) {
            prop_assert_eq!(unescape(&pieces), slowly(&pieces));
        }
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        assert!(matches!(unescape(b"a+b%zz"), Cow::Borrowed(_)));
    }

    #[test]
    fn an_escaped_separator_separates_nothing() {
        let pairs: Vec<_> = Pairs::new(b"a%26b=c%3Dd&&e=f=g").collect();
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(pairs, [(&b"a&b"[..], &b"c=d"[..]), (b"e", b"f=g")]);
    }
}
