//! The target of a regular expression: text with `$0` to `$9` in it.

use regex::Captures;

use super::error::MapRuleError;
use super::join::{is_path, join};

#[derive(Clone, Debug)]
pub(super) struct PathTemplate {
    pieces: Vec<TemplatePiece>,
}

#[derive(Clone, Debug)]
enum TemplatePiece {
    Group(usize),
    Text(String),
}

impl PathTemplate {
    /// Parses a target for an expression with `groups` groups, including group 0.
    pub(super) fn new(target: &str, groups: usize) -> Result<Self, MapRuleError> {
        let template = Self {
            pieces: pieces(target),
        };
        for piece in &template.pieces {
            match *piece {
                TemplatePiece::Group(group) if group >= groups => {
                    let target = target.to_owned();
                    return Err(MapRuleError::Group { target, group });
                }
                _ => {}
            }
        }
        // A group may supply the first slash; literal text must contain it.
        let sample = template.filled(|_| Some("x"));
        let begins = match template.pieces.first() {
            Some(TemplatePiece::Text(text)) => text.starts_with('/'),
            Some(TemplatePiece::Group(_)) | None => true,
        };
        if begins && is_path(&sample) {
            Ok(template)
        } else {
            let text = target.to_owned();
            Err(MapRuleError::Path { text })
        }
    }

    /// Returns the path for a match in `path`. If the target contains no group, the whole
    /// path is appended, as Apache does.
    pub(super) fn path(&self, found: &Captures<'_>, path: &str) -> Vec<u8> {
        let names_a_group = |piece: &TemplatePiece| matches!(piece, TemplatePiece::Group(_));
        if self.pieces.iter().any(names_a_group) {
            let group = |group| found.get(group).map(|group| group.as_str());
            self.filled(group).into_bytes()
        } else {
            join(&self.filled(|_| None), path.as_bytes(), false)
        }
    }

    fn filled<'g>(&'g self, group: impl Fn(usize) -> Option<&'g str>) -> String {
        let mut filled = String::new();
        for piece in &self.pieces {
            let piece = match piece {
                TemplatePiece::Group(number) => group(*number).unwrap_or_default(),
                TemplatePiece::Text(text) => text,
            };
            if filled.is_empty() && !piece.is_empty() && !piece.starts_with('/') {
                filled.push('/');
            }
            filled.push_str(if filled.ends_with('/') {
                piece.trim_start_matches('/')
            } else {
                piece
            });
        }
        if filled.is_empty() {
            filled.push('/');
        }
        filled
    }
}

fn pieces(target: &str) -> Vec<TemplatePiece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = target.chars().peekable();
    while let Some(next) = rest.next() {
        let after = rest.peek().copied();
        let group = after.and_then(|after| after.to_digit(10));
        match (next, group) {
            ('\\', _) if after == Some('$') => {
                rest.next();
                text.push('$');
            }
            ('$', Some(group)) => {
                rest.next();
                if !text.is_empty() {
                    pieces.push(TemplatePiece::Text(std::mem::take(&mut text)));
                }
                // A digit fits into every integer.
                pieces.push(TemplatePiece::Group(group as usize));
            }
            _ => text.push(next),
        }
    }
    if !text.is_empty() {
        pieces.push(TemplatePiece::Text(text));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::PathTemplate;
    use crate::proxy::mapping::error::MapRuleError;
    use regex::Regex;

    fn path(pattern: &str, target: &str, path: &str) -> String {
        let regex = Regex::new(pattern).unwrap();
        let template = PathTemplate::new(target, regex.captures_len()).unwrap();
        let found = regex.captures(path).unwrap();
        String::from_utf8(template.path(&found, path)).unwrap()
    }

    #[test]
    fn groups_are_put_where_the_target_names_them() {
        let rows = [
            ("^/a/(.*)/(.*)$", "/$2/$1", "/a/b/c", "/c/b"),
            ("^/a/(.*)$", "/z$0", "/a/b", "/z/a/b"),
            ("^/a/(.*)$", "$1", "/a/b", "/b"),
            ("^/a(/.*)?$", "$1", "/a", "/"),
            ("^/a(/.*)?$", "/z/$1", "/a/b", "/z/b"),
            ("^/a/(.*)$", "/$1/z", "/a/b/", "/b/z"),
            ("^/a/(.*)$", "/$10", "/a/b", "/b0"),
            ("^/a/(.*)/(.*)$", "/$1.$2", "/a/b/c", "/b.c"),
            ("^/a/(.*)$", "/$1/\\$1/$x/$", "/a/b", "/b/$1/$x/$"),
        ];
        for (pattern, target, asked, mapped) in rows {
            assert_eq!(path(pattern, target, asked), mapped, "{pattern} {target}");
        }
    }

    #[test]
    fn a_target_without_groups_is_followed_by_the_whole_path() {
        assert_eq!(path("^/a", "/z", "/a/b"), "/z/a/b");
        assert_eq!(path("^/a", "/z/", "/a/b"), "/z/a/b");
        assert_eq!(path("^/a", "", "/a/b"), "/a/b");
        assert_eq!(path("^/a", "/\\$1", "/a/b"), "/$1/a/b");
    }

    #[test]
    fn a_target_that_cannot_be_filled_is_refused() {
        let refused = |target: &str| PathTemplate::new(target, 2).unwrap_err();
        let group = MapRuleError::Group {
            target: "/$2".to_owned(),
            group: 2,
        };
        assert_eq!(refused("/$2"), group);
        for target in [
            "z", "z$1", "/z?q=$1", "/$1#f", "/z y", "?$1", "$1?x", "/%$1", "/../$1",
        ] {
            let text = target.to_owned();
            assert_eq!(refused(target), MapRuleError::Path { text });
        }
    }
}
