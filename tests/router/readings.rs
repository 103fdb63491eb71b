//! Paths that servers read in different ways: a rule holds for each of them.

use equipoise::proxy::{Redirect, Rule, StaticResponse};
use http::{Request, StatusCode};
use proptest::prelude::*;

use crate::{ask, builder, meets, member};

fn get(path: &str) -> http::request::Builder {
    Request::get(path).header("host", "h")
}

/// Spellings of `/admin`, or of paths below it.
const SPELLINGS: [&str; 22] = [
    "/admin",
    "/%61dmin",
    "/%61%64%6D%69%6e",
    "//admin",
    "///admin//x",
    "/./admin",
    "/%2e/admin/",
    "/x/../admin",
    "/x/%2e%2E/admin",
    "/x/..;y/admin",
    "/x%2f..%2fadmin",
    "/../admin",
    "/admin;x",
    "/admin;x=1/y",
    "/admin%3bx",
    "/;x/admin",
    "/admin%2fx",
    "/admin%2Fx",
    "/admin\\x",
    "/admin%5cx",
    "\\admin",
    "/%5Cadmin",
];

#[tokio::test]
async fn a_rule_that_denies_holds_for_every_spelling_of_its_path() {
    for rule in [
        Rule::new().path_prefix("/admin"),
        Rule::new().path_regex("^/admin(/|$)"),
        Rule::new().any_of([Rule::new().path_prefix("/%61dmin")]),
        Rule::new().path_prefix("//admin"),
        Rule::new().host("h").path_prefix("/admin"),
    ] {
        let router = builder()
            .respond(
                rule.clone(),
                StaticResponse::new(StatusCode::FORBIDDEN, "no\n"),
            )
            .fallback(member("pages"))
            .build()
            .unwrap();
        for path in SPELLINGS.iter().filter(|path| path.starts_with('/')) {
            let (answer, _) = ask(&router, get(path)).await;
            assert_eq!(answer.status(), 403, "{rule:?} {path}");
        }
        for path in ["/", "/administrator", "/x/admin", "/%2561dmin", "/x?/admin"] {
            assert_eq!(ask(&router, get(path)).await.1, "pages", "{rule:?} {path}");
        }
    }
}

#[tokio::test]
async fn what_all_but_one_path_denies_is_not_got_round_either() {
    let router = builder()
        .respond(
            Rule::new().unless(Rule::new().path_prefix("/public")),
            StaticResponse::new(StatusCode::FORBIDDEN, "no\n"),
        )
        .fallback(member("pages"))
        .build()
        .unwrap();
    for path in ["/public", "/%70ublic/x", "//public", "/./public"] {
        assert_eq!(ask(&router, get(path)).await.1, "pages", "{path}");
    }
    for path in [
        "/",
        "/public/../secret",
        "/public/..;/secret",
        "/public%2f..%2fsecret",
        "/secret/../public",
        "/;/public",
    ] {
        assert_eq!(ask(&router, get(path)).await.0.status(), 403, "{path}");
    }
}

#[tokio::test]
async fn what_a_service_is_not_for_does_not_reach_it_by_another_spelling() {
    let hidden = Rule::new().path_prefix("/admin");
    for rule in [
        Rule::new().unless(hidden.clone()),
        Rule::new().any_of([Rule::new().unless(hidden.clone())]),
        Rule::new().path_prefix("/").unless(hidden),
    ] {
        let router = builder().service(rule.clone(), member("open"));
        let router = router.build().unwrap();
        for path in SPELLINGS.iter().filter(|path| path.starts_with('/')) {
            assert_ne!(ask(&router, get(path)).await.1, "open", "{rule:?} {path}");
        }
        for path in ["/", "/administrator", "/x;y/admin", "/a%20b//c", "/a;b/c"] {
            assert_eq!(ask(&router, get(path)).await.1, "open", "{rule:?} {path}");
        }
    }
}

