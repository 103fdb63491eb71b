//! The diagnostics of one text, up to a limit: [`DiagnosticList`].
//!
//! Not here: how a diagnostic is shown (`diagnostic`).

use super::diagnostic::{Diagnostic, Position};

/// The number of errors after which reading stops, and the number of warnings after which
/// no more are kept.
const MOST: usize = 200;

/// A list of diagnostics with a maximum length. Each diagnostic holds a line of text, so an
/// unlimited list could use too much memory.
#[derive(Debug, Default)]
pub(super) struct DiagnosticList {
    all: Vec<Diagnostic>,
    errors: usize,
    others: usize,
}

impl DiagnosticList {
    /// Returns whether there are so many errors that reading should stop.
    pub(super) fn are_too_many(&self) -> bool {
        self.errors >= MOST
    }

    /// Returns whether another warning would be kept.
    pub(super) fn take_warnings(&self) -> bool {
        self.others < MOST && !self.are_too_many()
    }

    /// Adds a diagnostic. If it is kept, its position is computed and secrets are masked;
    /// both are slow.
    pub(super) fn add<'s>(
        &mut self,
        diagnostic: Diagnostic,
        secrets: impl IntoIterator<Item = &'s str>,
        place: impl FnOnce() -> Position,
    ) {
        let is_error = diagnostic.is_error();
        if self.are_too_many() || !(is_error || self.take_warnings()) {
            return;
        }
        self.all.push(diagnostic.without(secrets).at(place()));
        let count = if is_error {
            &mut self.errors
        } else {
            &mut self.others
        };
        *count += 1;
        if *count == MOST {
            let more = if is_error {
                format!("reading stopped after {MOST} errors")
            } else {
                format!("only the first {MOST} warnings are shown")
            };
            self.all.push(Diagnostic::note(more));
        }
    }

    pub(super) fn into_vec(self) -> Vec<Diagnostic> {
        self.all
    }
}
