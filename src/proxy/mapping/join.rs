//! Joins the prefix that a rule adds with the rest of the path, with exactly one slash;
//! Apache concatenates them.

use http::uri::PathAndQuery;

use super::error::MapRuleError;
use super::raw_path::{has_broken_escape, has_dot_segment};

/// Joins `front` with the text after the match. `slash_taken` is whether the matched text
/// ended with the slash between the two.
pub(super) fn join(front: &str, rest: &[u8], slash_taken: bool) -> Vec<u8> {
    let mut joined = Vec::with_capacity(front.len() + rest.len() + 1);
    if slash_taken || rest.starts_with(b"/") {
        joined.extend_from_slice(front.trim_end_matches('/').as_bytes());
        joined.push(b'/');
        let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
        joined.extend_from_slice(&rest[slashes..]);
    } else {
        let front = if front.is_empty() { "/" } else { front };
        joined.extend_from_slice(front.as_bytes());
        joined.extend_from_slice(rest);
    }
    joined
}

/// Checks that a text is a path and nothing else.
pub(super) fn checked_path(text: &str) -> Result<String, MapRuleError> {
    if is_path(text) {
        Ok(text.to_owned())
    } else {
        let text = text.to_owned();
        Err(MapRuleError::Path { text })
    }
}

pub(super) fn is_path(text: &str) -> bool {
    // Two slashes at the beginning would start a host where a URL is expected.
    let plain = text.starts_with('/') && !text.starts_with("//") && !text.contains(['?', '#']);
    let sound = !has_broken_escape(text.as_bytes()) && !has_dot_segment(text.as_bytes());
    plain && sound && PathAndQuery::try_from(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{is_path, join};

    #[test]
    fn two_parts_meet_at_exactly_one_slash() {
        let rows = [
            ("", "", false, "/"),
            ("", "", true, "/"),
            ("/", "/x", false, "/x"),
            ("/", "x", true, "/x"),
            ("/a", "", false, "/a"),
            ("/a", "", true, "/a/"),
            ("/a/", "", false, "/a/"),
            ("/a//", "///x//y", false, "/a/x//y"),
            ("/a", "?q", false, "/a?q"),
            ("/a", "?q", true, "/a/?q"),
        ];
        for (front, rest, slash_taken, joined) in rows {
            let found = join(front, rest.as_bytes(), slash_taken);
            assert_eq!(found, joined.as_bytes(), "{front} + {rest}");
        }
    }

    #[test]
    fn a_path_begins_with_a_slash_and_is_nothing_but_a_path() {
        assert!(is_path("/") && is_path("/a/%2F;b=c") && !is_path("//a"));
        for text in [
            "", "a", "*", "/a?b", "/a#b", "/a b", "/a\r\nb", "/\0", "/%", "/a/../b",
        ] {
            assert!(!is_path(text), "{text:?}");
        }
    }
}
