//! Matches paths to locations: [`Paths`].
//!
//! Not here: the ways in which a path can be read, which are in `proxy`. Settings use
//! httpd's reading; access must be granted in all readings.

use regex::Regex;

/// The paths of a location.
#[derive(Clone, Debug)]
pub(in crate::config) enum Paths {
    /// Paths that contain a match of this regular expression.
    Pattern(Regex),
    /// Paths below this one, compared by whole segments.
    Prefix(String),
}

impl Paths {
    pub(super) fn contain(&self, reading: &str) -> bool {
        match self {
            Self::Pattern(regex) => regex.is_match(reading),
            Self::Prefix(prefix) => reading.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/')
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Paths;

    #[test]
    fn a_prefix_is_of_whole_segments() {
        let paths = Paths::Prefix("/a/b".to_owned());
        for (path, expected) in [
            ("/a/b", true),
            ("/a/b/", true),
            ("/a/bc", false),
            ("/a", false),
        ] {
            assert_eq!(paths.contain(path), expected, "{path}");
        }
        assert!(Paths::Prefix("/a/".to_owned()).contain("/a/b"));
        assert!(!Paths::Prefix("/a/".to_owned()).contain("/a"));
        assert!(Paths::Prefix("/".to_owned()).contain("/a"));
    }
}
