//! Whatever a client or a member sends, nothing panics and nothing is injected.

use equipoise::proxy::{CookieMap, MappedPath, Origin, PathMap, ReverseMap};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

const NAMES: [&str; 4] = ["location", "refresh", "set-cookie", "uri"];

/// Pieces that make the maps work, with anything between them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "http://h",
        "HTTP://H:80",
        "/app",
        "/",
        "//",
        "\\",
        ";",
        "=",
        "path=",
        "Domain=",
        "url=",
        "\"",
        "'",
        " ",
        "\t",
        "?",
        "#",
        "%2e",
        "..",
        "%",
        ":",
        "://",
        "@",
        "5",
    ];
    let word = prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    let noise = prop::collection::vec(any::<u8>(), 0..4);
    let piece = proptest::prop_oneof![4 => word, 1 => noise];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

fn reverse() -> ReverseMap {
    let map = ReverseMap::new().with_member("http://h/app", "/").unwrap();
    let map = map.with_member("http://h", "/").unwrap();
    map.with_member("/app", "/z/").unwrap()
}

fn cookies() -> CookieMap {
    let map = CookieMap::new().with_path("/", "/public").unwrap();
    map.with_domain("h", "public.example").unwrap()
}

fn paths() -> PathMap {
    let map = PathMap::new().with_exclusion("/app/no").unwrap();
    let map = map.with_pattern("^(.*)/app/(.*)$", "/$1/$2").unwrap();
    map.with_prefix("/", "/member").unwrap()
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic_and_stay_single_lines(bytes in hostile()) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else {
            return Ok(());
        };
        let origin = Origin::new(Scheme::HTTPS, "proxy".parse().unwrap());
        for public_origin in [None, Some(&origin)] {
            let mut headers = HeaderMap::new();
            for name in NAMES {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
            reverse().rewrite(&mut headers, public_origin);
            cookies().rewrite(&mut headers);
            prop_assert_eq!(headers.len(), NAMES.len());
            for value in headers.values() {
                prop_assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
            }
            // A URL of the member's own host never turns into one of another.
            let location = headers["location"].as_bytes();
            if public_origin.is_none() && location != bytes {
                prop_assert!(location.starts_with(b"/"));
                prop_assert!(!matches!(location.get(1), Some(b'/' | b'\\' | b'\t')));
            }
        }
    }

    #[test]
    fn headers_that_no_rule_concerns_stay_byte_for_byte(bytes in hostile()) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else {
            return Ok(());
        };
        let mut headers = HeaderMap::new();
        for name in NAMES {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
        let before = headers.clone();
        let elsewhere = ReverseMap::new().with_member("http://elsewhere", "/").unwrap();
        elsewhere.rewrite(&mut headers, None);
        let nowhere = CookieMap::new().with_path("/elsewhere", "/").unwrap();
        nowhere.rewrite(&mut headers);
        prop_assert_eq!(headers, before);
    }

    #[test]
    fn arbitrary_paths_never_panic_and_keep_their_query(bytes in hostile()) {
        let path = [b"/", &bytes[..]].concat();
        let Ok(path) = PathAndQuery::try_from(path) else {
            return Ok(());
        };
        if let Ok(MappedPath::To(mapped)) = paths().map(&path) {
            prop_assert_eq!(mapped.query(), path.query());
            prop_assert!(mapped.path().starts_with('/'));
            prop_assert!(mapped.path().split('/').all(|segment| segment != ".."));
        }
    }
}
