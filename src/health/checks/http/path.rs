//! The path of a check's request: [`CheckPath`]. Pure.
//!
//! Not here: the rest of the request (`http`).

use http::uri::PathAndQuery;

/// The path of a check's request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum CheckPath {
    /// `*`: the server as a whole.
    Any,
    /// Below the member's base path, optionally with a query.
    Below(String),
}

impl CheckPath {
    /// Parses a path that is valid in a request line; else `None`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        if path == "*" {
            return Some(Self::Any);
        }
        // A fragment is not sent.
        let is_whole = |parsed: &PathAndQuery| parsed.as_str().len() == path.len() + 1;
        let parsed = PathAndQuery::try_from(format!("/{path}")).ok();
        parsed.filter(is_whole)?;
        Some(Self::Below(path.to_owned()))
    }

    /// Returns the path for a member with the base path `base`, joined with exactly one
    /// slash.
    pub(super) fn below(&self, base: &str) -> Option<PathAndQuery> {
        let joined = match self {
            Self::Any => "*".to_owned(),
            Self::Below(path) => join(base, path),
        };
        PathAndQuery::try_from(joined).ok()
    }
}

fn join(base: &str, path: &str) -> String {
    if path.is_empty() || path.starts_with('?') {
        let base = if base.is_empty() { "/" } else { base };
        return format!("{base}{path}");
    }
    let base = base.strip_suffix('/').unwrap_or(base);
    let path = path.strip_prefix('/').unwrap_or(path);
    format!("{base}/{path}")
}

#[cfg(test)]
mod tests {
    use super::{CheckPath, join};
    use proptest::prelude::*;

    #[test]
    fn a_path_is_joined_with_exactly_one_slash() {
        for (base, path, joined) in [
            ("", "", "/"),
            ("/", "", "/"),
            ("", "/status", "/status"),
            ("/", "/status", "/status"),
            ("/", "status", "/status"),
            ("/app", "/status", "/app/status"),
            ("/app", "status", "/app/status"),
            ("/app/", "/status", "/app/status"),
            ("/app/", "status", "/app/status"),
            ("/app", "", "/app"),
            ("/app/", "", "/app/"),
            ("", "?x=1", "/?x=1"),
            ("/app", "?x=1", "/app?x=1"),
            ("/", "/health?x=1", "/health?x=1"),
            ("/a b", "", "/a b"),
        ] {
            assert_eq!(join(base, path), joined, "{base:?} and {path:?}");
        }
        assert_eq!(CheckPath::Any.below("/app").unwrap(), "*");
        assert!(CheckPath::Below(String::new()).below("/a b").is_none());
    }

    #[test]
    fn a_path_that_is_invalid_in_a_request_line_is_refused() {
        for path in [
            "/x\r\nHost: evil",
            "/x\n",
            "/x\r",
            "/x y",
            "/x#part",
            "/x\0",
            "/\u{7f}",
        ] {
            assert_eq!(CheckPath::parse(path), None, "{path:?}");
        }
        for path in ["", "/", "status", "/status?deep=1&x=%0d%0a", "?x", "/ä"] {
            assert!(CheckPath::parse(path).is_some(), "{path:?}");
        }
        assert_eq!(CheckPath::parse("*"), Some(CheckPath::Any));
    }

    proptest! {
        #[test]
        fn every_accepted_path_is_one_line(path in any::<String>(), base in "(/[a-z]{0,3}){0,3}") {
            if let Some(parsed) = CheckPath::parse(&path) {
                let whole = parsed.below(&base).unwrap();
                prop_assert!(!whole.as_str().bytes().any(|it| it <= b' ' || it == 0x7f));
            }
        }
    }
}