#[tokio::test]
async fn what_is_kept_back_below_a_prefix_is_so_in_every_spelling() {
    let open = || Rule::new().path_prefix("/open");
    let hidden = || Rule::new().path_prefix("/open/priv");
    for rule in [
        open().unless(hidden()),
        open().unless(Rule::new().path_regex("^/open/priv(/|$)")),
        open().unless(Rule::new().any_of([Rule::new().header("x-no"), hidden()])),
        open()
            .unless(hidden())
            .unless(Rule::new().path("/open/priv/x")),
        open().unless(hidden().unless(Rule::new().header("x-user"))),
        open().unless(hidden().unless(Rule::new().path("/open/priv/public"))),
        Rule::new().any_of([open().unless(hidden())]),
    ] {
        let router = builder().service(rule.clone(), member("open"));
        let router = router.build().unwrap();
        for path in HIDDEN {
            assert_ne!(ask(&router, get(path)).await.1, "open", "{rule:?} {path}");
        }
        for path in INNOCENT {
            assert_eq!(ask(&router, get(path)).await.1, "open", "{rule:?} {path}");
        }
    }
    let doubly = Rule::new().unless(Rule::new().unless(open().unless(hidden())));
    let router = builder().service(doubly, member("open")).build().unwrap();
    for path in HIDDEN {
        assert_ne!(ask(&router, get(path)).await.1, "open", "{path}");
    }
    // It is for what follows, and not for nothing.
    let shaped = Rule::new().path_pattern("/open/priv{*rest}");
    let router = builder().service(open().unless(shaped), member("open"));
    let router = router.build().unwrap();
    for path in HIDDEN.iter().filter(|path| path.contains('x')) {
        assert_ne!(ask(&router, get(path)).await.1, "open", "{path}");
    }
}

/// Spellings of `/open/priv`, or of paths below it.
const HIDDEN: [&str; 12] = [
    "/open/priv",
    "/open/priv/x",
    "/open/priv;",
    "/open/priv;x",
    "/open/priv;x/y",
    "/open/priv%2fx",
    "/open/priv%5cx",
    "/open/priv\\x",
    "/open/p%72iv;x",
    "/open//priv;x",
    "/open/;/priv",
    "/open/;x/priv/x",
];

const INNOCENT: [&str; 6] = [
    "/open",
    "/open/private",
    "/open/a;b/c%20d//e",
    "/open/x/priv;x",
    "/open/x%2fpriv",
    "/open;v=1/x",
];

#[tokio::test]
async fn a_path_that_climbs_from_one_service_to_another_is_refused() {
    let router = builder()
        .service(Rule::new().path_prefix("/public"), member("public"))
        .service(Rule::new().path_prefix("/admin"), member("admin"))
        .fallback(member("pages"))
        .build()
        .unwrap();
    for (path, expected) in [
        ("//admin/x", "admin"),
        ("/./admin", "admin"),
        ("/admin;x", "admin"),
        ("/admin%2fx", "admin"),
        ("/public/a/../b", "public"),
        ("/a/../b", "pages"),
    ] {
        assert_eq!(ask(&router, get(path)).await.1, expected, "{path}");
    }
    for path in [
        "/x/../admin",
        "/admin/../x",
        "/admin/../public",
        "/admin/..;x/public",
        "/admin%2f%2e%2e%2fpublic",
        "/admin\\..\\public",
    ] {
        assert_eq!(ask(&router, get(path)).await.0.status(), 400, "{path}");
    }
}

