//! Cookies and URLs that no browser sends.

use crate::support::assert_sound;
use equipoise::{Balancer, MemberSpec, PickRequest, Session, StickySession};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Uri};

struct Site {
    balancer: Balancer<()>,
    sticky: StickySession,
}

impl Site {
    fn new() -> Self {
        let member = |name: &'static str| (name, (), MemberSpec::new().with_route(name));
        Self {
            balancer: Balancer::builder()
                .members(["A", "B"].map(member))
                .build()
                .unwrap(),
            sticky: StickySession::new("JSESSIONID|jsessionid").unwrap(),
        }
    }

    /// Who serves, and how the session fared.
    fn visit(&self, uri: &str, cookies: &[Vec<u8>]) -> (String, Session) {
        let uri: Uri = uri.parse().unwrap();
        let value = |cookie: &Vec<u8>| (COOKIE, HeaderValue::from_bytes(cookie).unwrap());
        let headers: HeaderMap = cookies.iter().map(value).collect();
        let presented = self.sticky.find(&uri, &headers);
        let route = presented.as_ref().and_then(|presented| presented.route());
        let request = PickRequest::new().with_session(route);
        let lease = self.balancer.pick(&request).unwrap();
        (lease.member().name().to_owned(), lease.session())
    }
}

/// The cookie of a session on B.
fn b() -> Vec<u8> {
    b"JSESSIONID=abc.B".to_vec()
}

#[test]
fn cookies_of_a_megabyte_are_read_to_their_end() {
    let rows: [(&str, Vec<u8>); 6] = [
        ("one value", b"x".repeat(1 << 20)),
        ("blanks", b" ".repeat(1 << 20)),
        ("separators", b";".repeat(1 << 20)),
        ("names without value", b"JSESSIONID ".repeat(95_000)),
        ("empty values", b"JSESSIONID=;".repeat(87_000)),
        ("quotes", b"\"".repeat(1 << 20)),
    ];
    for (what, filler) in rows {
        let site = Site::new();
        let mut cookie = [filler, b"; ".to_vec()].concat();
        assert_eq!(
            site.visit("/", &[cookie.clone()]),
            ("A".into(), Session::New),
            "{what}"
        );
        cookie.extend(b());
        assert_eq!(
            site.visit("/", &[cookie]),
            ("B".into(), Session::Hit),
            "{what}"
        );
        assert_sound(&site.balancer);
    }
}

#[test]
fn a_route_of_a_megabyte_belongs_to_nobody() {
    let site = Site::new();
    let cookie = [b"JSESSIONID=abc.".to_vec(), b"B".repeat(1 << 20)].concat();
    assert_eq!(site.visit("/", &[cookie]), ("A".into(), Session::Lost));
    assert_sound(&site.balancer);
}

#[test]
fn five_thousand_cookies_are_searched_in_one_line_or_in_as_many() {
    let site = Site::new();
    let pieces = || (0..5_000).map(|at| format!("c{at}=v.{at}"));
    let line = pieces().collect::<Vec<_>>().join("; ") + "; JSESSIONID=abc.B";
    assert_eq!(
        site.visit("/", &[line.into_bytes()]),
        ("B".into(), Session::Hit)
    );
    let mut lines: Vec<Vec<u8>> = pieces().map(String::into_bytes).collect();
    lines.push(b());
    assert_eq!(site.visit("/", &lines), ("B".into(), Session::Hit));

    // Of many sessions the first counts.
    let sessions = vec![b(); 5_000];
    assert_eq!(site.visit("/", &sessions), ("B".into(), Session::Hit));
    assert_sound(&site.balancer);
}

#[test]
fn bytes_that_are_no_text_are_as_if_not_sent() {
    let site = Site::new();
    let broken = b"JSESSIONID=abc.\xff\xfe".to_vec();
    assert_eq!(
        site.visit("/", std::slice::from_ref(&broken)),
        ("A".into(), Session::New)
    );
    assert_eq!(site.visit("/", &[broken, b()]), ("B".into(), Session::Hit));
    let foreign = b"other=\x80\x81; JSESSIONID=abc.B".to_vec();
    assert_eq!(site.visit("/", &[foreign]), ("B".into(), Session::Hit));
    assert_eq!(
        site.visit("/;jsessionid=abc.%ff", &[b()]),
        ("B".into(), Session::Hit)
    );
    assert_eq!(site.visit("/;jsessionid=abc.%zz", &[]).1, Session::Lost);
    assert_sound(&site.balancer);
}

#[test]
fn a_route_of_ten_kilobytes_is_found_where_a_member_has_it_and_nowhere_else() {
    let site = Site::new();
    let route = "r".repeat(10_000);
    let uri = format!("/app;jsessionid=abc.{route}");
    let in_query = format!("/app?jsessionid=abc.{route}");
    assert_eq!(site.visit(&uri, &[]).1, Session::Lost);
    let spec = MemberSpec::new()
        .with_route(&route)
        .with_redirect_route(&route);
    site.balancer.insert("long", (), spec.with_tier(1)).unwrap();
    assert_eq!(site.visit(&uri, &[]), ("long".into(), Session::Hit));
    assert_eq!(site.visit(&in_query, &[]), ("long".into(), Session::Hit));
    let cookie = format!("JSESSIONID=abc.{route}").into_bytes();
    assert_eq!(site.visit("/", &[cookie]), ("long".into(), Session::Hit));
    let shorter = format!("/app;jsessionid=abc.{}", &route[1..]);
    assert_eq!(site.visit(&shorter, &[]).1, Session::Lost);
    assert_sound(&site.balancer);
}

#[test]
fn a_parameter_with_nothing_behind_it_is_no_session() {
    for uri in [
        "/app;jsessionid=",
        "/app;jsessionid=/x",
        "/app?jsessionid=",
        "/app?jsessionid=&x=1",
        "/app;jsessionid",
        "*",
    ] {
        let site = Site::new();
        assert_eq!(site.visit(uri, &[]), ("A".into(), Session::New), "{uri}");
        assert_eq!(site.visit(uri, &[b()]), ("B".into(), Session::Hit), "{uri}");
    }
}

#[test]
fn an_empty_route_is_a_new_session() {
    let site = Site::new();
    for value in ["abc.", ".", "...", "abc"] {
        let (_, session) = site.visit("/", &[format!("JSESSIONID={value}").into_bytes()]);
        let expected = if value == "..." {
            Session::Lost
        } else {
            Session::New
        };
        assert_eq!(session, expected, "{value}");
    }
    assert_sound(&site.balancer);
}

#[test]
fn a_path_of_nothing_but_parameters_is_searched_once() {
    let site = Site::new();
    let path = "/".to_owned() + &";jsessionid=".repeat(5_000) + ";jsessionid=abc.B";
    let sticky = site.sticky.clone().with_semicolon_path_delimiter();
    let site = Site { sticky, ..site };
    assert_eq!(site.visit(&path, &[]), ("B".into(), Session::Hit));
    let escapes = "/".to_owned() + &"%3Bjsessionid%3D".repeat(3_000);
    assert_eq!(site.visit(&escapes, &[b()]), ("B".into(), Session::Hit));
}

#[test]
fn names_under_which_nothing_can_be_found_are_refused() {
    for name in [
        "", "|", "a|", "|b", "a b", "a=b", "a;b", "a,b", "a\0", "a\nb",
    ] {
        assert!(StickySession::new(name).is_err(), "{name:?}");
    }
}
