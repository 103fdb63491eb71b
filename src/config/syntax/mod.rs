//! Parses a text into a tree of directives and sections: lines, words, variables,
//! conditions and included files.
//!
//! Not here: the meaning of a directive (`directive`).

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
pub(super) use state::ReaderInput;

use super::diagnostic::Diagnostic;
use super::diagnostic_list::DiagnosticList;
use state::ParserState;

/// Parses a text, and the files it includes, into a tree. Parts that cannot be parsed are
/// left out, with a diagnostic.
pub(super) fn read(text: &str, input: &ReaderInput) -> (Vec<SyntaxNode>, Sources, DiagnosticList) {
    read_bytes(text.as_bytes(), input)
}

/// Parses bytes that may not be UTF-8; see [`read`].
pub(super) fn read_bytes(
    bytes: &[u8],
    input: &ReaderInput,
) -> (Vec<SyntaxNode>, Sources, DiagnosticList) {
    let mut state = ParserState::new(input);
    if let Some(file) = &input.file {
        state.open_files.push(include::identity(file));
    }
    let name = input.name.as_deref().unwrap_or("configuration");
    let (source, text) = include::add(&mut state, name, bytes);
    let nodes = tree::read(&mut state, source, &text);
    state.sources.base = state.base;
    state.sources.secrets = state.variables.secrets().map(str::to_owned).collect();
    (nodes, state.sources, state.diagnostics)
}
