//! Regular expressions with a cost limit: [`Pattern`].
//!
//! As in httpd, they match bytes; `.` matches a line feed, and `$` matches only at the end
//! of the text.

use fancy_regex::{BytesMode, Regex, RegexBuilder};

/// The number of backtracking steps after which a search fails.
const MOST_BACKTRACKS: usize = 50_000;

/// The approximate size limit of a compiled expression, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    ignores_case: bool,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.ignores_case) == (&other.text, other.ignores_case)
    }
}

impl Eq for Pattern {}

/// The whole match and its groups.
pub(super) type Groups = Vec<Option<Vec<u8>>>;

impl Pattern {
    /// Compiles an expression; the error is the reason why it cannot be compiled.
    pub(super) fn new(text: &str, ignores_case: bool) -> Result<Self, String> {
        let regex = RegexBuilder::new(text)
            .bytes_mode(BytesMode::Ascii)
            .case_insensitive(ignores_case)
            .dot_matches_new_line(true)
            .backtrack_limit(MOST_BACKTRACKS)
            .delegate_size_limit(MOST_BYTES)
            .delegate_dfa_size_limit(MOST_BYTES)
            .build();
        let regex = regex.map_err(|error| in_one_line(&error.to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            ignores_case,
            regex,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// Returns whether it has groups. httpd stores the groups of a match only if there are
    /// any.
    pub(super) fn has_groups(&self) -> bool {
        self.regex.captures_len() > 1
    }

    /// Searches for a match; returns its groups, if there are any. The error is that the
    /// search takes too many steps.
    pub(super) fn search(&self, value: &[u8]) -> Result<Option<Groups>, String> {
        let costly = |_| "the regular expression takes too many steps".to_owned();
        if !self.has_groups() {
            let found = self.regex.is_match(value).map_err(costly)?;
            return Ok(found.then(Groups::new));
        }
        let Some(found) = self.regex.captures(value).map_err(costly)? else {
            return Ok(None);
        };
        let group = |number| found.get(number).map(|group| group.as_bytes().to_vec());
        Ok(Some((0..10).map(group).collect()))
    }
}

fn in_one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next_back().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
