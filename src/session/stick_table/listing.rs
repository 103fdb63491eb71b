//! Iterates over the entries of a table, for a page or a log: [`StickEntries`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::shared::SharedSlots;
use super::stick_entry::StickEntry;

/// An iterator over the entries of a [`StickTable`](super::StickTable), in no particular
/// order.
///
/// It reads a few at a time, so the table is never locked for long. An entry that is added
/// or removed during the iteration may be missing, or occur twice.
#[must_use]
pub struct StickEntries {
    table: Arc<SharedSlots>,
    next_slot: usize,
    read: VecDeque<StickEntry>,
}

impl StickEntries {
    pub(super) fn new(table: Arc<SharedSlots>) -> Self {
        Self {
            table,
            next_slot: 0,
            read: VecDeque::new(),
        }
    }
}

impl Iterator for StickEntries {
    type Item = StickEntry;

    fn next(&mut self) -> Option<StickEntry> {
        while self.read.is_empty() {
            self.next_slot = self.table.read(self.next_slot, &mut self.read)?;
        }
        self.read.pop_front()
    }
}

impl fmt::Debug for StickEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StickEntries")
            .field("next_slot", &self.next_slot)
            .finish_non_exhaustive()
    }
}
