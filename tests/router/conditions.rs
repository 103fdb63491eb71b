//! Each condition against requests that meet it, and against those that nearly do.

use std::net::SocketAddr;

use equipoise::proxy::{ClientAddr, Rule, StaticResponse};
use http::request::Builder;
use http::{Method, Request, Version};

use crate::{ask, builder, meets};

/// As HTTP/1.1 has it.
fn get(host: &str, path: &str) -> Builder {
    Request::get(path).header("host", host)
}

#[tokio::test]
async fn the_first_rule_that_matches_wins_whatever_follows() {
    let answer = |builder: equipoise::proxy::RouterBuilder<_>, rule, name: &'static str| {
        builder.respond(rule, StaticResponse::text(name))
    };
    let mut builder = builder();
    for (rule, name) in [
        (Rule::new().path("/a/exact"), "exact"),
        (Rule::new().path_prefix("/a/b"), "deeper prefix"),
        (Rule::new().path_pattern("/{x}/c"), "pattern"),
        (Rule::new().path_prefix("/a"), "prefix"),
        (Rule::new().path("/a/late"), "late"),
        (Rule::new().host("h.example.com"), "host"),
        (Rule::new().host("*.example.com"), "hosts"),
        (Rule::new().path_regex("z$"), "regex"),
        (Rule::new().host("other.example.com"), "late host"),
        (Rule::new().method(Method::PUT), "put"),
    ] {
        builder = answer(builder, rule, name);
    }
    let router = builder.build().unwrap();
    let rows = [
        (get("h", "/a/exact"), "exact"),
        (get("h", "/a/b"), "deeper prefix"),
        (get("h", "/a/c"), "pattern"),
        (get("h", "/a/b/c"), "deeper prefix"),
        (get("h.example.com", "/a/late"), "prefix"),
        (get("h.example.com", "/z"), "host"),
        (get("other.example.com", "/z"), "hosts"),
        (get("h", "/z"), "regex"),
        (get("h", "/y"), "no rule"),
        (get("h", "/y").method(Method::PUT), "put"),
    ];
    for (request, name) in rows {
        let asked = format!("{request:?}");
        assert_eq!(ask(&router, request).await.1, name, "{asked}");
    }
}

#[tokio::test]
async fn a_host_is_that_of_the_request_line_or_else_of_the_header() {
    let rows = [
        (get("a.example.com", "/"), true),
        (get("A.Example.COM.:8080", "/"), true),
        (get("b.example.com", "/"), false),
        (get("a.example.com:x", "/"), false),
        (Request::get("/"), false),
        (
            Request::get("https://a.example.com/x").version(Version::HTTP_2),
            true,
        ),
        (Request::get("http://a.example.com:80/x"), true),
        (Request::get("http://user@a.example.com/x"), true),
        (get("b.example.com", "http://a.example.com/"), true),
        (get("a.example.com", "http://b.example.com/"), false),
        (Request::connect("a.example.com:443"), true),
        (
            get("a.example.com", "/").header("host", "a.example.com"),
            false,
        ),
    ];
    for (request, met) in rows {
        let asked = format!("{request:?}");
        assert_eq!(
            meets(Rule::new().host("a.Example.com"), request).await,
            met,
            "{asked}"
        );
    }
}

#[tokio::test]
async fn an_asterisk_is_one_label_or_more() {
    for (host, met) in [
        ("x.example.com", true),
        ("y.x.example.com:80", true),
        ("example.com", false),
        (".example.com", false),
        ("badexample.com", false),
    ] {
        let rule = Rule::new().host("*.example.com");
        assert_eq!(meets(rule, get(host, "/")).await, met, "{host}");
    }
}

#[tokio::test]
async fn an_ipv6_address_is_the_same_however_it_is_written() {
    for rule in ["::1", "[::1]", "0:0::1"] {
        for host in ["[::1]", "[::1]:80", "[0:0:0::1]"] {
            assert!(meets(Rule::new().host(rule), get(host, "/")).await);
        }
        assert!(!meets(Rule::new().host(rule), get("[::2]", "/")).await);
    }
}

