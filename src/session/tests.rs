//! Tables of what a [`StickySession`] finds in whole requests, compared with Apache: the
//! ledger's number marks each deliberate difference. Also hostile input.

use super::{ParseStickySessionError, SessionSource, StickySession};
use http::{HeaderMap, HeaderValue, Request, Uri, header::COOKIE};
use std::borrow::Cow;

const BOTH: &str = "JSESSIONID|jsessionid";

fn sticky(name: &str) -> StickySession {
    StickySession::new(name).expect("the name of a session")
}

fn headers(cookies: &[&[u8]]) -> HeaderMap {
    let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).expect("a header value");
    cookies.iter().map(|bytes| (COOKIE, value(bytes))).collect()
}

/// Where a session was found, and its route: empty if it has none.
fn found(sticky: &StickySession, uri: &str, cookies: &[&[u8]]) -> Option<(SessionSource, String)> {
    let uri = uri.parse::<Uri>().expect("a URI");
    let headers = headers(cookies);
    let presented = sticky.find(&uri, &headers)?;
    let name = match presented.source() {
        SessionSource::Cookie => sticky.cookie_name(),
        SessionSource::Url => sticky.parameter_name(),
    };
    assert_eq!(presented.name(), name);
    assert_ne!(presented.route(), Some(""), "no member has an empty route");
    let route = presented.route().unwrap_or_default().to_owned();
    Some((presented.source(), route))
}

fn in_url(sticky: &StickySession, uri: &str) -> Option<String> {
    let (source, route) = found(sticky, uri, &[])?;
    assert_eq!(source, SessionSource::Url);
    Some(route)
}

fn in_cookie(sticky: &StickySession, cookies: &[&[u8]]) -> Option<String> {
    let (source, route) = found(sticky, "/", cookies)?;
    assert_eq!(source, SessionSource::Cookie);
    Some(route)
}

#[test]
fn a_url_gives_the_route_of_its_first_parameter_that_counts() {
    // The URI, and what is found if a semicolon only starts a name (Off) or also ends a
    // value (On).
    let rows = [
        ("/app/?jsessionid=abc.C", Some("C"), Some("C")),
        ("/app/?x=1&jsessionid=abc.C&y=2", Some("C"), Some("C")),
        ("/app/?JSESSIONID=abc.C", None, None),
        // 13: Apache also finds the name at the end of a longer name.
        ("/app/?xjsessionid=abc.C", None, None),
        ("/app/jsessionid=abc.C", Some("C"), Some("C")),
        // 13: likewise.
        ("/app/xjsessionid=abc.C", None, None),
        ("/app/foo;jsessionid=abc.C", Some("C"), Some("C")),
        ("/app/foo;jsessionid=abc.C?x=1", Some("C"), Some("C")),
        ("/app/foo;jsessionid=abc.C;z=1", Some("C;z=1"), Some("C")),
        // 13: Apache continues after the slash.
        ("/app/foo;jsessionid=abc.C/bar", Some("C"), Some("C")),
        ("/app/foo;jsessionid=abc.C/bar?x=1", Some("C"), Some("C")),
        ("/app/foo%3Bjsessionid=abc.C", Some("C"), Some("C")),
        ("/app/foo;%6Asessionid%3Dabc%2EC", Some("C"), Some("C")),
        // A query is not decoded: the value has no separator.
        ("/app/?jsessionid=abc%2EC", Some(""), Some("")),
        ("/app/?%6Asessionid=abc.C", None, None),
        ("/app/?jsessionid=a.C&jsessionid=a.B", Some("C"), Some("C")),
        ("/app/?jsessionid=", None, None),
        // 13: Apache skips the delimiter and takes what follows as the value.
        ("/app/?jsessionid=&x=1", None, None),
        ("/app/?jsessionid=&jsessionid=a.C", Some("C"), Some("C")),
        ("/app/?jsessionid=&a.B", None, None),
        ("/app/;jsessionid=", None, None),
        ("/app/;jsessionid=?jsessionid=a.C", Some("C"), Some("C")),
        ("/app/;jsessionid=/a.B", None, None),
        ("/app/;jsessionid=a.C?jsessionid=a.B", Some("C"), Some("C")),
        // A slash in a query, or an escaped one, is part of the value.
        ("/app/?jsessionid=a/b.C", Some("C"), Some("C")),
        ("/app/;jsessionid=a%2Fb.C", Some("C"), Some("C")),
        // 13: and no name begins after it.
        ("/app/?next=/jsessionid=abc.C", None, None),
        ("/app%2Fjsessionid=abc.C", None, None),
        ("/app/?x=1;jsessionid=abc.C", Some("C"), Some("C")),
        ("/app/?jsessionid=abc.C;x=1", Some("C;x=1"), Some("C")),
        ("/app/?jsessionid", None, None),
        ("/app/?jsessionid&jsessionid=a.C", Some("C"), Some("C")),
        ("/app/?jsessionid?jsessionid=a.C?x", Some("C"), Some("C")),
        ("/app/?jsessionid=a.C#jsessionid", Some("C"), Some("C")),
        ("/", None, None),
        ("*", None, None),
        ("example.org:443", None, None),
    ];
    let off = sticky(BOTH);
    let on = sticky(BOTH).with_semicolon_path_delimiter();
    for (uri, route_off, route_on) in rows {
        assert_eq!(in_url(&off, uri).as_deref(), route_off, "Off: {uri}");
        assert_eq!(in_url(&on, uri).as_deref(), route_on, "On: {uri}");
    }
}

