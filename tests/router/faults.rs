//! Rules that a router rejects when it is built, and the errors.

use std::error::Error;

use equipoise::proxy::{Redirect, Router, Rule, RuleError, StaticResponse};
use http::StatusCode;

use crate::builder;

#[test]
fn a_wrong_rule_is_named_with_what_to_write_instead() {
    let rows = [
        (
            Rule::new().host("a:80"),
            "rule 2: `a:80` is not a valid host: remove the port",
        ),
        (
            Rule::new().path("a"),
            "rule 2: `a` is not a valid path: begin it with a slash",
        ),
        (
            Rule::new().path_pattern("/{*a}/b"),
            "rule 2: `/{*a}/b` is not a valid path pattern: put `{*rest}` at its end",
        ),
        (
            Rule::new().path_regex("("),
            "rule 2: `(` is not a regular expression",
        ),
        (
            Rule::new().header("a b"),
            "rule 2: `a b` is not a valid header name: use at least one character, and no blanks or delimiters",
        ),
        (
            Rule::new().cookie("a="),
            "rule 2: `a=` is not a valid cookie name: use at least one character, and no blanks or delimiters",
        ),
        (
            Rule::new().query(""),
            "rule 2: `` is not a valid parameter name: use at least one character, and no blanks or delimiters",
        ),
        (
            Rule::new().header_is("a", "b\n"),
            "rule 2: \"b\\n\" is not a valid header value: remove blanks around it and control \
             characters",
        ),
        (
            Rule::new().methods([]),
            "rule 2: an empty list of methods matches no request: give at least one",
        ),
        (
            Rule::new().percent(120.0),
            "rule 2: 120 % is not a share of the requests: use 0 to 100",
        ),
        (
            Rule::new().percent(f64::NAN),
            "rule 2: NaN % is not a share of the requests: use 0 to 100",
        ),
        (
            Rule::new().unless(Rule::new().any_of([Rule::new().host("")])),
            "rule 2: `` is not a valid host: write a name such as `www.example.com`, or an \
             address",
        ),
    ];
    for (rule, text) in rows {
        let built = builder()
            .respond(Rule::new(), StaticResponse::text(""))
            .respond(rule, StaticResponse::text(""))
            .build();
        let error = built.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.rule(), 2);
    }
}

#[test]
fn a_regular_expressions_own_error_is_the_source() {
    let built = builder().respond(
        Rule::new().header_matches("a", "(b"),
        StaticResponse::text(""),
    );
    let error = built.build().unwrap_err();
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("unclosed group")
    );
    assert!(matches!(error.fault(), RuleError::Regex { text, .. } if text == "(b"));
}

#[test]
fn a_redirect_must_lead_somewhere() {
    let under = || Rule::new().path_prefix("/a");
    let rows = [
        (Rule::new(), "/b{rest}", "only in a rule with a path prefix"),
        (under(), "", "begin it with a slash"),
        (under(), "b", "begin it with a slash"),
        (under(), "{host}/b", "begin it with a slash"),
        (under(), "javascript:x", "begin it with a slash"),
        (under(), "https://{path}", "put a host, or `{host}`, after"),
        (under(), "/{user}", "put only `host`, `path`"),
        (under(), "/{path", "put only `host`, `path`"),
        (under(), "/path}", "put only `host`, `path`"),
        (under(), "/b c", "`%20`"),
    ];
    for (rule, location, advice) in rows {
        let built = builder()
            .redirect(rule, Redirect::temporary(location))
            .build();
        let error = built.unwrap_err().to_string();
        assert!(error.starts_with(&format!("rule 1: `{location}` is not a valid location")));
        assert!(error.contains(advice), "{error}");
    }
}

#[test]
fn a_status_must_be_one_for_what_has_it() {
    let redirect = Redirect::new(StatusCode::OK, "/");
    let error = builder()
        .redirect(Rule::new(), redirect)
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule 1: the status 200 OK is not valid for a redirect: use 301, 302, 303, 307 or 308"
    );
    let interim = StaticResponse::new(StatusCode::CONTINUE, "");
    let error = builder().fallback_response(interim).build().unwrap_err();
    assert_eq!(error.rule(), 1, "the fallback counts as the last rule");
    let full = StaticResponse::new(StatusCode::NO_CONTENT, "text");
    assert!(builder().respond(Rule::new(), full).build().is_err());
    let empty = StaticResponse::new(StatusCode::NO_CONTENT, "");
    assert!(builder().respond(Rule::new(), empty).build().is_ok());
}

#[test]
fn everything_can_be_sent_shared_and_shown() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    fn sent<T: Send>(_: &T) {}
    shared::<Router<crate::Member>>();
    shared::<equipoise::proxy::RouterBuilder<crate::Member>>();
    shared::<equipoise::service::ResponseBody<http_body_util::Full<bytes::Bytes>>>();
    shared::<(Rule, StaticResponse, Redirect, equipoise::proxy::ClientAddr)>();
    shared::<(equipoise::proxy::RouterError, RuleError)>();
    let mut router = builder()
        .service(Rule::new().host("a"), crate::member("a"))
        .build()
        .unwrap();
    let shown = format!("{router:?}");
    assert!(
        shown.contains("Exactly(\"a\")") && shown.contains("Service"),
        "{shown}"
    );
    let asked = http::Request::new(http_body_util::Full::default());
    let future = tower::Service::call(&mut router, asked);
    sent(&future);
    assert_eq!(
        format!("{future:?}"),
        "RouterFuture { state: \"responded\", .. }"
    );
}

#[test]
fn a_path_that_is_deeper_than_anybody_needs_is_refused() {
    let deep = |segments: usize| {
        let built = builder().respond(
            Rule::new().path(&"/a".repeat(segments)),
            StaticResponse::text(""),
        );
        built.build().map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(deep(255), Ok(()));
    assert!(
        deep(10_000)
            .unwrap_err()
            .ends_with("use at most 255 segments")
    );
}

#[test]
fn a_location_that_browsers_read_otherwise_is_refused() {
    for location in ["/\\{host}", "https://a\\{path}", "/a#f{query}"] {
        let redirect = Redirect::temporary(location);
        let built = builder().redirect(Rule::new(), redirect).build();
        assert!(built.is_err(), "{location}");
    }
    let fine = Redirect::temporary("/a{query}#f");
    assert!(builder().redirect(Rule::new(), fine).build().is_ok());
}
