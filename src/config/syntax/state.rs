//! What is carried along while reading: what was told from outside, sources, variables,
//! complaints and bounds.
//!
//! What does not live here: the open sections, which end with their file (`tree`).

use std::fmt;
use std::path::{Path, PathBuf};

use super::node::{ConfigWord, Span};
use super::sources::Sources;
use super::variables::Variables;
use crate::config::complaints::Complaints;
use crate::config::diagnostic::Diagnostic;

/// How many bytes included files and values of variables may have together. A few lines
/// that define a variable as twice the one before are enough to ask for more than there is.
const BYTES: u64 = 16 << 20;

/// What the reader is told from outside.
#[derive(Clone, Default)]
pub(in crate::config) struct ReadEnvironment {
    /// The name of the first text.
    pub(in crate::config) name: Option<String>,
    /// Where relative names in `Include` begin; without it there are no includes.
    pub(in crate::config) base: Option<PathBuf>,
    /// Where they begin as long as neither `base` nor a `ServerRoot` says so.
    pub(in crate::config) nearby: Option<PathBuf>,
    /// The file that the first text is from, which then is not to be included.
    pub(in crate::config) file: Option<PathBuf>,
    /// What is defined (httpd: `-D`), with a value or without.
    pub(in crate::config) defines: Vec<(String, String)>,
    /// What `${NAME}` stands for where nothing of that name is defined.
    pub(in crate::config) environment: Vec<(String, String)>,
}

impl fmt::Debug for ReadEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |all: &[(String, String)]| -> Vec<String> {
            all.iter().map(|(name, _)| name.clone()).collect()
        };
        // Values may be secret.
        f.debug_struct("ReadEnvironment")
            .field("name", &self.name)
            .field("base", &self.base)
            .field("defines", &names(&self.defines))
            .field("environment", &names(&self.environment))
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct ParserState<'a> {
    pub(super) surroundings: &'a ReadEnvironment,
    /// Where relative names of files begin.
    pub(super) base: Option<PathBuf>,
    pub(super) sources: Sources,
    pub(super) complaints: Complaints,
    pub(super) variables: Variables,
    /// The files that are being read, from the outermost.
    pub(super) open_files: Vec<PathBuf>,
    /// How many sections are open, in all files that are being read.
    pub(super) depth: usize,
    /// Nothing more is to be read.
    pub(super) stopped: bool,
    budget: u64,
}

impl<'a> ParserState<'a> {
    pub(super) fn new(surroundings: &'a ReadEnvironment) -> Self {
        Self {
            surroundings,
            base: surroundings.base.clone().or(surroundings.nearby.clone()),
            sources: Sources::default(),
            complaints: Complaints::default(),
            variables: Variables::new(&surroundings.defines, &surroundings.environment),
            open_files: Vec::new(),
            depth: 0,
            stopped: false,
            budget: BYTES,
        }
    }

    /// `ServerRoot`, unless somebody from outside has said it.
    pub(super) fn server_root(&mut self, root: &str) {
        let from_file = self.surroundings.nearby.is_some() && self.surroundings.base.is_none();
        if from_file && Path::new(root).is_absolute() {
            self.base = Some(PathBuf::from(root));
        }
    }

    pub(super) fn complain(&mut self, span: Span, complaint: Diagnostic) {
        if self.stopped {
            return;
        }
        let secrets = self.variables.secrets();
        self.complaints
            .add(complaint, secrets, || self.sources.place(span));
        self.stopped |= self.complaints.are_too_many();
    }

    /// Complains that a directive, or a condition, does not take these words.
    pub(super) fn wrong_count(&mut self, name: &ConfigWord, words: &[ConfigWord], takes: &str) {
        let span = words.last().map_or(name.span, |word| word.span);
        let complaint = Diagnostic::error(format!("`{}` takes {takes}", name.text));
        self.complain(span, complaint);
    }

    pub(super) fn undefined(&mut self, span: Span, name: &str) {
        // Likeness is not cheap; nobody would see it.
        if !self.complaints.take_warnings() {
            return;
        }
        let complaint = Diagnostic::warning(format!("the variable `${{{name}}}` is not defined"));
        let hint = match self.variables.nearest(name) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None => format!("write `Define {name} value` above, or give it to the reader"),
        };
        self.complain(span, complaint.with_hint(hint));
    }

    /// Takes from the bytes that may still come; false if there are not as many.
    pub(super) fn spend(&mut self, bytes: u64) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(0);
        left.is_some()
    }

    /// How many bytes may still come.
    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// Stops, since [`ParserState::spend`] said no.
    pub(super) fn too_large(&mut self, span: Span) {
        let mebibytes = BYTES >> 20;
        let complaint = Diagnostic::error(format!(
            "included files and values of variables are larger than {mebibytes} MiB together"
        ));
        self.complain(span, complaint.with_hint("the rest is not read"));
        self.stopped = true;
    }
}
