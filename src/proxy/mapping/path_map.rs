//! Maps the path of a request to the path at the member: [`PathMap`].
//!
//! Not here: the comparison of raw paths (`raw_path`), and the target of a
//! regular expression (`template`).

use std::cell::LazyCell;

use bytes::Bytes;
use http::uri::PathAndQuery;
use regex::Regex;

use super::error::{MapError, MapRuleError};
use super::join::{checked_path, join};
use super::raw_path::{Readings, has_dot_segment, is_sound, shortened, strip};
use super::template::PathTemplate;

/// The longest path with query that `http` accepts.
const MAX_LEN: usize = u16::MAX as usize - 1;

/// Maps the path of a request to the path at the member (Apache: `ProxyPass` and
/// `ProxyPassMatch`): an ordered list of rules, of which the first match applies.
///
/// Paths are matched raw, as they are in the request line: `%2F` is not a slash, and `%20`
/// is not a space. Only two pairs of spellings are equivalent: a run of slashes and one
/// slash, and the escape of a letter, digit or `-._~` and that character (RFC 3986). The
/// rest of the path, and the query, are passed on unchanged.
///
/// A request with a segment `.` or `..`, or with a broken escape, is rejected if a rule
/// maps it to a member: the member could resolve it to a path that no rule maps to.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{MappedPath, PathMap};
///
/// let map = PathMap::new()
///     .with_exclusion("/app/static")?
///     .with_prefix("/app", "/shop")?
///     .with_pattern(r"^/user/([^/]+)/(.*)$", "/accounts/$1/files/$2")?;
///
/// let mapped = |path: &str| map.map(&path.parse().unwrap());
/// assert_eq!(mapped("/app/cart?id=7"), Ok(MappedPath::To("/shop/cart?id=7".parse()?)));
/// assert_eq!(mapped("/user/ann/a"), Ok(MappedPath::To("/accounts/ann/files/a".parse()?)));
/// assert_eq!(mapped("/app/static/logo.png"), Ok(MappedPath::Excluded));
/// assert_eq!(mapped("/application"), Ok(MappedPath::NotMapped));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PathMap {
    rules: Vec<PathRule>,
}

#[derive(Clone, Debug)]
enum PathRule {
    Exclude(String),
    ExcludePattern(Regex),
    Pattern(Regex, PathTemplate),
    Prefix { from: String, to: String },
}

/// The result of mapping a path.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers must handle every case")]
pub enum MappedPath {
    /// A rule excludes the request from the members.
    Excluded,
    /// No rule matches.
    NotMapped,
    /// The path at the member, with the query of the request.
    To(PathAndQuery),
}

/// A rule of which only one side ends in a slash. It works here, but Apache would put two
/// slashes between the parts, or none.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::PathMap;
///
/// let map = PathMap::new().with_prefix("/app", "/shop/")?;
/// assert_eq!(
///     map.lint()[0].to_string(),
///     "of \"/app\" and \"/shop/\" only one ends in a slash"
/// );
/// # Ok::<(), equipoise::proxy::MapRuleError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("of {from:?} and {to:?} only one ends in a slash")]
#[non_exhaustive]
pub struct SlashMismatch {
    /// The prefix that the rule removes.
    pub from: String,
    /// The prefix that the rule adds.
    pub to: String,
}

