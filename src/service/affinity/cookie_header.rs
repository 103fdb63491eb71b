//! Taking a cookie out of a request's headers.
//!
//! What does not live here: reading one, which is `session`'s.

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// Removes all cookies of one name, and whatever header is empty then.
pub(super) fn remove(name: &str, headers: &mut HeaderMap) {
    let is_named = |piece: &[u8]| {
        let piece = piece.trim_ascii_start();
        let rest = piece.strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
    };
    let pieces = |value: &HeaderValue| -> Vec<Vec<u8>> {
        let value = value.as_bytes();
        let pieces = value.split(|&byte| byte == b';' || byte == b',');
        pieces.map(<[u8]>::to_vec).collect()
    };
    let cookies = headers.get_all(COOKIE);
    let mut values = cookies.iter();
    if !values.any(|value| {
        let mut pieces = value.as_bytes().split(|&byte| byte == b';' || byte == b',');
        pieces.any(is_named)
    }) {
        return;
    }
    let kept: Vec<HeaderValue> = cookies
        .iter()
        .filter_map(|value| {
            let pieces = pieces(value);
            let kept: Vec<&[u8]> = pieces
                .iter()
                .filter(|piece| !is_named(piece))
                .map(|piece| piece.trim_ascii())
                .filter(|piece| !piece.is_empty())
                .collect();
            let value = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
            value.ok().filter(|_| !kept.is_empty())
        })
        .collect();
    headers.remove(COOKIE);
    for value in kept {
        headers.append(COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::remove;
    use http::header::{COOKIE, HeaderMap, HeaderValue};

    #[test]
    fn all_cookies_of_the_name_are_taken_out_and_no_others() {
        let rows: [(&[&'static str], &[&str]); 9] = [
            (&["S=1"], &[]),
            (&["a=1; S=.r1; b=2"], &["a=1; b=2"]),
            (&["S=1; S=2; a=3"], &["a=3"]),
            (&["xS=1; Sx=2; a=S=3"], &["xS=1; Sx=2; a=S=3"]),
            (&["a=1", "S=2", "b=3; S = 4"], &["a=1", "b=3"]),
            (&["s=1"], &["s=1"]),
            (&["S"], &["S"]),
            (&["a=1,S=2"], &["a=1"]),
            (&[""], &[""]),
        ];
        for (before, after) in rows {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(COOKIE, HeaderValue::from_static(value));
            }
            remove("S", &mut headers);
            let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(left, after, "{before:?}");
        }
    }
}
