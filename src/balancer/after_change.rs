//! What is left to do once a change has been made: [`AfterChange`].

use std::sync::Arc;

use super::lease::Entry;
use super::shared::Shared;
use super::view::View;
use crate::member::{MemberState, Status};

/// What is done after a change, outside the lock: the world is told, and what readers
/// no longer see is dropped, payloads included, whatever their `Drop` may call.
#[must_use]
pub(super) struct AfterChange<W> {
    changes: Vec<(Arc<MemberState>, Status, Status)>,
    pub(super) former: Vec<Arc<View<W>>>,
    /// What was replaced or removed; readers may never have seen it.
    pub(super) replaced: Vec<Arc<Entry<W>>>,
    /// Whether the scheduler has to plan, unless it is at it by then.
    pub(super) owes_plan: bool,
}

impl<W> AfterChange<W> {
    pub(super) const NONE: Self = Self {
        changes: Vec::new(),
        former: Vec::new(),
        replaced: Vec::new(),
        owes_plan: false,
    };

    pub(super) fn tell(self, shared: &Shared) {
        if self.changes.is_empty() && self.former.is_empty() {
            return;
        }
        shared.wake_after_change();
        for (state, before, after) in self.changes {
            shared.tell_status(&state, before, after);
        }
        drop((self.former, self.replaced));
    }

    /// Adds what another change has left to do.
    pub(super) fn join(&mut self, mut other: Self) {
        self.changes.append(&mut other.changes);
        self.former.append(&mut other.former);
        self.replaced.append(&mut other.replaced);
        self.owes_plan |= other.owes_plan;
    }

    pub(super) fn note(&mut self, state: &Arc<MemberState>, (before, after): (Status, Status)) {
        if before != after {
            self.changes.push((state.clone(), before, after));
        }
    }
}
