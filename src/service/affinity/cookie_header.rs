//! Removes a cookie from a request's headers, and leaves the others unchanged byte for
//! byte.
//!
//! Not here: how a cookie is found. `session` does this both for reading and for removing,
//! so that both find the same.

use http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::session::cookie_spans;

/// Removes all cookies of one name, and any header that is empty afterwards.
pub(super) fn remove(name: &str, headers: &mut HeaderMap) {
    let name = name.as_bytes();
    let has_one = |value: &HeaderValue| cookie_spans(value.as_bytes(), name).next().is_some();
    if !headers.get_all(COOKIE).iter().any(has_one) {
        return;
    }
    let values = headers.get_all(COOKIE).iter();
    let kept: Vec<HeaderValue> = values
        .filter_map(|value| {
            if !has_one(value) {
                return Some(value.clone());
            }
            let left = without(name, value.as_bytes());
            let value = HeaderValue::from_bytes(&left).ok();
            value.filter(|value| !value.is_empty())
        })
        .collect();
    headers.remove(COOKIE);
    for value in kept {
        headers.append(COOKIE, value);
    }
}

/// Removes each span together with the separator before it, or the one after it for the
/// first span.
fn without(name: &[u8], cookies: &[u8]) -> Vec<u8> {
    let is_separator = |byte: &u8| b";,".contains(byte);
    let mut left = Vec::with_capacity(cookies.len());
    let mut from = 0;
    for span in cookie_spans(cookies, name) {
        let before = cookies[from..span.at.start].trim_ascii_end();
        left.extend_from_slice(before);
        from = span.at.end;
        if left.last().is_some_and(is_separator) {
            left.pop();
        } else if left.is_empty() {
            let behind = &cookies[from..];
            let separator = behind.trim_ascii_start().first().is_some_and(is_separator);
            if separator {
                let rest = behind.trim_ascii_start()[1..].trim_ascii_start();
                from = cookies.len() - rest.len();
            }
        }
    }
    left.extend_from_slice(&cookies[from..]);
    left
}

#[cfg(test)]
mod tests {
    use super::remove;
    use http::header::{COOKIE, HeaderMap, HeaderValue};

    #[test]
    fn all_cookies_of_the_name_are_taken_out_and_all_else_stays_as_it_is() {
        let rows: [(&[&'static str], &[&str]); 17] = [
            (&["S=1"], &[]),
            (&["a=1; S=.r1; b=2"], &["a=1; b=2"]),
            (&["S=1; S=2; a=3"], &["a=3"]),
            (&["a=1; S=1; S=2; b=3; S=4"], &["a=1; b=3"]),
            (&["xS=1; Sx=2; a=S=3"], &["xS=1; Sx=2; a=S=3"]),
            (&["a=1", "S=2", "b=3; S = 4"], &["a=1", "b=3"]),
            (&["s=1"], &["s=1"]),
            (&["S"], &["S"]),
            (&["a=1,S=2"], &["a=1"]),
            (&["a=1 ;S=2;b=3"], &["a=1 ;b=3"]),
            (&[""], &[""]),
            (
                &["prefs=groups:C1:1,C2:0; S=.r1; sid=1"],
                &["prefs=groups:C1:1,C2:0; sid=1"],
            ),
            (
                &["S=.r1; cart={\"a\":1,\"S=x\":2}"],
                &["cart={\"a\":1,\"S=x\":2}"],
            ),
            (&["$Version=1 S=.r1; a=1"], &["$Version=1; a=1"]),
            (&["$Version=1 S=.r1"], &["$Version=1"]),
            (&["S=\"x\"; a=1"], &["a=1"]),
            (&["S=1;;a=1"], &[";a=1"]),
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
