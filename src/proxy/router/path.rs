//! The path conditions of a rule.
//!
//! Not here: the tree of all rules' paths (`index`).

use matchit::InsertError;
use regex::{Regex, RegexBuilder};

use super::RuleError;
use crate::proxy::mapping::{ResolvedReadings, has_dot_segment};

/// The paths of a rule. They are compared with one interpretation of the request's path.
#[derive(Clone, Debug)]
pub(super) enum PathPattern {
    Exactly(Box<str>),
    Matching(Regex),
    Shaped {
        text: Box<str>,
        /// Contains this one route.
        tree: matchit::Router<()>,
    },
    Under(Box<str>),
}

impl PathPattern {
    pub(super) fn exactly(text: &str) -> Result<Self, RuleError> {
        check(text)?;
        Ok(Self::Exactly(read(text)))
    }

    pub(super) fn under(text: &str) -> Result<Self, RuleError> {
        check(text)?;
        Ok(Self::Under(read(text)))
    }

    pub(super) fn shaped(text: &str) -> Result<Self, RuleError> {
        check(text)?;
        let mut braces = text.to_owned();
        for (escape, brace) in [("%7b", "{{"), ("%7B", "{{"), ("%7d", "}}"), ("%7D", "}}")] {
            braces = braces.replace(escape, brace);
        }
        Self::shaped_as(read(&braces))
    }

    fn shaped_as(text: Box<str>) -> Result<Self, RuleError> {
        let mut tree = matchit::Router::new();
        tree.insert(&*text, ())
            .map_err(|error| RuleError::Pattern {
                text: text.to_string(),
                advice: match error {
                    InsertError::InvalidCatchAll => "put `{*rest}` at its end",
                    InsertError::InvalidParamSegment => {
                        "put one parameter at the end of its segment, as in `/users/{id}`"
                    }
                    _ => "write parameters as `{id}` and `{*rest}`, and literal braces twice: `{{`",
                },
            })?;
        Ok(Self::Shaped { text, tree })
    }

    /// Returns the same pattern for paths in lower case.
    pub(super) fn in_lower_case(&self) -> Result<Self, RuleError> {
        let lower = |text: &str| text.to_lowercase().into_boxed_str();
        Ok(match self {
            Self::Exactly(text) => Self::Exactly(lower(text)),
            Self::Matching(regex) => {
                let text = regex.as_str();
                let regex = RegexBuilder::new(text).case_insensitive(true).build();
                Self::Matching(regex.map_err(RuleError::regex(text))?)
            }
            Self::Shaped { text, .. } => Self::shaped_as(lower(text))?,
            Self::Under(text) => Self::Under(lower(text)),
        })
    }

    pub(super) fn matching(text: &str) -> Result<Self, RuleError> {
        let regex = Regex::new(text).map_err(RuleError::regex(text))?;
        Ok(Self::Matching(regex))
    }

    pub(super) fn holds(&self, path: &str) -> bool {
        match self {
            Self::Exactly(text) => path == &**text,
            Self::Matching(regex) => regex.is_match(path),
            Self::Shaped { tree, .. } => tree.at(path).is_ok(),
            Self::Under(prefix) => path.strip_prefix(&**prefix).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')
            }),
        }
    }
}

/// The maximum number of segments. The index recurses once per segment.
const DEEPEST: usize = 256;

/// Normalizes a rule's path in the same way as those of requests.
fn read(text: &str) -> Box<str> {
    ResolvedReadings::of(text).into_first().into_boxed_str()
}

fn check(text: &str) -> Result<(), RuleError> {
    let advice = if text.split('/').count() > DEEPEST {
        "use at most 255 segments"
    } else if !text.starts_with('/') {
        "begin it with a slash"
    } else if has_dot_segment(text.as_bytes()) {
        "remove segments that are `.` or `..`"
    } else if text.contains(['?', '#']) {
        "remove the query, and add a query condition"
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        "escape blanks and letters beyond ASCII as clients do, as in `%20`"
    } else {
        return Ok(());
    };
    let text = text.to_owned();
    Err(RuleError::Path { text, advice })
}

#[cfg(test)]
mod tests {
    use super::PathPattern;

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        let rows = [
            ("/app", "/app", true),
            ("/app", "/app/", true),
            ("/app", "/app/x", true),
            ("/app", "/application", false),
            ("/app", "/app;sid=1", false),
            ("/app", "/", false),
            ("/app", "/%61pp", false),
            ("/app/", "/app", false),
            ("/app/", "/app/", true),
            ("/app/", "/app/x", true),
            ("/", "/", true),
            ("/", "/x", true),
            ("/", "*", false),
            ("/", "", false),
        ];
        for (prefix, path, holds) in rows {
            let pattern = PathPattern::under(prefix).unwrap();
            assert_eq!(pattern.holds(path), holds, "{prefix} {path}");
        }
    }

    #[test]
    fn a_parameter_is_one_segment_and_a_rest_is_all_of_them() {
        let rows = [
            ("/users/{id}", "/users/7", true),
            ("/users/{id}", "/users/", false),
            ("/users/{id}", "/users/7/", false),
            ("/users/{id}", "/users/7/x", false),
            ("/files/{*rest}", "/files/a/b", true),
            ("/files/{*rest}", "/files/", false),
            ("/v{n}/x", "/v1/x", true),
            ("/v{n}/x", "/w1/x", false),
            ("/{{x}}", "/{x}", true),
        ];
        for (text, path, holds) in rows {
            let pattern = PathPattern::shaped(text).unwrap();
            assert_eq!(pattern.holds(path), holds, "{text} {path}");
        }
    }

    #[test]
    fn an_invalid_path_is_named_with_its_correction() {
        let rows = [
            (PathPattern::exactly("users"), "begin it with a slash"),
            (PathPattern::under(""), "begin it with a slash"),
            (PathPattern::exactly("/a?b=c"), "remove the query"),
            (PathPattern::exactly("/a/../b"), "remove segments"),
            (PathPattern::under("/%2e/b"), "remove segments"),
            (PathPattern::exactly("/a b"), "`%20`"),
            (PathPattern::exactly("/ä"), "`%20`"),
            (
                PathPattern::shaped("/{*rest}/x"),
                "put `{*rest}` at its end",
            ),
            (PathPattern::shaped("/{a}-{b}"), "end of its segment"),
            (PathPattern::shaped("/{a"), "write parameters"),
            (PathPattern::shaped("/{}"), "write parameters"),
            (
                PathPattern::matching("/("),
                "`/(` is not a regular expression",
            ),
        ];
        for (pattern, advice) in rows {
            let error = pattern.unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
        }
    }
}