#[tokio::test]
async fn a_rules_own_path_is_read_as_those_of_requests_are() {
    for (rule, path, met) in [
        (Rule::new().path("/a%20b"), "/a%20b", true),
        (Rule::new().path("/a%2Fb"), "/a%2fb", true),
        (Rule::new().path("/a%2Fb"), "/a/b", false),
        (Rule::new().path("/a%2fb"), "/a%2fb", true),
        (Rule::new().path("/a;v=1"), "/a;v=1", true),
        (Rule::new().path("/a;v=1"), "/a", false),
        (
            Rule::new().path_prefix("/b%C3%BCcher"),
            "/b%c3%bccher/1",
            true,
        ),
        (Rule::new().path_pattern("/u/{id}"), "/u/a%20b", true),
        (
            Rule::new().path_pattern("/u/{id}/x"),
            "//u//%61;v/%78",
            true,
        ),
        (Rule::new().path_pattern("/%7Bx%7D"), "/%7bx%7d", true),
        (Rule::new().path_pattern("/%7Bx%7D"), "/y", false),
        (Rule::new().path_regex("%"), "/%25", true),
        (Rule::new().path_regex("^/a b$"), "/a%20b", true),
    ] {
        let row = format!("{rule:?} {path}");
        assert_eq!(meets(rule, get(path)).await, met, "{row}");
    }
}

#[tokio::test]
async fn case_counts_unless_the_router_is_told_otherwise() {
    let rules = || {
        [
            Rule::new().path("/Admin"),
            Rule::new().path_prefix("/aDmin"),
            Rule::new().path_regex("^/Admin"),
            Rule::new().path_pattern("/{Id}/x").path_prefix("/ADMIN"),
            Rule::new().any_of([Rule::new().path("/admin")]),
        ]
    };
    for (rule, path) in
        rules()
            .into_iter()
            .zip(["/ADMIN", "/%41dmin/x", "//ADMIN", "/adMin/X", "/Admin;x"])
    {
        assert!(!meets(rule.clone(), get(path)).await, "{rule:?} {path}");
        let router = builder()
            .ignore_path_case()
            .respond(rule.clone(), StaticResponse::text("met"))
            .build()
            .unwrap();
        assert_eq!(ask(&router, get(path)).await.1, "met", "{rule:?} {path}");
    }
}

#[tokio::test]
async fn the_rest_of_a_redirect_is_what_follows_the_prefix_however_that_is_spelled() {
    let router = builder()
        .ignore_path_case()
        .redirect(
            Rule::new().path_prefix("/old"),
            Redirect::permanent("/new{rest}{query}"),
        )
        .build()
        .unwrap();
    for (path, location) in [
        ("/old/a?b", "/new/a?b"),
        ("/%6fld/%61%2Fb", "/new/%61%2Fb"),
        ("//old//a", "/new//a"),
        ("/old;x/a%20b%3F", "/new/a%20b%3F"),
        ("/old%2fa", "/new/a"),
        ("/OLD/A", "/new/A"),
        ("/old", "/new"),
    ] {
        let (answer, _) = ask(&router, get(path)).await;
        assert_eq!(answer.headers()["location"], location, "{path}");
    }
}

proptest! {
    /// Letters escaped, slashes repeated, segments `.` and parameters put in: it stays the
    /// same place.
    #[test]
    fn a_path_that_does_not_climb_stays_where_it_is(
        letters in proptest::collection::vec((any::<bool>(), any::<bool>()), 5),
        front in "(/|//|/[.]/|/%2e/|/;a/|\\\\|%2f|/%5c)",
        behind in "(|/|/x|;v=1|;v/y|//|%2fz|\\\\z|%5C|/[.])",
    ) {
        let mut path = front.clone();
        for (letter, (escaped, upper)) in "admin".bytes().zip(letters) {
            match (escaped, upper) {
                (false, _) => path.push(char::from(letter)),
                (true, true) => path.push_str(&format!("%{letter:02X}")),
                (true, false) => path.push_str(&format!("%{letter:02x}")),
            }
        }
        path.push_str(&behind);
        prop_assume!(path.starts_with('/'));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let met = runtime.block_on(meets(Rule::new().path_prefix("/admin"), get(&path)));
        prop_assert!(met, "{path}");
    }
}
