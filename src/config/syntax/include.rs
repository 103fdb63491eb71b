//! `Include`: finds and reads the files.
//!
//! Not here: pattern matching (`glob`), and parsing (`tree`).

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lines::number;
use super::state::ParserState;
use super::{ConfigWord, Diagnostic, Span, glob};

/// The maximum depth of nested includes.
const DEPTH: usize = 16;

const MISSING: &str = "write `IncludeOptional` if the file may be missing";

/// Returns the files that a path names, sorted by name.
pub(super) fn files(
    state: &mut ParserState<'_>,
    word: &ConfigWord,
    optional: bool,
) -> Vec<PathBuf> {
    let path = &word.text;
    let Some(base) = &state.base else {
        let diagnostic = Diagnostic::error("`Include` needs a base directory");
        let hint = "set one with `Reader::base`, or read the file with `Reader::parse_file`";
        state.report(word.span, diagnostic.with_hint(hint));
        return Vec::new();
    };
    match glob::files(base, path) {
        Ok(Some(files)) => files,
        Ok(None) => {
            if !optional {
                let diagnostic = Diagnostic::error(format!("no file matches `{path}`"));
                state.report(word.span, diagnostic.with_hint(MISSING));
            }
            Vec::new()
        }
        Err((directory, error)) => {
            unreadable(state, word.span, &directory, &error);
            Vec::new()
        }
    }
}

/// Opens an included file, and appends it to `open_files`; returns its source number and
/// text. Returns `None`, sometimes with a diagnostic, if it is not to be read.
pub(super) fn open(
    state: &mut ParserState<'_>,
    span: Span,
    file: &Path,
    optional: bool,
) -> Option<(u32, Arc<str>)> {
    if !file.exists() {
        if !optional {
            let message = format!("file `{}` does not exist", file.display());
            state.report(span, Diagnostic::error(message).with_hint(MISSING));
        }
        return None;
    }
    let identity = identity(file);
    if state.open_files.contains(&identity) {
        let diagnostic = Diagnostic::error(format!("`{}` includes itself", file.display()));
        let diagnostic =
            diagnostic.with_hint("the file is already being read: remove this `Include`");
        state.report(span, diagnostic);
        return None;
    }
    if state.open_files.len() >= DEPTH {
        let diagnostic = Diagnostic::error(format!(
            "`{}` is not read: includes are nested more than {DEPTH} deep",
            file.display()
        ));
        state.report(span, diagnostic.with_hint("include it from an outer file"));
        return None;
    }
    let bytes = match read_bytes(file, state.budget()) {
        Ok(bytes) => bytes,
        Err(error) => {
            unreadable(state, span, file, &error);
            return None;
        }
    };
    // An empty file counts as one byte, so that the number of files is limited.
    if !state.spend(bytes.len() as u64 + 1) {
        state.too_large(span);
        return None;
    }
    state.open_files.push(identity);
    Some(add(state, &file.display().to_string(), &bytes))
}

/// Adds bytes that may not be UTF-8 to the sources; returns the source number and the text.
pub(super) fn add(state: &mut ParserState<'_>, name: &str, bytes: &[u8]) -> (u32, Arc<str>) {
    // A byte order mark is part of the file, not of the first line.
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
        let diagnostic = Diagnostic::error("the file is not UTF-8");
        let hint = "save the file as UTF-8, or use only ASCII characters";
        state.report(span, diagnostic.with_hint(hint));
    }
    (source, text)
}

/// Reads one byte more than the limit, to detect a file that is too large.
fn read_bytes(file: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    // Opening or reading a pipe might block for ever.
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(state: &mut ParserState<'_>, span: Span, file: &Path, error: &std::io::Error) {
    let diagnostic = Diagnostic::error(format!("cannot read `{}`: {error}", file.display()));
    state.report(span, diagnostic);
}

/// Returns the canonical path of a file.
pub(super) fn identity(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_path_buf())
}
