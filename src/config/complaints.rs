//! What there is to say about a text, up to as much as anybody reads: [`Complaints`].
//!
//! What does not live here: how it is shown (`diagnostic`).

use super::diagnostic::{Diagnostic, Position};

/// After how many errors nobody reads on, and how many warnings anybody reads.
const MOST: usize = 200;

/// A list that is full at some point: each complaint holds its line, and what is wrong a
/// hundred thousand times is not to be said a hundred thousand times.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    all: Vec<Diagnostic>,
    errors: usize,
    others: usize,
}

impl Complaints {
    /// Whether there are so many errors that the rest need not be read.
    pub(super) fn are_too_many(&self) -> bool {
        self.errors >= MOST
    }

    /// Whether another warning would be shown.
    pub(super) fn take_warnings(&self) -> bool {
        self.others < MOST && !self.are_too_many()
    }

    /// Adds one. If it is shown, its place is looked for and the secrets are taken out of it,
    /// neither of which is cheap.
    pub(super) fn add<'s>(
        &mut self,
        complaint: Diagnostic,
        secrets: impl IntoIterator<Item = &'s str>,
        place: impl FnOnce() -> Position,
    ) {
        let is_error = complaint.is_error();
        if self.are_too_many() || !(is_error || self.take_warnings()) {
            return;
        }
        self.all.push(complaint.without(secrets).at(place()));
        let count = if is_error {
            &mut self.errors
        } else {
            &mut self.others
        };
        *count += 1;
        if *count == MOST {
            let more = if is_error {
                format!("after {MOST} errors the rest is not read")
            } else {
                format!("after {MOST} warnings no others are shown")
            };
            self.all.push(Diagnostic::note(more));
        }
    }

    pub(super) fn into_vec(self) -> Vec<Diagnostic> {
        self.all
    }
}
