//! From the client's path to the member's: section 8.2, and cases 18 to 22, 24 and 25 of
//! section 10.

use equipoise::proxy::{MapRuleError, MappedPath, PathMap};
use equipoise::service::Target;
use http::Uri;

const NONE: &str = "no match";

/// The path that a member is asked for.
fn asked(map: &PathMap, member: &str, path: &str) -> String {
    match map.map(&path.parse().unwrap()).unwrap() {
        MappedPath::Excluded => "excluded".to_owned(),
        MappedPath::NotMapped => NONE.to_owned(),
        MappedPath::To(path) => {
            let (mut head, ()) = http::Request::new(()).into_parts();
            head.uri = Uri::from(path);
            let member: Uri = member.parse().unwrap();
            member.rewrite(&mut head).unwrap();
            head.uri.path_and_query().unwrap().to_string()
        }
    }
}

#[test]
fn paths_are_joined_at_exactly_one_slash() {
    // Section 8.2 with row 25 of section 13: where Apache's table has two slashes there
    // is one, and where it has a 500 the two parts are joined.
    let rows = [
        ("/app", "", "http://h", ["/", "/", "/foo"]),
        ("/app", "/", "http://h", ["/", "/", "/foo"]),
        ("/app/", "/", "http://h", [NONE, "/", "/foo"]),
        ("/app/", "", "http://h", [NONE, "/", "/foo"]),
        (
            "/app",
            "/base",
            "http://h",
            ["/base", "/base/", "/base/foo"],
        ),
        ("/app", "", "http://h/m", ["/m/", "/m/", "/m/foo"]),
        ("/app", "", "http://h/m/", ["/m/", "/m/", "/m/foo"]),
        ("/", "/", "http://h", ["/app", "/app/", "/app/foo"]),
        ("/", "", "http://h", ["/app", "/app/", "/app/foo"]),
    ];
    for (from, to, member, expected) in rows {
        let map = PathMap::new().with_prefix(from, to).unwrap();
        let found = ["/app", "/app/", "/app/foo"].map(|path| asked(&map, member, path));
        assert_eq!(found, expected, "{from} {to} {member}");
    }
    let map = PathMap::new().with_pattern("^/app/(.*)$", "/z/$1").unwrap();
    let found = ["/app", "/app/", "/app/foo"].map(|path| asked(&map, "http://h", path));
    assert_eq!(found, [NONE, "/z/", "/z/foo"]);
}

#[test]
fn mismatched_slashes_are_listed() {
    // Row 25 of section 13: the sample configuration of section 8.8.
    let map = PathMap::new().with_prefix("/app", "/").unwrap();
    let found = map.lint();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "of \"/app\" and \"/\" only one ends in a slash"
    );
}

#[test]
fn the_sample_configuration_sends_what_it_looks_like() {
    // Section 8.8, steps 1, 2, 4 and 9.
    let map = PathMap::new().with_prefix("/app", "/").unwrap();
    let rows = [
        ("/app", "/"),
        ("/app/x", "/x"),
        ("/app//x", "/x"),
        ("/app/x;jsessionid=9F.server1", "/x;jsessionid=9F.server1"),
        ("/application", NONE),
    ];
    for (path, expected) in rows {
        assert_eq!(asked(&map, "http://h", path), expected, "{path}");
    }
}

#[test]
fn what_is_excluded_before_is_not_proxied() {
    // Cases 18, 19 and, by an exclusion in place of the environment, 22.
    let map = PathMap::new().with_exclusion("/reverse/notproxy/").unwrap();
    let map = map.with_exclusion("/reverse/locproxy/index.html").unwrap();
    let map = map.with_prefix("/reverse/", "/").unwrap();
    let rows = [
        ("/reverse/notproxy/local.html", "excluded"),
        ("/reverse/", "/"),
        ("/reverse/index.html", "/index.html"),
        ("/reverse/locproxy/", "/locproxy/"),
        ("/reverse/locproxy/index.html", "excluded"),
    ];
    for (path, expected) in rows {
        assert_eq!(asked(&map, "http://b", path), expected, "{path}");
    }
}

#[test]
fn expressions_put_their_groups_into_the_target() -> Result<(), MapRuleError> {
    // Cases 20 and 21.
    let map = PathMap::new()
        .with_pattern("^/reverse-match/(.*)$", "/$1")?
        .with_pattern("^/reverse-slash(/.*)?$", "$1")?;
    let rows = [
        ("/reverse-match/", "/"),
        ("/reverse-match/index.html", "/index.html"),
        ("/reverse-slash", "/"),
        ("/reverse-slash/", "/"),
        ("/reverse-slash/index.html", "/index.html"),
    ];
    for (path, expected) in rows {
        assert_eq!(asked(&map, "http://b", path), expected, "{path}");
    }
    Ok(())
}

#[test]
fn a_target_without_groups_is_followed_by_the_whole_path() {
    // Section 8.1, and cases 5 to 12.
    let map = PathMap::new().with_pattern("^/baltest_echo_post", "/echo_post");
    let found = asked(&map.unwrap(), "http://b", "/baltest_echo_post");
    assert_eq!(found, "/echo_post/baltest_echo_post");
    let map = PathMap::new().with_pattern("^/app", "").unwrap();
    assert_eq!(asked(&map, "http://b", "/app/x"), "/app/x");
}

#[test]
fn the_query_and_escapes_reach_the_member_as_they_are() {
    // Cases 24 and 25.
    let map = PathMap::new().with_prefix("/reverse/", "/").unwrap();
    let rows = [
        ("/reverse/env.pl?reverse-proxy", "/env.pl?reverse-proxy"),
        ("/reverse/nonesuch/file%25", "/nonesuch/file%25"),
        ("/reverse/a%2Fb%20c?", "/a%2Fb%20c?"),
    ];
    for (path, expected) in rows {
        assert_eq!(asked(&map, "http://b", path), expected, "{path}");
    }
}