#[test]
fn a_name_that_is_in_the_path_without_a_value_does_not_hide_the_query() {
    let sticky = sticky("SID");
    assert_eq!(in_url(&sticky, "/app/SIDE?SID=1.C").as_deref(), Some("C"));
    assert_eq!(in_url(&sticky, "/app/SID?SID=1.C").as_deref(), Some("C"));
    assert_eq!(in_url(&sticky, "http://SID/?SID=1.C").as_deref(), Some("C"));
}

#[test]
fn a_broken_escape_in_the_path_stands_for_itself() {
    let sticky = sticky(BOTH);
    let rows = [
        ("/a%", None),
        ("/%", None),
        ("/a;jsessionid=%", Some("")),
        ("/a;jsessionid=x.C%", Some("C%")),
        ("/a;jsessionid=x.%zz", Some("%zz")),
        ("/a%;jsessionid=x.C", Some("C")),
        ("/a%3;jsessionid=x.C", Some("C")),
        ("/a%zz;jsessionid=x.C", Some("C")),
        ("/a;jsessionid%=x.C", None),
        ("/a;jsessionid%3=x.C", None),
    ];
    for (uri, route) in rows {
        assert_eq!(in_url(&sticky, uri).as_deref(), route, "{uri}");
    }
}

#[test]
fn a_value_in_the_path_that_is_not_utf_8_is_passed_over() {
    let sticky = sticky(BOTH);
    assert_eq!(in_url(&sticky, "/a;jsessionid=%ff.C"), None);
    let uri = "/a;jsessionid=%ff.C/b;jsessionid=x.B";
    assert_eq!(in_url(&sticky, uri).as_deref(), Some("B"));
    // The second name is inside the first value, unless a semicolon ends it.
    let uri = "/a;jsessionid=%ff;jsessionid=x.B";
    assert_eq!(in_url(&sticky, uri), None);
    let on = sticky.clone().with_semicolon_path_delimiter();
    assert_eq!(in_url(&on, uri).as_deref(), Some("B"));
    let found = found(&sticky, "/a;jsessionid=%ff.C", &[b"JSESSIONID=x.B"]);
    assert_eq!(found, Some((SessionSource::Cookie, "B".into())));
}

