//! Property tests of the router: the index finds the same rule as a search of all rules,
//! and no request causes a panic.

use http::header::{COOKIE, HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Redirect, Router, Rule, StaticResponse};
use crate::random::Random;

const HOSTS: &[&str] = &[
    "a.b", "A.b", "x.a.b", "y.x.a.b", "b", "*.a.b", "*.b", "*.x.a.b", "::1",
];
const PATHS: &[&str] = &[
    "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/b", "/b/a", "//", "//a", "/a//b", "/%61",
];
const PATTERNS: &[&str] = &[
    "/{x}",
    "/{*x}",
    "/a/{x}",
    "/a/{*x}",
    "/{x}/b",
    "/{x}/{y}",
    "/a{x}",
    "/{x}/",
    "/{x}/b/{*y}",
    "/{{a}}",
    "/{{a}}/{b}",
    "/a{*x}",
];

fn condition() -> impl Strategy<Value = fn(Rule) -> Rule> {
    select(vec![
        (|rule| rule.method(Method::GET)) as fn(Rule) -> Rule,
        |rule| rule.cookie("c"),
        |rule| rule.cookie_is("c", "1"),
        |rule| rule.query("q"),
        |rule| rule.query_is("q", "1"),
        |rule| rule.percent(50.0),
        |rule| rule.path_regex("b$"),
        |rule| rule.unless(Rule::new().method(Method::GET)),
        |rule| rule.unless(Rule::new().percent(50.0)),
        |rule| rule.any_of([Rule::new().host("a.b"), Rule::new().path("/a/b")]),
        |rule| rule,
        |rule| rule,
    ])
}

fn rule() -> impl Strategy<Value = Rule> {
    let host = proptest::option::of(select(HOSTS));
    let path = prop_oneof![
        Just(None),
        (0..2_u8, select(PATHS)).prop_map(Some),
        select(PATTERNS).prop_map(|pattern| Some((2, pattern))),
    ];
    let conditions = proptest::collection::vec(condition(), 0..3);
    (conditions, host, path, proptest::option::of(select(PATHS))).prop_map(
        |(conditions, host, path, second)| {
            let rule = conditions.iter().fold(Rule::new(), |rule, add| add(rule));
            let rule = match path {
                None => rule,
                Some((0, text)) => rule.path(text),
                Some((1, text)) => rule.path_prefix(text),
                Some((_, text)) => rule.path_pattern(text),
            };
            let rule = match second.filter(|text| text.len() < 3) {
                None => rule,
                Some(text) => rule.path_prefix(text),
            };
            match host {
                None => rule,
                Some(text) => rule.host(text),
            }
        },
    )
}

fn request() -> impl Strategy<Value = Request<()>> {
    let host = select(vec![
        "a.b", "A.B:80", "x.a.b.", "y.x.a.b", "b", "c.b", "[::1]:80", "", ".b", "z",
    ]);
    let path = prop_oneof![
        select(PATHS).prop_map(str::to_owned),
        "(/[ab{}*]{0,2}){1,4}",
        "(/(a|b|%61|%2[fe]|[.]{1,2}|;a|[\\\\])){1,4}",
        Just("*".to_owned()),
    ];
    let query = select(vec!["", "?q", "?q=1", "?p=1&q=2"]);
    let method = select(vec![Method::GET, Method::POST]);
    (
        host,
        path,
        query,
        method,
        select(vec!["", "c=1", "b=0; c=2"]),
    )
        .prop_map(|(host, path, query, method, cookie)| {
            let asked = format!("{path}{query}");
            Request::builder()
                .method(method)
                .uri(if path == "*" { path } else { asked })
                .header(HOST, host)
                .header(COOKIE, cookie)
                .body(())
                .unwrap()
        })
}

fn router(rules: &[Rule], seed: u64) -> Router<()> {
    let builder = Router::builder().random(Random::seeded(seed));
    let add = |builder: super::RouterBuilder<()>, rule: &Rule| builder.service(rule.clone(), ());
    rules.iter().fold(builder, add).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_index_finds_the_first_rule_that_matches(
        rules in proptest::collection::vec(rule(), 0..24),
        requests in proptest::collection::vec(request(), 1..8),
        seed in any::<u64>(),
    ) {
        // Two routers, so that each draws the same random numbers.
        let (fast, slow) = (router(&rules, seed), router(&rules, seed));
        for request in &requests {
            prop_assert_eq!(fast.found(request), slow.found_linearly(request), "{:?}", request);
        }
    }

    #[test]
    fn no_request_panics_a_router(
        host in proptest::collection::vec(any::<u8>(), 0..40),
        authority in "[a-z0-9:@.\\[\\]%]{0,12}",
        path in proptest::collection::vec(any::<u8>(), 0..40),
        headers in proptest::collection::vec(
            (select(vec!["cookie", "host", "x"]), proptest::collection::vec(any::<u8>(), 0..20)),
            0..4,
        ),
    ) {
        let mut request = Request::new(());
        let mut uri = http::uri::Parts::default();
        let path = [b"/", &path[..]].concat();
        uri.path_and_query = PathAndQuery::from_maybe_shared(path).ok();
        uri.authority = authority.parse().ok();
        if uri.authority.is_some() {
            uri.scheme = Some(http::uri::Scheme::HTTP);
        }
        if let Ok(uri) = Uri::from_parts(uri) {
            *request.uri_mut() = uri;
        }
        let host = HeaderValue::from_bytes(&host).map(|host| ("host", host));
        let others = headers.into_iter().filter_map(|(name, value)| {
            Some((name, HeaderValue::from_bytes(&value).ok()?))
        });
        for (name, value) in host.into_iter().chain(others) {
            request.headers_mut().append(name, value);
        }
        for location in ["https://{host}{path}{query}", "{path}{query}", "{rest}", "/{path}"] {
            let router = Router::<tower::util::BoxCloneSyncService<_, http::Response<String>, ()>>::builder()
                .respond(Rule::new().host("a.b").cookie_is("c", "1"), StaticResponse::text(""))
                .respond(Rule::new().host("*.b").query_is("c", "1"), StaticResponse::text(""))
                .respond(Rule::new().header_matches("x", "^y+$").path_pattern("/{x}/y"), StaticResponse::text(""))
                .redirect(Rule::new().path_prefix("/"), Redirect::permanent(location))
                .build()
                .unwrap();
            let response = tower::ServiceExt::oneshot(router, request.clone());
            let response = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(response);
            let response = response.unwrap();
            if let Some(location) = response.headers().get("location") {
                let location = location.to_str().unwrap();
                prop_assert!(location.starts_with("https://") || !location[1..].starts_with(['/', '\\']));
            }
        }
    }
}
