//! From text to a tree of directives and sections: lines, words, variables, conditions
//! and included files.
//!
//! What does not live here: what a directive means (`directive`).

mod condition;
mod fill;
mod glob;
mod include;
mod lines;
mod state;
#[cfg(test)]
mod tests;
mod tree;
mod variables;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use state::State;

use super::complaints::Complaints;
use super::diagnostic::{Diagnostic, Place};
use super::secret;

/// A stretch of a source text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Span {
    /// Which source, by its place in [`Sources`].
    pub(super) source: u32,
    /// The line, from 1.
    pub(super) line: u32,
    /// The column, in characters, from 1.
    pub(super) column: u32,
    /// How many characters.
    pub(super) length: u32,
}

/// A word of a line, without its quotes and with its variables filled in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Span,
}

/// `Name word word`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Directive {
    pub(super) name: Word,
    pub(super) words: Vec<Word>,
}

/// `<Name word> ... </Name>`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Section {
    /// Without the angle bracket.
    pub(super) name: Word,
    pub(super) words: Vec<Word>,
    pub(super) children: Vec<Node>,
}

/// A directive or a section. `Define`, `UnDefine`, `Include`, `IncludeOptional`,
/// `<IfModule>`, `<IfDefine>` and `<IfVersion>` are carried out already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Node {
    Directive(Directive),
    Section(Section),
}

/// The texts that were read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Where relative names of files begin.
    pub(super) base: Option<PathBuf>,
    /// The values of variables that must not be shown.
    pub(super) secrets: Vec<String>,
    files: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Where the lines begin.
    lines: Vec<usize>,
}

/// What the reader is told from outside.
#[derive(Clone, Default)]
pub(super) struct Surroundings {
    /// The name of the first text.
    pub(super) name: Option<String>,
    /// Where relative names in `Include` begin; without it there are no includes.
    pub(super) base: Option<PathBuf>,
    /// Where they begin as long as neither `base` nor a `ServerRoot` says so.
    pub(super) nearby: Option<PathBuf>,
    /// The file that the first text is from, which then is not to be included.
    pub(super) file: Option<PathBuf>,
    /// What is defined (httpd: `-D`), with a value or without.
    pub(super) defines: Vec<(String, String)>,
    /// What `${NAME}` stands for where nothing of that name is defined.
    pub(super) environment: Vec<(String, String)>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |all: &[(String, String)]| -> Vec<String> {
            all.iter().map(|(name, _)| name.clone()).collect()
        };
        // Values may be secret.
        f.debug_struct("Surroundings")
            .field("name", &self.name)
            .field("base", &self.base)
            .field("defines", &names(&self.defines))
            .field("environment", &names(&self.environment))
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// The place in the text that a person can look at.
    pub(super) fn place(&self, span: Span) -> Place {
        let source = &self.files[span.source as usize];
        let line = span.line as usize;
        let begin = source.lines[line - 1];
        let end = source
            .lines
            .get(line)
            .map_or(source.text.len(), |next| next - 1);
        let text = &source.text[begin..end];
        Place {
            file: source.name.clone(),
            line: span.line,
            column: span.column,
            length: span.length.max(1),
            text: self.shown(span, text.strip_suffix('\r').unwrap_or(text)),
        }
    }

    /// A physical line without its secrets: the lines that it continues may announce them, and
    /// those that continue it may show that there was one.
    fn shown(&self, span: Span, text: &str) -> Arc<str> {
        fn joined(line: &str) -> Option<&str> {
            let line = line.strip_suffix('\n').unwrap_or(line);
            line.strip_suffix('\r').unwrap_or(line).strip_suffix('\\')
        }
        let source = &self.files[span.source as usize];
        let (before, rest) = source.text.split_at(source.lines[span.line as usize - 1]);
        let mut parts: Vec<&str> = before
            .split_inclusive('\n')
            .rev()
            .map_while(joined)
            .collect();
        parts.reverse();
        let announced: usize = parts.iter().map(|part| part.chars().count()).sum();
        let own = joined(text).unwrap_or(text);
        // Without a line's end behind it a backslash stands for itself.
        let mut following = rest
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let mut is_joined = following.next().and_then(joined).is_some();
        let (own, sign) = if is_joined { (own, "\\") } else { (text, "") };
        parts.push(own);
        let mut following = rest.split_inclusive('\n').skip(1);
        while let Some(line) = following.next().filter(|_| is_joined) {
            let part = joined(line).filter(|_| line.ends_with('\n'));
            is_joined = part.is_some();
            parts.push(part.unwrap_or(line.trim_end_matches(['\n', '\r'])));
        }
        let whole = secret::masked_line(&parts.concat()).into_owned();
        let shown = whole.chars().skip(announced).take(own.chars().count());
        shown.chain(sign.chars()).collect::<String>().into()
    }

    /// Where a place comes among all that were read; what is nowhere comes last.
    pub(super) fn rank(&self, place: Option<&Place>) -> (usize, u32, u32) {
        let Some(place) = place else {
            return (usize::MAX, 0, 0);
        };
        let file = self.files.iter().position(|it| it.name == place.file);
        (file.unwrap_or(usize::MAX), place.line, place.column)
    }

    /// Adds a text, and says which it is.
    fn add(&mut self, name: &str, text: &str) -> (u32, Arc<str>) {
        let text: Arc<str> = text.into();
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let source = Source {
            name: name.into(),
            text: text.clone(),
            lines: std::iter::once(0).chain(ends).collect(),
        };
        self.files.push(source);
        (lines::number(self.files.len() - 1), text)
    }
}

/// Reads a text, and those it includes, into a tree. Whatever cannot be read is left out
/// and complained of.
pub(super) fn read(text: &str, surroundings: &Surroundings) -> (Vec<Node>, Sources, Complaints) {
    read_bytes(text.as_bytes(), surroundings)
}

/// Reads what may be no text at all; see [`read`].
pub(super) fn read_bytes(
    bytes: &[u8],
    surroundings: &Surroundings,
) -> (Vec<Node>, Sources, Complaints) {
    let mut state = State::new(surroundings);
    if let Some(file) = &surroundings.file {
        state.open_files.push(include::identity(file));
    }
    let name = surroundings.name.as_deref().unwrap_or("configuration");
    let nodes = include::read_text(&mut state, name, bytes);
    state.sources.base = state.base;
    state.sources.secrets = state.variables.secrets().map(str::to_owned).collect();
    (nodes, state.sources, state.complaints)
}