#[tokio::test]
async fn a_path_is_the_whole_of_it_a_prefix_ends_where_a_segment_does() {
    let rows = [
        (Rule::new().path("/a"), "/a?b=c", true),
        (Rule::new().path("/a"), "/a/", false),
        (Rule::new().path("/a"), "/%61", true),
        (Rule::new().path("/%61"), "/%61", true),
        (Rule::new().path("/a"), "/A", false),
        (Rule::new().path_prefix("/app"), "/app", true),
        (Rule::new().path_prefix("/app"), "/app/x", true),
        (Rule::new().path_prefix("/app"), "/application", false),
        (Rule::new().path_prefix("/app/"), "/app", false),
        (Rule::new().path_prefix("/"), "/anything", true),
        (Rule::new().path_pattern("/users/{id}"), "/users/7", true),
        (Rule::new().path_pattern("/users/{id}"), "/users/7/x", false),
        (
            Rule::new().path_pattern("/files/{*rest}"),
            "/files/a/b",
            true,
        ),
        (Rule::new().path_pattern("/files/{*rest}"), "/files/", false),
        (Rule::new().path_regex("^/v[0-9]+/"), "/v12/x", true),
        (Rule::new().path_regex("^/v[0-9]+/"), "/x/v12/", false),
        (Rule::new().path_regex("^/a$"), "/a?b", true),
    ];
    for (rule, path, met) in rows {
        let row = format!("{rule:?} {path}");
        assert_eq!(meets(rule, get("h", path)).await, met, "{row}");
    }
}

#[tokio::test]
async fn methods_headers_and_queries_are_conditions() {
    let post = || get("h", "/?a=1&b&c=%41").method(Method::POST);
    let full = || {
        post()
            .header("x", "one")
            .header("x", "two")
            .header("y", &b"\xff"[..])
    };
    let rows = [
        (Rule::new().method(Method::POST), true),
        (Rule::new().methods([Method::GET, Method::HEAD]), false),
        (Rule::new().header("X"), true),
        (Rule::new().header("z"), false),
        (Rule::new().header_is("x", "two"), true),
        (Rule::new().header_is("x", "Two"), false),
        (Rule::new().header_matches("x", "^o"), true),
        (Rule::new().header_matches("x", "^w"), false),
        (Rule::new().header_matches("y", "."), false),
        (Rule::new().header_matches("y", "(?-u:\\xff)"), true),
        (Rule::new().query("a"), true),
        (Rule::new().query("b"), true),
        (Rule::new().query("d"), false),
        (Rule::new().query_is("a", "1"), true),
        (Rule::new().query_is("a", "2"), false),
        (Rule::new().query_is("b", ""), true),
        (Rule::new().query_is("c", "A"), false),
        (Rule::new().query_is("c", "%41"), true),
        (Rule::new().method(Method::POST).header("z"), false),
        (
            Rule::new().method(Method::POST).header("x").query("a"),
            true,
        ),
    ];
    for (rule, met) in rows {
        let row = format!("{rule:?}");
        assert_eq!(meets(rule, full()).await, met, "{row}");
    }
}

#[tokio::test]
async fn cookies_are_read_as_sessions_read_them() {
    let rows = [
        ("c=yes", true, true),
        ("b=1; c=yes", true, true),
        ("b=1,c = \"yes\" ", true, true),
        ("c=no; c=yes", true, true),
        ("c=no", true, false),
        ("c=", true, false),
        ("xc=yes", false, false),
        ("b=c=yes", false, false),
        ("c", false, false),
    ];
    for (cookies, has, is) in rows {
        let request = || get("h", "/").header("cookie", cookies);
        assert_eq!(
            meets(Rule::new().cookie("c"), request()).await,
            has,
            "{cookies}"
        );
        let rule = Rule::new().cookie_is("c", "yes");
        assert_eq!(meets(rule, request()).await, is, "{cookies}");
    }
    // HTTP/2 may send each in a field of its own.
    let crumbs = get("h", "/")
        .header("cookie", "a=1")
        .header("cookie", "c=yes");
    assert!(meets(Rule::new().cookie_is("c", "yes"), crumbs).await);
}

#[tokio::test]
async fn a_client_is_where_its_address_is() {
    let from = |address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        get("h", "/").extension(ClientAddr(address))
    };
    let rule =
        || Rule::new().client_in(["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    for (address, met) in [
        ("10.1.2.3:4", true),
        ("11.1.2.3:4", false),
        ("[fd00::1]:4", true),
        ("[fe80::1]:4", false),
        ("[::ffff:10.1.2.3]:4", true),
    ] {
        assert_eq!(meets(rule(), from(address)).await, met, "{address}");
    }
    assert!(!meets(rule(), get("h", "/")).await, "from nowhere");
}

#[tokio::test]
async fn rules_can_be_joined_and_turned_round() {
    let either = || {
        let rules = [Rule::new().host("a"), Rule::new().host("b").path("/b")];
        Rule::new()
            .any_of(rules)
            .unless(Rule::new().query("no").header("x"))
    };
    for (request, met) in [
        (get("a", "/"), true),
        (get("b", "/"), false),
        (get("b", "/b"), true),
        (get("c", "/b"), false),
        (get("a", "/?no"), true),
        (get("a", "/?no").header("x", ""), false),
    ] {
        let asked = format!("{request:?}");
        assert_eq!(meets(either(), request).await, met, "{asked}");
    }
    assert!(meets(Rule::new(), get("a", "/")).await);
}
