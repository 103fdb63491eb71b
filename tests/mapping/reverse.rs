//! From the member's URLs to the client's: section 8.3, and cases 17 and 27 of section 10.

use equipoise::proxy::{Origin, PathMap, ReverseMap};
use http::header::{HeaderMap, HeaderValue};
use http::uri::Scheme;

/// The `Location` that a client of `http://proxy` sees.
fn seen(map: &ReverseMap, location: &'static str) -> String {
    let origin = Origin::new(Scheme::HTTP, "proxy".parse().unwrap());
    let mut headers = HeaderMap::new();
    headers.insert("location", HeaderValue::from_static(location));
    map.rewrite(&mut headers, Some(&origin));
    headers["location"].to_str().unwrap().to_owned()
}

#[test]
fn a_redirect_of_a_member_with_a_prefix_comes_back() {
    // Case 17 (PR 45434).
    let there = PathMap::new().with_prefix("/pr45434", "/alias").unwrap();
    let path = there.map(&"/pr45434/redirect-me".parse().unwrap());
    assert!(format!("{path:?}").contains("/alias/redirect-me"));
    let back = ReverseMap::new().with_members(["http://server:8529/modules/alias"], "/pr45434");
    let location = "http://server:8529/modules/alias/5.html";
    assert_eq!(
        seen(&back.unwrap(), location),
        "http://proxy/pr45434/5.html"
    );
}

#[test]
fn a_redirect_of_a_plain_member_comes_back() {
    // Case 27.
    let map = ReverseMap::new().with_member("http://b/", "/reverse/");
    assert_eq!(
        seen(&map.unwrap(), "http://b/alias"),
        "http://proxy/reverse/alias"
    );
}

#[test]
fn every_member_of_a_balancer_is_tried() {
    // Section 8.3: not only the one that was used.
    let members = ["http://h:19001", "http://h:19002", "http://h/foo/bar"];
    let map = ReverseMap::new().with_members(members, "/app2").unwrap();
    let rows = [
        ("http://h:19001/x", "http://proxy/app2/x"),
        (
            "http://h:19002/x?q=http://h:19001/",
            "http://proxy/app2/x?q=http://h:19001/",
        ),
        ("HTTP://H:19002/X", "http://proxy/app2/X"),
        ("http://h/foo/bar/that", "http://proxy/app2/that"),
        ("http://h/foo/BAR/that", "http://h/foo/BAR/that"),
        // Row 26 of section 13.
        ("http://h:190012/x", "http://h:190012/x"),
        ("http://h:19001", "http://proxy/app2"),
        ("http://h:19001?q", "http://proxy/app2?q"),
        ("http://h:19001#f", "http://proxy/app2#f"),
        ("https://h:19001/x", "https://h:19001/x"),
        ("http://elsewhere/x", "http://elsewhere/x"),
        ("/x", "/x"),
        ("x/y", "x/y"),
        ("", ""),
    ];
    for (location, expected) in rows {
        assert_eq!(seen(&map, location), expected, "{location}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let map = ReverseMap::new().with_member("http://h/foo/bar", "/bash");
    let map = map.unwrap().with_member("http://h", "/rest").unwrap();
    // Section 8.3.
    assert_eq!(
        seen(&map, "http://h/foo/bar/that"),
        "http://proxy/bash/that"
    );
    assert_eq!(
        seen(&map, "http://h/foo/barn"),
        "http://proxy/rest/foo/barn"
    );
}

#[test]
fn a_rule_and_a_member_join_at_exactly_one_slash() {
    // Section 8.3 has `/app//foo` for the second row.
    let rows = [
        ("http://h", "/app", "http://proxy/app/foo"),
        ("http://h", "/app/", "http://proxy/app/foo"),
        ("http://h/", "/app", "http://proxy/app/foo"),
        ("http://h/", "/app/", "http://proxy/app/foo"),
        ("http://h", "/", "http://proxy/foo"),
    ];
    for (member, local, expected) in rows {
        let map = ReverseMap::new().with_member(member, local).unwrap();
        assert_eq!(seen(&map, "http://h/foo"), expected, "{member} {local}");
    }
}

#[test]
fn a_target_that_is_a_path_matches_whatever_the_host() {
    // Section 8.3.
    let map = ReverseMap::new().with_member("/base", "/app").unwrap();
    assert_eq!(seen(&map, "https://any:1/base/x"), "http://proxy/app/x");
    assert_eq!(seen(&map, "https://any:1/bases"), "https://any:1/bases");
}
