//! The loads of members, as they are noted: lower bounds of the requests in flight.
//!
//! A pick does not note the load that it makes. Most requests have ended before the note would
//! matter, and an end below the note takes the lock. But a pick reads the load of each first
//! member again until it stays the first. To bound this, the load of a member is noted once a
//! number of other picks have followed (`recent`).

use super::Standings;
use super::class::{ClassLoad, ClassPosition};
use crate::member::MemberState;
use crate::scheduler::Candidates;

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

    /// Reads the load of an attached slot again; returns whether it has changed.
    pub(super) fn read_load(&mut self, slot: u32, state: &MemberState) -> bool {
        state.in_flight() != self.nodes.get(slot).load && self.renew_load(slot, state)
    }

    /// Notes the load of an attached slot anew; returns whether it has changed.
    pub(super) fn renew_load(&mut self, slot: u32, state: &MemberState) -> bool {
        let node = self.nodes.get(slot);
        let (base, load) = (node.base, node.load);
        let noted = self.note_load(state);
        self.move_to(slot, base, noted);
        noted != load
    }

    /// Notes the load of a member: a lower bound, until the member's note is taken away.
    pub(super) fn note_load(&self, state: &MemberState) -> u32 {
        match self.load {
            ClassLoad::Ignored => 0,
            ClassLoad::PerWeight | ClassLoad::Plain => state.note_in_flight(),
        }
    }
}