impl PathMap {
    /// Creates a map without rules, which maps nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule that replaces a prefix (Apache: `ProxyPass from to`).
    ///
    /// A prefix matches whole segments: `/app` matches `/app` and `/app/x`, but not
    /// `/application`; `/app/` does not match `/app`. The rest is joined to `to` with
    /// exactly one slash, however the two are written. `to` may be empty.
    ///
    /// # Errors
    ///
    /// If `from` or `to` is not a path.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{MappedPath, PathMap};
    ///
    /// let map = PathMap::new().with_prefix("/app", "/")?;
    /// assert_eq!(map.map(&"/app/x".parse()?)?, MappedPath::To("/x".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_prefix(self, from: &str, to: &str) -> Result<Self, MapRuleError> {
        let from = checked_path(from)?;
        let to = match to {
            "" => String::new(),
            to => checked_path(to)?,
        };
        Ok(self.with(PathRule::Prefix { from, to }))
    }

    /// Adds a rule that excludes a prefix from the members (Apache: `ProxyPass from !`). It
    /// must come before the more general rule that it is an exception to.
    ///
    /// # Errors
    ///
    /// If `from` is not a path.
    pub fn with_exclusion(self, from: &str) -> Result<Self, MapRuleError> {
        let from = checked_path(from)?;
        Ok(self.with(PathRule::Exclude(from)))
    }

    /// Adds a rule for paths in which a regular expression matches anywhere (Apache:
    /// `ProxyPassMatch pattern to`). The expression is applied to the path with runs of
    /// slashes merged and needless escapes resolved.
    ///
    /// In `to`, `$1` to `$9` are replaced by the groups and `$0` by the whole match; `\$`
    /// is a dollar sign, as is `$` before any other character. Where the parts meet, two
    /// slashes become one. If `to` contains no group, **the whole path of the request** is
    /// appended: with `^/app` and `/shop`, `/app/x` becomes `/shop/app/x`.
    ///
    /// # Errors
    ///
    /// If `pattern` is not a regular expression, if `to` refers to a group that it does not
    /// have, or if `to` neither is a path nor begins with a group.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{MappedPath, PathMap};
    ///
    /// let map = PathMap::new().with_pattern(r"^/v\d+/(.*)$", "/api/$1")?;
    /// assert_eq!(map.map(&"/v2/a?b".parse()?)?, MappedPath::To("/api/a?b".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_pattern(self, pattern: &str, to: &str) -> Result<Self, MapRuleError> {
        let regex = compiled(pattern)?;
        let template = PathTemplate::new(to, regex.captures_len())?;
        Ok(self.with(PathRule::Pattern(regex, template)))
    }

    /// Adds a rule that excludes paths in which a regular expression matches anywhere from
    /// the members (Apache: `ProxyPassMatch pattern !`).
    ///
    /// # Errors
    ///
    /// If `pattern` is not a regular expression.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{MappedPath, PathMap};
    ///
    /// let map = PathMap::new()
    ///     .with_excluded_pattern(r"\.gif$")?
    ///     .with_prefix("/", "/")?;
    /// assert_eq!(map.map(&"/logo.gif".parse()?)?, MappedPath::Excluded);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_excluded_pattern(self, pattern: &str) -> Result<Self, MapRuleError> {
        let regex = compiled(pattern)?;
        Ok(self.with(PathRule::ExcludePattern(regex)))
    }

    /// Maps the path of a request. A target that is not a path, as in `OPTIONS *`, is not
    /// mapped.
    ///
    /// # Errors
    ///
    /// If a rule matches, but the path at the member would be too long or not valid, or the
    /// path has a broken escape or a segment `.` or `..`. Reject the request with the
    /// error's [status](MapError::status), and do not pass it on under its own path.
    pub fn map(&self, uri: &PathAndQuery) -> Result<MappedPath, MapError> {
        let found = self.find(uri)?;
        Ok(found.map_or(MappedPath::NotMapped, |(_, mapped)| mapped))
    }

    /// Maps a path like [`map`](Self::map), and also returns the index of the rule, in the
    /// order in which the rules were added; `None` if none matches. For maps whose rules
    /// lead to different members.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{MappedPath, PathMap};
    ///
    /// let services = ["shop", "pages"];
    /// let map = PathMap::new().with_prefix("/shop", "/")?.with_prefix("/", "/")?;
    /// let (rule, mapped) = map.find(&"/shop/cart".parse()?)?.unwrap();
    /// assert_eq!(services[rule], "shop");
    /// assert_eq!(mapped, MappedPath::To("/cart".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find(&self, uri: &PathAndQuery) -> Result<Option<(usize, MappedPath)>, MapError> {
        let path = uri.path();
        if !path.starts_with('/') {
            return Ok(None);
        }
        let short = shortened(path);
        // Only exclusions need them.
        let readings = LazyCell::new(|| Readings::of(path));
        for (place, rule) in self.rules.iter().enumerate() {
            let at_member = match rule {
                PathRule::Exclude(from)
                    if strip(from, path).is_some()
                        || readings.all().any(|reading| strip(from, reading).is_some()) =>
                {
                    return Ok(Some((place, MappedPath::Excluded)));
                }
                PathRule::ExcludePattern(regex)
                    if regex.is_match(&short)
                        || readings.all().any(|reading| regex.is_match(reading)) =>
                {
                    return Ok(Some((place, MappedPath::Excluded)));
                }
                PathRule::Exclude(_) | PathRule::ExcludePattern(_) => None,
                PathRule::Pattern(regex, to) => {
                    let found = regex.captures(&short);
                    found.map(|found| to.path(&found, path))
                }
                PathRule::Prefix { from, to } => {
                    let rest = strip(from, path);
                    rest.map(|rest| join(to, rest.as_bytes(), from.ends_with('/')))
                }
            };
            if let Some(at_member) = at_member {
                let mapped = with_query(at_member, uri).map(MappedPath::To)?;
                return Ok(Some((place, mapped)));
            }
        }
        Ok(None)
    }

    /// Returns the prefix rules of which only one side ends in a slash, in order. They work
    /// as written, but differently in Apache; report them when moving a configuration from
    /// or to Apache.
    #[must_use]
    pub fn lint(&self) -> Vec<SlashMismatch> {
        let mismatch = |rule: &PathRule| match rule {
            PathRule::Prefix { from, to } if from.ends_with('/') != to.ends_with('/') => {
                let (from, to) = (from.clone(), to.clone());
                // Apache completes an empty path itself.
                let fine = to.is_empty() && !from.ends_with('/');
                (!fine).then_some(SlashMismatch { from, to })
            }
            _ => None,
        };
        self.rules.iter().filter_map(mismatch).collect()
    }

    fn with(mut self, rule: PathRule) -> Self {
        self.rules.push(rule);
        self
    }
}