#[test]
fn cookies_give_the_route_of_the_first_one_that_counts() {
    let rows: [(&[&[u8]], Option<&str>); 33] = [
        (&[b"JSESSIONID=abc.B"], Some("B")),
        (&[b"x=1; JSESSIONID=abc.B; y=2"], Some("B")),
        (&[b"x=1,JSESSIONID=abc.B,y=2"], Some("B")),
        (&[b"x=1;JSESSIONID=abc.B;y=2"], Some("B")),
        (&[b"JSESSIONID = abc.B"], Some("B")),
        (&[b"JSESSIONID\t=\tabc.B"], Some("B")),
        (&[b"XJSESSIONID=abc.B"], None),
        (&[b"x=JSESSIONID=abc.B"], None),
        (&[b"x=\"JSESSIONID=abc.B\""], None),
        (&[b"x JSESSIONID=abc.B"], Some("B")),
        (&[b"$Version=1; JSESSIONID=abc.B; $Path=/"], Some("B")),
        (&[b"JSESSIONIDX=abc.C; JSESSIONID=abc.B"], Some("B")),
        (&[b"JSESSIONID JSESSIONID=abc.B"], Some("B")),
        (&[b"JSESSIONID; JSESSIONID=abc.B"], Some("B")),
        (&[b"JSESSIONID=abc.B; JSESSIONID=abc.C"], Some("B")),
        // 13: an empty value ends Apache's search, and Apache keeps quotes and blanks.
        (&[b"JSESSIONID=; JSESSIONID=abc.C"], Some("C")),
        (&[b"JSESSIONID= ; JSESSIONID=abc.C"], Some("C")),
        (&[b"JSESSIONID=\"\"; JSESSIONID=abc.C"], Some("C")),
        (&[b"JSESSIONID=\"abc.B\""], Some("B")),
        (&[b"JSESSIONID=\"abc.B\" ; x=1"], Some("B")),
        (&[b"JSESSIONID=abc.B ; x=1"], Some("B")),
        (&[b"JSESSIONID=abc.B\t"], Some("B")),
        (&[b"JSESSIONID=\"abc.B"], Some("B")),
        (&[b"JSESSIONID=abc.B\""], Some("B\"")),
        (&[b"jsessionid=abc.B"], None),
        (&[b"JSESSIONID="], None),
        (&[b"JSESSIONID"], None),
        // 14: without a separator there is no route, and the first value still ends the
        // search.
        (&[b"JSESSIONID=B"], Some("")),
        (&[b"JSESSIONID=abc; JSESSIONID=abc.C"], Some("")),
        (&[b"JSESSIONID=abc.; JSESSIONID=abc.C"], Some("")),
        // 13: Apache joins headers with a comma, with the same result.
        (&[b"x=1", b"JSESSIONID=abc.B"], Some("B")),
        (
            &[b"JSESSIONID=", b"JSESSIONID=abc.B", b"JSESSIONID=abc.C"],
            Some("B"),
        ),
        (&[], None),
    ];
    let sticky = sticky(BOTH);
    for (cookies, route) in rows {
        let shown: Vec<_> = cookies
            .iter()
            .map(|it| String::from_utf8_lossy(it))
            .collect();
        assert_eq!(in_cookie(&sticky, cookies).as_deref(), route, "{shown:?}");
    }
}

#[test]
fn a_cookie_that_is_not_utf_8_is_passed_over() {
    let sticky = sticky(BOTH);
    let rows: [(&[u8], Option<&str>); 4] = [
        (b"JSESSIONID=\xff\xfe.B", None),
        (b"JSESSIONID=\xff.B; JSESSIONID=abc.C", Some("C")),
        (b"\xff\xfe=\x80; JSESSIONID=abc.C; \xc3", Some("C")),
        (b"JSESSIONID=\xc3\xbc.B", Some("B")),
    ];
    for (cookies, route) in rows {
        assert_eq!(
            in_cookie(&sticky, &[cookies]).as_deref(),
            route,
            "{cookies:?}"
        );
    }
}

#[test]
fn a_session_in_the_url_comes_before_one_in_a_cookie() {
    // Ledger 12.
    let sticky = sticky(BOTH);
    let cookies: &[&[u8]] = &[b"JSESSIONID=abc.B"];
    let rows = [
        ("/?jsessionid=abc.C", SessionSource::Url, "C"),
        ("/;jsessionid=abc.C", SessionSource::Url, "C"),
        // 14: the value has no route, but the cookie is not read.
        ("/?jsessionid=abc", SessionSource::Url, ""),
        ("/?jsessionid=abc.", SessionSource::Url, ""),
        ("/?jsessionid=", SessionSource::Cookie, "B"),
        ("/;jsessionid=", SessionSource::Cookie, "B"),
        ("/?JSESSIONID=abc.C", SessionSource::Cookie, "B"),
        ("/", SessionSource::Cookie, "B"),
    ];
    for (uri, source, route) in rows {
        assert_eq!(
            found(&sticky, uri, cookies),
            Some((source, route.to_owned())),
            "{uri}"
        );
    }
}

