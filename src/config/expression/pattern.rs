//! Regular expressions with a cost limit: [`Pattern`].
//!
//! As in httpd, they match bytes; `.` matches a line feed, and `$` matches only at the end
//! of the text.

use std::sync::{Arc, OnceLock};

use fancy_regex::{BytesMode, Regex, RegexBuilder};

/// The cost limit of a search: the number of backtracking steps times the length of the
/// text, since each step may scan the whole text. This is one or two seconds of processor
/// time, and rarely as much.
const MOST_WORK: usize = 1 << 27;

/// Lengths of a text in bytes; the step limit is the same for all texts up to one of them.
/// For the first, it is 50 000.
const LENGTHS: [usize; 4] = [MOST_WORK / 50_000, 8 << 10, 64 << 10, 1 << 20];

/// The approximate size limit of a compiled expression, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    ignores_case: bool,
    /// The expression for the shortest texts.
    regex: Regex,
    /// The expressions for longer texts; the limit is part of the compiled expression.
    for_longer: Arc<[OnceLock<Option<Regex>>; LENGTHS.len() - 1]>,
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
        let regex = compiled(text, ignores_case, LENGTHS[0])?;
        Ok(Self {
            text: text.to_owned(),
            ignores_case,
            regex,
            for_longer: Arc::default(),
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
        let costly = || "the regular expression takes too many steps".to_owned();
        let regex = self.for_length(value.len()).ok_or_else(costly)?;
        if !self.has_groups() {
            let found = regex.is_match(value).map_err(|_| costly())?;
            return Ok(found.then(Groups::new));
        }
        let Some(found) = regex.captures(value).map_err(|_| costly())? else {
            return Ok(None);
        };
        let group = |number| found.get(number).map(|group| group.as_bytes().to_vec());
        Ok(Some((0..10).map(group).collect()))
    }

    fn for_length(&self, length: usize) -> Option<&Regex> {
        if length <= LENGTHS[0] {
            return Some(&self.regex);
        }
        let mut longer = LENGTHS[1..].iter().zip(&*self.for_longer);
        let (&longest, regex) = longer.find(|(longest, _)| length <= **longest)?;
        let compile = || compiled(&self.text, self.ignores_case, longest).ok();
        regex.get_or_init(compile).as_ref()
    }
}

/// Compiles the expression for texts up to a length.
fn compiled(text: &str, ignores_case: bool, longest: usize) -> Result<Regex, String> {
    let regex = RegexBuilder::new(text)
        .bytes_mode(BytesMode::Ascii)
        .case_insensitive(ignores_case)
        .dot_matches_new_line(true)
        .backtrack_limit(MOST_WORK / longest)
        .delegate_size_limit(MOST_BYTES)
        .delegate_dfa_size_limit(MOST_BYTES)
        .build();
    regex.map_err(|error| in_one_line(&error.to_string()))
}

fn in_one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next_back().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
