//! From text to a tree of directives and sections: lines, words, variables, conditions
//! and included files.
//!
//! What does not live here: what a directive means (`directive`).

mod condition;
mod fill;
mod glob;
mod include;
mod lines;
mod node;
mod sources;
mod state;
#[cfg(test)]
mod tests;
mod tree;
mod variables;
mod words;

pub(super) use node::{ConfigWord, Directive, Section, Span, SyntaxNode};
pub(super) use sources::Sources;
pub(super) use state::ReadEnvironment;

use super::complaints::Complaints;
use super::diagnostic::Diagnostic;
use state::ParserState;

/// Reads a text, and those it includes, into a tree. Whatever cannot be read is left out
/// and complained of.
pub(super) fn read(
    text: &str,
    surroundings: &ReadEnvironment,
) -> (Vec<SyntaxNode>, Sources, Complaints) {
    read_bytes(text.as_bytes(), surroundings)
}

/// Reads what may be no text at all; see [`read`].
pub(super) fn read_bytes(
    bytes: &[u8],
    surroundings: &ReadEnvironment,
) -> (Vec<SyntaxNode>, Sources, Complaints) {
    let mut state = ParserState::new(surroundings);
    if let Some(file) = &surroundings.file {
        state.open_files.push(include::identity(file));
    }
    let name = surroundings.name.as_deref().unwrap_or("configuration");
    let (source, text) = include::add(&mut state, name, bytes);
    let nodes = tree::read(&mut state, source, &text);
    state.sources.base = state.base;
    state.sources.secrets = state.variables.secrets().map(str::to_owned).collect();
    (nodes, state.sources, state.complaints)
}
