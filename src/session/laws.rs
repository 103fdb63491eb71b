//! Properties of reading any request: it never panics, and it finds what a slow
//! implementation finds that works index by index on decoded copies.

use super::{SessionSource, StickySession};
use http::{HeaderMap, HeaderValue, Uri, header::COOKIE};
use proptest::{collection::vec, prelude::*, sample::select};

const NAME: &str = "S1";

/// Reads `name blanks = value` wherever the name follows one of `before`, and continues
/// after the value.
fn slow_find(
    text: &[u8],
    before: &[u8],
    blanks: &[u8],
    ends: &[u8],
    tidy: fn(&str) -> &str,
) -> Option<String> {
    let mut at = 0;
    while at < text.len() {
        let begins = at == 0 || before.contains(&text[at - 1]);
        let mut value_at = at + NAME.len();
        while value_at < text.len() && blanks.contains(&text[value_at]) {
            value_at += 1;
        }
        if !begins || !text[at..].starts_with(NAME.as_bytes()) || text.get(value_at) != Some(&b'=')
        {
            at += 1;
            continue;
        }
        value_at += 1;
        at = value_at;
        while at < text.len() && !ends.contains(&text[at]) {
            at += 1;
        }
        if let Ok(value) = std::str::from_utf8(&text[value_at..at]) {
            if !tidy(value).is_empty() {
                return Some(tidy(value).to_owned());
            }
        }
    }
    None
}

fn slow_cookie(headers: &[Vec<u8>]) -> Option<String> {
    slow_find(
        &headers.join(&b"; "[..]),
        b"; ,\t",
        b" \t",
        b";,",
        |value| {
            let value = value.trim_matches([' ', '\t']);
            let inner = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            inner.unwrap_or(value)
        },
    )
}

fn slow_parameter(uri: &Uri, semicolon_ends: bool) -> Option<String> {
    let ends: &[u8] = if semicolon_ends { b"?&;" } else { b"?&" };
    let find = |text: &[u8]| slow_find(text, b"?&;", b"", ends, |value| value);
    let in_path = uri
        .path()
        .split('/')
        .find_map(|segment| find(&slow_decode(segment)));
    in_path.or_else(|| find(uri.query()?.as_bytes()))
}

fn slow_decode(segment: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < segment.len() {
        let digits = segment.get(at + 1..at + 3).unwrap_or_default();
        let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if segment.as_bytes()[at] == b'%' && digits.len() == 2 && hex {
            decoded.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
            at += 3;
        } else {
            decoded.push(segment.as_bytes()[at]);
            at += 1;
        }
    }
    decoded
}

/// Text in which names, delimiters and random bytes often meet.
fn pieces(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    vec(select(pieces), 0..24).prop_map(|chosen| chosen.concat())
}

const COOKIE_PIECES: &[&[u8]] = &[
    b"S1",
    b"S1=",
    b"S",
    b"1",
    b"=",
    b";",
    b",",
    b" ",
    b"\t",
    b"\"",
    b".",
    b"a.B",
    b"; ",
    b"\xff",
    b"\xc3\xbc",
    b"%3B",
];

const URL_PIECES: &[&[u8]] = &[
    b"S1",
    b"S1=",
    b"S",
    b"1",
    b"=",
    b";",
    b"?",
    b"&",
    b"/",
    b"%",
    b"%3",
    b"%3b",
    b"%3D",
    b"%2F",
    b"%26",
    b"%3F",
    b"%53",
    b"%ff",
    b"%C3%BC",
    b"\xc3\xbc",
    b"a.B",
    b".",
    b"%2e",
];

/// Without a separator the route is the whole value, so all that was read is visible.
fn sticky() -> StickySession {
    StickySession::new(NAME)
        .expect("a name")
        .without_separator()
}

proptest! {
    #[test]
    fn cookies_are_read_as_the_slow_reading_does(
        cookies in vec(prop_oneof![pieces(COOKIE_PIECES), vec(any::<u8>(), 0..40)], 0..4),
    ) {
        let mut headers = HeaderMap::new();
        let mut kept = Vec::new();
        for cookie in cookies {
            if let Ok(value) = HeaderValue::from_bytes(&cookie) {
                headers.append(COOKIE, value);
                kept.push(cookie);
            }
        }
        let sticky = sticky();
        let uri = Uri::from_static("/");
        let presented = sticky.find(&uri, &headers);
        let expected = slow_cookie(&kept);
        prop_assert_eq!(presented.as_ref().and_then(|it| it.route()), expected.as_deref());
        prop_assert!(presented.is_none_or(|it| it.source() == SessionSource::Cookie));
    }

    #[test]
    fn urls_are_read_as_the_slow_reading_does(
        path in prop_oneof![pieces(URL_PIECES), vec(any::<u8>(), 0..40)],
        semicolon_ends: bool,
    ) {
        let text = [b"/", path.as_slice()].concat();
        let Ok(uri) = Uri::try_from(text) else { return Ok(()) };
        let sticky = if semicolon_ends {
            sticky().with_semicolon_path_delimiter()
        } else {
            sticky()
        };
        let headers = HeaderMap::new();
        let presented = sticky.find(&uri, &headers);
        let expected = slow_parameter(&uri, semicolon_ends);
        prop_assert_eq!(presented.as_ref().and_then(|it| it.route()), expected.as_deref());
        prop_assert!(presented.is_none_or(|it| it.source() == SessionSource::Url));
    }

    #[test]
    fn a_route_is_a_part_of_its_value_and_never_empty(value: String, separator: Option<char>) {
        let sticky = match separator {
            Some(separator) => sticky().with_separator(separator),
            None => sticky(),
        };
        for sticky in [sticky.clone(), sticky.with_optional_separator()] {
            if let Some(route) = sticky.route_of(&value) {
                prop_assert!(value.ends_with(route) && !route.is_empty());
            }
        }
    }

    #[test]
    fn names_are_displayed_as_they_are_parsed(text in "[A-Za-z|=ü ]{0,8}|\\PC{0,8}") {
        if let Ok(sticky) = StickySession::new(&text) {
            prop_assert_eq!(StickySession::new(&sticky.to_string()), Ok(sticky));
        }
    }
}