fn compiled(pattern: &str) -> Result<Regex, MapRuleError> {
    Regex::new(pattern).map_err(|source| MapRuleError::Pattern {
        pattern: pattern.to_owned(),
        source,
    })
}

fn with_query(mut path: Vec<u8>, asked: &PathAndQuery) -> Result<PathAndQuery, MapError> {
    // A group may join what was separate in the request, or cut an escape.
    for path in [asked.path().as_bytes(), &path] {
        if is_sound(path) {
            continue;
        }
        return Err(match has_dot_segment(path) {
            true => MapError::DotSegment,
            false => MapError::Invalid,
        });
    }
    let stays = path.len() == asked.path().len() && asked.as_str().as_bytes().starts_with(&path);
    if stays && asked.as_str().len() <= MAX_LEN {
        return Ok(asked.clone());
    }
    if let Some(query) = asked.query() {
        path.push(b'?');
        path.extend_from_slice(query.as_bytes());
    }
    if path.len() > MAX_LEN {
        return Err(MapError::TooLong);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| MapError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::{MappedPath, PathMap};
    use crate::proxy::mapping::error::{MapError, MapRuleError};

    fn to(path: &str) -> Result<MappedPath, MapError> {
        Ok(MappedPath::To(path.parse().unwrap()))
    }

    fn mapped(map: &PathMap, path: &str) -> Result<MappedPath, MapError> {
        map.map(&path.parse().unwrap())
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let map = PathMap::new().with_prefix("/a", "/1").unwrap();
        let map = map.with_exclusion("/a/b").unwrap();
        let map = map.with_pattern("^/c/(.*)", "/2/$1").unwrap();
        let map = map.with_excluded_pattern("d$").unwrap();
        let map = map.with_prefix("/", "/3").unwrap();
        for (path, expected) in [
            ("/a/b", to("/1/b")),
            ("/c/d", to("/2/d")),
            ("/d", Ok(MappedPath::Excluded)),
            ("/e", to("/3/e")),
            ("*", Ok(MappedPath::NotMapped)),
        ] {
            assert_eq!(mapped(&map, path), expected, "{path}");
        }
    }

    #[test]
    fn an_exclusion_cannot_be_bypassed_by_another_spelling() {
        let map = PathMap::new().with_exclusion("/app/admin").unwrap();
        let map = map.with_excluded_pattern("^/app/secret").unwrap();
        let map = map.with_excluded_pattern("^/app/[^/]*delete all").unwrap();
        let map = map.with_exclusion("/app/semi;x").unwrap();
        let map = map.with_excluded_pattern(r"^/app/bs\\x").unwrap();
        let map = map.with_prefix("/app", "/").unwrap();
        for path in [
            "/app/%61dmin",
            "//app///admin/x",
            "/%61pp/admin",
            "/app/%73ecret",
            "/app//secret",
            "/app/x;delete%20all",
            "/app/x%3Bdelete%20all",
            "/app/semi%3bx",
            "/app/bs%5cx",
        ] {
            assert_eq!(mapped(&map, path), Ok(MappedPath::Excluded), "{path}");
        }
        for path in [
            "/app/./admin",
            "/app/x/../admin",
            "/app/%2e/secret",
            "/app/x/..;/admin",
        ] {
            assert_eq!(mapped(&map, path), Err(MapError::DotSegment), "{path}");
        }
    }

    #[test]
    fn the_query_and_what_is_escaped_stay_as_they_are() {
        let map = PathMap::new().with_prefix("/app", "/z").unwrap();
        let map = map.with_pattern("^/m/(.*)$", "/z/$1").unwrap();
        for (path, expected) in [
            ("/app?", "/z?"),
            ("/app?a=/../b?c", "/z?a=/../b?c"),
            ("/app/a%2Fb%20c%7E;v=1//d", "/z/a%2Fb%20c%7E;v=1//d"),
            ("/m/a%2Fb%20c;v=1?q", "/z/a%2Fb%20c;v=1?q"),
        ] {
            assert_eq!(mapped(&map, path), to(expected), "{path}");
        }
    }

    #[test]
    fn a_path_that_grows_too_long_is_refused_and_not_passed_on_as_it_came() {
        let map = PathMap::new().with_prefix("/app", "/longer").unwrap();
        let fits = format!("/app?{}", "x".repeat(65_526));
        assert!(matches!(mapped(&map, &fits), Ok(MappedPath::To(_))));
        let long = format!("/app?{}", "x".repeat(65_527));
        assert_eq!(mapped(&map, &long), Err(MapError::TooLong));
    }

    #[test]
    fn a_group_cannot_put_a_dot_segment_together() {
        let map = PathMap::new().with_pattern("^/x/(.)(.)", "/y/$1$2/z");
        assert_eq!(mapped(&map.unwrap(), "/x/..a"), Err(MapError::DotSegment));
    }

    #[test]
    fn a_broken_escape_is_refused_also_where_a_group_cuts_one() {
        let map = PathMap::new().with_pattern("^/x/(.*)F", "/y/$1").unwrap();
        let map = map.with_prefix("/a", "/b").unwrap();
        for path in ["/a/%%361dmin", "/a/%", "/a/%4", "/x/%2F"] {
            assert_eq!(mapped(&map, path), Err(MapError::Invalid), "{path}");
        }
    }

    #[test]
    fn invalid_rules_are_rejected() {
        assert!(PathMap::new().with_prefix("/a", "b").is_err());
        assert!(PathMap::new().with_exclusion("").is_err());
        let error = PathMap::new().with_excluded_pattern("(").unwrap_err();
        assert!(matches!(error, MapRuleError::Pattern { .. }));
        assert!(PathMap::new().with_pattern("a", "/$1").is_err());
    }

    #[test]
    fn slashes_that_do_not_agree_are_listed() {
        let mut map = PathMap::new();
        for (from, to) in [
            ("/a", "/x/"),
            ("/b/", "/x"),
            ("/c/", ""),
            ("/d", ""),
            ("/e", "/x"),
            ("/f/", "/"),
        ] {
            map = map.with_prefix(from, to).unwrap();
        }
        let found: Vec<_> = map.lint().into_iter().map(|rule| rule.from).collect();
        assert_eq!(found, ["/a", "/b/", "/c/"]);
    }
}
