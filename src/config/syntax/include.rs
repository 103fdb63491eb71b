//! `Include`: which files a path names, and their reading.
//!
//! What does not live here: how a pattern matches a name (`glob`).

use std::io::Read;
use std::path::{Path, PathBuf};

use super::lines::number;
use super::state::State;
use super::{Diagnostic, Node, Span, Word, glob, tree};

/// How many files may include each other.
const DEPTH: usize = 16;

/// Reads the files that a path names, in the order of their names.
pub(super) fn include(state: &mut State<'_>, word: &Word, optional: bool) -> Vec<Node> {
    let path = &word.text;
    let Some(base) = &state.base else {
        let complaint = Diagnostic::error("there is no directory to include files from");
        let hint = "name one by `Reader::base`, or read the file by `Reader::parse_file`";
        state.complain(word.span, complaint.with_hint(hint));
        return Vec::new();
    };
    let hint = "write `IncludeOptional` if it may be missing";
    let files = match glob::files(base, path) {
        Ok(Some(files)) => files,
        Ok(None) => {
            if !optional {
                let complaint = Diagnostic::error(format!("no file matches `{path}`"));
                state.complain(word.span, complaint.with_hint(hint));
            }
            return Vec::new();
        }
        Err((directory, error)) => {
            unreadable(state, word.span, &directory, &error);
            return Vec::new();
        }
    };
    let mut nodes = Vec::new();
    for file in files {
        if state.stopped {
            break;
        }
        if !file.exists() {
            if !optional {
                let complaint = format!("there is no file `{}`", file.display());
                state.complain(word.span, Diagnostic::error(complaint).with_hint(hint));
            }
            continue;
        }
        nodes.extend(read_file(state, word.span, &file));
    }
    nodes
}

fn read_file(state: &mut State<'_>, span: Span, file: &Path) -> Vec<Node> {
    let identity = identity(file);
    if state.open_files.contains(&identity) {
        let complaint = Diagnostic::error(format!("`{}` includes itself", file.display()));
        let complaint = complaint.with_hint("it is being read already when it is read here");
        state.complain(span, complaint);
        return Vec::new();
    }
    if state.open_files.len() >= DEPTH {
        let complaint = Diagnostic::error(format!(
            "`{}` is not read: more than {DEPTH} files are within each other",
            file.display()
        ));
        state.complain(
            span,
            complaint.with_hint("include it from a file further out"),
        );
        return Vec::new();
    }
    let bytes = match read_bytes(file, state.budget()) {
        Ok(bytes) => bytes,
        Err(error) => {
            unreadable(state, span, file, &error);
            return Vec::new();
        }
    };
    // An empty file costs something too, lest there be any number of them.
    if !state.spend(bytes.len() as u64 + 1) {
        state.too_large(span);
        return Vec::new();
    }
    let name = file.display().to_string();
    state.open_files.push(identity);
    let nodes = read_text(state, &name, &bytes);
    state.open_files.pop();
    nodes
}

/// Reads a file of which it is not yet known whether it is a text.
pub(super) fn read_text(state: &mut State<'_>, name: &str, bytes: &[u8]) -> Vec<Node> {
    // Editors put a mark before a text; it belongs to the file, not to the first line.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let (source, text) = state.sources.add(name, &text);
    if let Err(error) = std::str::from_utf8(bytes) {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = before.rsplit('\n').next().unwrap_or("");
        let span = Span {
            source,
            line: number(before.matches('\n').count()).saturating_add(1),
            column: number(line.chars().count()).saturating_add(1),
            length: 1,
        };
        let complaint = Diagnostic::error("this is not UTF-8");
        let hint = "save the file as UTF-8, or write what is not ASCII in another way";
        state.complain(span, complaint.with_hint(hint));
    }
    tree::read(state, source, &text)
}

/// One byte more than there may be is enough to know that it is too much.
fn read_bytes(file: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    // A pipe might never end, and opening one might never return.
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(state: &mut State<'_>, span: Span, file: &Path, error: &std::io::Error) {
    let complaint = Diagnostic::error(format!("cannot read `{}`: {error}", file.display()));
    state.complain(span, complaint);
}

/// The one name of a file that may be reached by several.
pub(super) fn identity(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_path_buf())
}
