//! The state of the parser: environment, sources, variables, diagnostics and limits.
//!
//! Not here: open sections, which end with their file (`tree`).

use std::fmt;
use std::path::{Path, PathBuf};

use super::node::{ConfigWord, Span};
use super::sources::Sources;
use super::variables::Variables;
use crate::config::diagnostic::Diagnostic;
use crate::config::diagnostic_list::DiagnosticList;

/// The total size in bytes of included files and values of variables. Without a limit, a
/// few lines that each define a variable as twice the previous one could use all memory.
const BYTES: u64 = 16 << 20;

/// The parser's input from outside the text.
#[derive(Clone, Default)]
pub(in crate::config) struct ReaderInput {
    /// The name of the first text.
    pub(in crate::config) name: Option<String>,
    /// The directory for relative names in `Include`; without it, includes are an error.
    pub(in crate::config) base: Option<PathBuf>,
    /// The directory for relative names if neither `base` nor `ServerRoot` is set.
    pub(in crate::config) fallback_base: Option<PathBuf>,
    /// The file of the first text, which must not include itself.
    pub(in crate::config) file: Option<PathBuf>,
    /// The definitions (httpd: `-D`), with or without a value.
    pub(in crate::config) defines: Vec<(String, String)>,
    /// The values of `${NAME}` for names that are not defined.
    pub(in crate::config) environment: Vec<(String, String)>,
}

impl fmt::Debug for ReaderInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |all: &[(String, String)]| -> Vec<String> {
            all.iter().map(|(name, _)| name.clone()).collect()
        };
        // Values may be secret.
        f.debug_struct("ReaderInput")
            .field("name", &self.name)
            .field("base", &self.base)
            .field("defines", &names(&self.defines))
            .field("environment", &names(&self.environment))
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct ParserState<'a> {
    pub(super) input: &'a ReaderInput,
    /// The directory for relative file names.
    pub(super) base: Option<PathBuf>,
    pub(super) sources: Sources,
    pub(super) diagnostics: DiagnosticList,
    pub(super) variables: Variables,
    /// The files that are being read, from the outermost to the innermost.
    pub(super) open_files: Vec<PathBuf>,
    /// The number of open sections in all files that are being read.
    pub(super) depth: usize,
    /// Whether reading has stopped.
    pub(super) stopped: bool,
    budget: u64,
}

impl<'a> ParserState<'a> {
    pub(super) fn new(input: &'a ReaderInput) -> Self {
        Self {
            input,
            base: input.base.clone().or(input.fallback_base.clone()),
            sources: Sources::default(),
            diagnostics: DiagnosticList::default(),
            variables: Variables::new(&input.defines, &input.environment),
            open_files: Vec::new(),
            depth: 0,
            stopped: false,
            budget: BYTES,
        }
    }

    /// Applies `ServerRoot`, unless the caller has set the directory.
    pub(super) fn server_root(&mut self, root: &str) {
        let from_file = self.input.fallback_base.is_some() && self.input.base.is_none();
        if from_file && Path::new(root).is_absolute() {
            self.base = Some(PathBuf::from(root));
        }
    }

    pub(super) fn report(&mut self, span: Span, diagnostic: Diagnostic) {
        if self.stopped {
            return;
        }
        let secrets = self.variables.secrets();
        self.diagnostics
            .add(diagnostic, secrets, || self.sources.place(span));
        self.stopped |= self.diagnostics.are_too_many();
    }

    /// Adds a diagnostic for a directive or a condition with the wrong number of words.
    pub(super) fn wrong_count(&mut self, name: &ConfigWord, words: &[ConfigWord], takes: &str) {
        let span = words.last().map_or(name.span, |word| word.span);
        let diagnostic = Diagnostic::error(format!("`{}` takes {takes}", name.text));
        self.report(span, diagnostic);
    }

    pub(super) fn undefined(&mut self, span: Span, name: &str) {
        // Comparing names is slow, and the result would not be shown.
        if !self.diagnostics.take_warnings() {
            return;
        }
        let diagnostic = Diagnostic::warning(format!("the variable `${{{name}}}` is not defined"));
        let hint = match self.variables.nearest(name) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None => format!(
                "write `Define {name} value` before this line, or pass it with `Reader::define`"
            ),
        };
        self.report(span, diagnostic.with_hint(hint));
    }

    /// Subtracts from the remaining bytes; returns false if too few remain.
    pub(super) fn spend(&mut self, bytes: u64) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(0);
        left.is_some()
    }

    /// Returns the remaining bytes.
    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// Stops reading, after [`ParserState::spend`] has returned false.
    pub(super) fn too_large(&mut self, span: Span) {
        let mebibytes = BYTES >> 20;
        let diagnostic = Diagnostic::error(format!(
            "included files and values of variables exceed {mebibytes} MiB in total"
        ));
        self.report(span, diagnostic.with_hint("the rest is not read"));
        self.stopped = true;
    }
}
