//! A request in flight, as its connection counts it: [`Busy`].

use std::sync::Arc;

use super::held_heads::HeldHead;
use super::line::LineState;
use super::unread::UnreadBody;

/// Counts a request in flight.
#[derive(Debug)]
pub(super) struct Busy {
    pub(super) line: Arc<LineState>,
    /// It is held, for a repetition or otherwise, until the exchange is over.
    pub(super) head: Option<HeldHead>,
}

impl Busy {
    pub(super) fn new(line: &Arc<LineState>) -> Self {
        line.request_begins();
        Self {
            line: line.clone(),
            head: None,
        }
    }

    /// Counts its body, which an answer does not always wait for.
    pub(super) fn also(&self) -> Self {
        self.line.request_goes_on();
        Self {
            line: self.line.clone(),
            head: None,
        }
    }

    pub(super) fn unread(&self) -> &UnreadBody {
        &self.line.unread
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.line.request_ends();
    }
}
