//! The members that were picked last: only their loads may be noted lower than they are.

use super::class::{ClassLoad, NONE};

/// A pick reads the loads of so many members again at most, unless older picks than that
/// could not be noted.
pub(super) const RECENT: usize = if cfg!(equipoise_loom) { 2 } else { 512 };

/// The slots that were picked last.
#[derive(Debug)]
pub(super) struct RecentPicks {
    slots: Box<[u32]>,
    /// The index of the oldest one.
    oldest: usize,
}

impl RecentPicks {
    pub(super) fn new(load: ClassLoad) -> Self {
        let count = match load {
            ClassLoad::Ignored => 0,
            ClassLoad::PerWeight | ClassLoad::Plain => RECENT,
        };
        Self {
            slots: vec![NONE; count].into(),
            oldest: 0,
        }
    }

    /// Replaces the oldest slot, and returns it.
    pub(super) fn replace_oldest(&mut self, slot: u32) -> Option<u32> {
        let oldest = self.slots.get_mut(self.oldest)?;
        let oldest = std::mem::replace(oldest, slot);
        self.oldest = (self.oldest + 1) % self.slots.len();
        (oldest != NONE).then_some(oldest)
    }
}
