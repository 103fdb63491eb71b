//! Cookies of members: section 8.4, and case 26 of section 10.

use equipoise::proxy::CookieMap;
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

fn seen(map: &CookieMap, cookie: &'static str) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(SET_COOKIE, HeaderValue::from_static(cookie));
    map.rewrite(&mut headers);
    headers[SET_COOKIE].to_str().unwrap().to_owned()
}

#[test]
fn only_attributes_are_rewritten_and_not_what_looks_like_them() {
    // Case 26 (PR 61560).
    let map = CookieMap::new().with_domain("local", "remote").unwrap();
    let map = map.with_path("/local", "/remote").unwrap();
    let rows = [
        (
            "fakedomain=local;domain=local",
            "fakedomain=local;domain=remote",
        ),
        (
            "fakepath=/local;path=/local",
            "fakepath=/local;path=/remote",
        ),
        (
            "domain=local;path=/local;foo=bar",
            "domain=remote;path=/remote;foo=bar",
        ),
    ];
    for (cookie, expected) in rows {
        assert_eq!(seen(&map, cookie), expected);
    }
}

#[test]
fn the_whole_path_is_replaced() {
    // Section 8.4, and row 26 of section 13.
    let map = CookieMap::new().with_path("/", "/app").unwrap();
    assert_eq!(seen(&map, "a=b; Path=/foo/bar"), "a=b; Path=/app");
    assert_eq!(seen(&map, "a=b; Path=x"), "a=b; Path=x");
}

#[test]
fn the_first_rule_that_matches_decides_and_the_last_path_counts() {
    // Section 8.4.
    let map = CookieMap::new().with_path("/a", "/1").unwrap();
    let map = map.with_path("/a/b", "/2").unwrap();
    assert_eq!(seen(&map, "x=y; path=/a/b"), "x=y; path=/1");
    assert_eq!(seen(&map, "x=y; PATH=/a; Path=/c"), "x=y; PATH=/a; Path=/c");
    assert_eq!(seen(&map, "x=y; Path=/c; PATH=/a"), "x=y; Path=/c; PATH=/1");
}

#[test]
fn a_domain_matches_by_its_beginning_in_any_case() {
    // Section 8.4.
    let map = CookieMap::new().with_domain("int.example", "pub.example");
    let map = map.unwrap().with_path("/", "/app").unwrap();
    let rows = [
        ("a=b; Domain=int.example.org", "a=b; Domain=pub.example"),
        ("a=b; Domain=INT.EXAMPLE", "a=b; Domain=pub.example"),
        ("a=b; Domain=.int.example", "a=b; Domain=.int.example"),
        (
            "a=b; domain=int.example; path=/x",
            "a=b; domain=pub.example; path=/app",
        ),
        (
            "a=b; path=/x; domain=int.example",
            "a=b; path=/app; domain=pub.example",
        ),
    ];
    for (cookie, expected) in rows {
        assert_eq!(seen(&map, cookie), expected);
    }
}
