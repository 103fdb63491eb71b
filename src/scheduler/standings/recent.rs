//! The members that were picked last: only their loads may be noted lower than they are.
//!
//! A pick does not note the load that it makes. Most requests have ended before the note would
//! matter, and an end below the note takes the lock. But a pick reads the load of each first
//! member again until it stays the first. So that this never is a long time, the load of a
//! member is noted once [`RECENT`] others were picked after it.

use super::{ClassLoad, ClassPosition, NONE, Standings};
use crate::scheduler::Candidates;

/// A pick reads the loads of about so many members at most, beside those whose lease has
/// ended.
pub(super) const RECENT: usize = if cfg!(equipoise_loom) { 2 } else { 256 };

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
    fn replace_oldest(&mut self, slot: u32) -> Option<u32> {
        let oldest = self.slots.get_mut(self.oldest)?;
        let oldest = std::mem::replace(oldest, slot);
        self.oldest = (self.oldest + 1) % self.slots.len();
        (oldest != NONE).then_some(oldest)
    }
}

impl Standings {
    /// Counts a pick whose load is not noted yet, and notes the load of an earlier one.
    pub(super) fn count_recent_pick(&mut self, slot: u32, candidates: &Candidates<'_>) {
        self.count_pick(slot);
        let Some(oldest) = self.recent.replace_oldest(slot) else {
            return;
        };
        let node = self.nodes.get(oldest);
        let state = candidates.state_at(oldest as usize);
        let Some(state) = state.filter(|state| node.member == Some(state.id())) else {
            return;
        };
        match node.place {
            ClassPosition::Queued | ClassPosition::Stray => {
                self.read_load(oldest, state);
            }
            ClassPosition::Skipped => self.nodes.get_mut(oldest).load = self.note_load(state),
            ClassPosition::Absent | ClassPosition::Parked => {}
        }
    }
}