#[test]
fn a_value_without_separator_is_a_route_in_itself_where_that_is_allowed() {
    // Ledger 14, the option.
    let sticky = sticky("SID").with_optional_separator();
    assert_eq!(in_url(&sticky, "/?SID=C").as_deref(), Some("C"));
    assert_eq!(in_url(&sticky, "/a;SID=%43").as_deref(), Some("C"));
    assert_eq!(in_cookie(&sticky, &[b"SID=B"]).as_deref(), Some("B"));
    let found = found(&sticky, "/?SID=C", &[b"SID=abc.B"]);
    assert_eq!(found, Some((SessionSource::Url, "C".into())));
}

#[test]
fn without_a_separator_the_blanks_around_a_cookie_are_no_part_of_the_route() {
    // Ledger 13.
    let sticky = sticky("SID").without_separator();
    assert_eq!(
        in_cookie(&sticky, &[b"SID = a.B ; x"]).as_deref(),
        Some("a.B")
    );
}

#[test]
fn a_cookie_that_only_carries_the_route_needs_its_leading_separator() {
    let sticky = sticky("ROUTEID");
    assert_eq!(in_cookie(&sticky, &[b"ROUTEID=.1"]).as_deref(), Some("1"));
    assert_eq!(in_cookie(&sticky, &[b"ROUTEID=.9"]).as_deref(), Some("9"));
    assert_eq!(in_cookie(&sticky, &[b"ROUTEID=1"]).as_deref(), Some(""));
    assert_eq!(in_cookie(&sticky, &[b"ROUTEID=."]).as_deref(), Some(""));
}

#[test]
fn only_a_value_with_escapes_in_the_path_is_copied() {
    let sticky = sticky(BOTH);
    let rows = [
        ("/a;jsessionid=abc.C", false),
        ("/%20/a%20b;jsessionid=abc.C/%20", false),
        ("/?jsessionid=%20.C", false),
        ("/?jsessionid=abc.%43", false),
        ("/a;jsessionid=%20.C", true),
    ];
    for (uri, copied) in rows {
        let uri = uri.parse::<Uri>().expect("a URI");
        let headers = HeaderMap::new();
        let route = sticky
            .find(&uri, &headers)
            .and_then(|session| session.into_route());
        assert_eq!(matches!(route, Some(Cow::Owned(_))), copied, "{uri}");
        assert!(route.is_some());
    }
}

#[test]
fn the_head_of_a_request_is_read_like_its_uri_and_headers() {
    let request = Request::get("/?jsessionid=abc.C")
        .body(())
        .expect("a request");
    let (parts, ()) = request.into_parts();
    let sticky = sticky(BOTH);
    let presented = sticky.find_in_parts(&parts);
    assert!(presented.is_some());
    assert_eq!(presented, sticky.find(&parts.uri, &parts.headers));
}

#[test]
fn a_megabyte_of_cookies_is_read_in_one_pass() {
    const MEGABYTE: usize = 1 << 20;
    let sticky = sticky(BOTH);
    for unit in [
        "JSESSIONID",
        "JSESSIONID ",
        "JSESSIONID=;",
        "JSESSIONID= ",
        "JSESSIONID=\"\",",
        "JSESSIONI=1; ",
        " ",
        "=",
        "\"",
        "; ",
        ";,",
        "x=1; ",
    ] {
        let mut cookies = unit.repeat(MEGABYTE / unit.len());
        let alone = in_cookie(&sticky, &[cookies.as_bytes()]);
        assert!(alone.is_none_or(|route| route.is_empty()), "{unit}");
        cookies.push_str("; JSESSIONID=abc.B");
        let expected = if unit == "JSESSIONID= " { "" } else { "B" };
        let found = in_cookie(&sticky, &[cookies.as_bytes()]);
        assert_eq!(found.as_deref(), Some(expected), "{unit}");
    }
    let unreadable = b"JSESSIONID=\xff ".repeat(MEGABYTE / 13);
    assert_eq!(in_cookie(&sticky, &[&unreadable]), None);
    let blanks = [
        &b"x"[..],
        &b" ".repeat(MEGABYTE),
        b"JSESSIONID",
        &b" ".repeat(MEGABYTE),
        b"=abc.B",
    ]
    .concat();
    assert_eq!(in_cookie(&sticky, &[&blanks]).as_deref(), Some("B"));
}

#[test]
fn five_thousand_cookies_are_searched_to_the_last() {
    let sticky = sticky(BOTH);
    let mut cookies: Vec<_> = (0..5_000).map(|i| format!("JSESSIONID{i}=x.A")).collect();
    cookies.push("JSESSIONID=abc.B".into());
    let one = cookies.join("; ");
    assert_eq!(in_cookie(&sticky, &[one.as_bytes()]).as_deref(), Some("B"));
    let many: Vec<_> = cookies.iter().map(|it| it.as_bytes()).collect();
    assert_eq!(in_cookie(&sticky, &many).as_deref(), Some("B"));
}

