//! Percent-encoding (RFC 3986, 2.1), one escape at a time.
//!
//! Not here: decoding a whole text, for which the crate `percent_encoding`
//! is used directly.

use percent_encoding::percent_decode;

/// Returns the byte of an escape at the start of `text`: `A` for `%41b`. `None` if `text`
/// does not start with `%` and two hexadecimal digits.
#[inline]
pub(crate) fn escaped(text: &[u8]) -> Option<u8> {
    if *text.first()? != b'%' {
        return None;
    }
    // Three bytes decode to one byte if they are an escape, and otherwise to themselves.
    let mut bytes = percent_decode(text.get(..3)?);
    let byte = bytes.next()?;
    bytes.next().is_none().then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    /// The same by hand, for comparison.
    fn slowly(text: &[u8]) -> Option<u8> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            b'A'..=b'F' => Some(byte - b'A' + 10),
            _ => None,
        };
        match *text {
            [b'%', high, low, ..] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        }
    }

    #[test]
    fn an_escape_is_a_percent_sign_and_two_hexadecimal_digits() {
        for pair in 0..=u16::MAX {
            let [high, low] = pair.to_be_bytes();
            for text in [[b'%', high, low, b'x'], [high, b'%', low, b'0']] {
                for length in 0..=text.len() {
                    let text = &text[..length];
                    assert_eq!(escaped(text), slowly(text), "{text:?}");
                }
            }
        }
    }
}