#[test]
fn the_longest_url_is_read_in_one_pass() {
    const LONGEST: usize = 65_000;
    let sticky = sticky(BOTH);
    for unit in [
        "jsessionid",
        "jsessionid=;",
        "jsessionid=&",
        ";jsessionid=%ff",
        ";jsessionid=%ff/",
        "%6asessionid",
        "%",
        "%3b",
        ";",
        "/",
    ] {
        let long = unit.repeat(LONGEST / unit.len());
        let route = in_url(&sticky, &format!("/{long}/;jsessionid=abc.C"));
        let expected = if unit == "jsessionid=;" { "" } else { "C" };
        assert_eq!(route.as_deref(), Some(expected), "{unit}");
    }
}

#[test]
fn a_route_may_be_ten_kilobytes_long() {
    let sticky = sticky(BOTH);
    let route = "C".repeat(10_000);
    let value = format!("abc.{route}");
    let cookie = format!("JSESSIONID={value}");
    assert_eq!(
        in_cookie(&sticky, &[cookie.as_bytes()]),
        Some(route.clone())
    );
    assert_eq!(
        in_url(&sticky, &format!("/?jsessionid={value}")),
        Some(route.clone())
    );
    assert_eq!(
        in_url(&sticky, &format!("/;jsessionid={value}")),
        Some(route)
    );
}

#[test]
fn the_first_bar_divides_the_names_and_one_name_serves_both() {
    let rows = [
        ("SID", "SID", "SID", "SID"),
        ("SID|sid", "SID", "sid", "SID|sid"),
        ("SID|a|b", "SID", "a|b", "SID|a|b"),
        ("SID||", "SID", "|", "SID||"),
        ("SID|SID", "SID", "SID", "SID"),
        ("ü", "ü", "ü", "ü"),
    ];
    for (text, cookie, parameter, displayed) in rows {
        let sticky = sticky(text);
        assert_eq!(sticky.cookie_name(), cookie);
        assert_eq!(sticky.parameter_name(), parameter);
        assert_eq!(sticky.to_string(), displayed);
        assert_eq!(StickySession::new(displayed), Ok(sticky));
    }
}

#[test]
fn a_name_that_could_never_be_found_is_refused() {
    use ParseStickySessionError as Error;
    let rows = [
        ("", Error::NoName),
        ("|", Error::NoCookieName),
        ("|sid", Error::NoCookieName),
        ("SID|", Error::NoParameterName),
        ("SID | sid", Error::UnmatchableCharacter(' ')),
        ("SID|s id", Error::UnmatchableCharacter(' ')),
        ("S\0ID", Error::UnmatchableCharacter('\0')),
        ("SID\n", Error::UnmatchableCharacter('\n')),
        ("SID=", Error::UnmatchableCharacter('=')),
        ("SID;sid", Error::UnmatchableCharacter(';')),
        ("SID,sid", Error::UnmatchableCharacter(',')),
    ];
    for (text, error) in rows {
        assert_eq!(StickySession::new(text), Err(error), "{text:?}");
    }
}

#[test]
fn a_setting_changes_itself_and_nothing_else() {
    let plain = sticky(BOTH);
    assert_eq!(plain.separator(), Some('.'));
    assert!(!plain.has_no_failover());
    assert!(!plain.has_semicolon_path_delimiter());
    assert!(!plain.has_optional_separator());

    let set = plain
        .with_separator('!')
        .with_no_failover()
        .with_semicolon_path_delimiter()
        .with_optional_separator();
    assert_eq!(set.separator(), Some('!'));
    assert!(set.has_no_failover());
    assert!(set.has_semicolon_path_delimiter());
    assert!(set.has_optional_separator());
    assert_eq!(set.to_string(), BOTH);
    assert_eq!(set.without_separator().separator(), None);
}

#[test]
fn what_is_found_can_be_sent_to_another_thread() {
    fn assert_send_and_sync<T: Send + Sync + 'static>() {}
    assert_send_and_sync::<StickySession>();
    assert_send_and_sync::<super::PresentedSession<'static>>();
    assert_send_and_sync::<ParseStickySessionError>();
}
