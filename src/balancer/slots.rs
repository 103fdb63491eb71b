//! The slots of members in tables: which are free, and which are kept for members that were
//! removed while leases of them are alive.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Weak};

use crate::member::{MemberId, MemberState};

/// Which slots are free, and which are kept for removed members with leases.
///
/// A sweep visits all removed members. There are so few sweeps that an allotment or a removal
/// costs a constant number of visits on average.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// The smallest is used first. Schedulers go by slot, and a map has another order in each
    /// run: without an order, the same changes would not lead to the same picks.
    free: BinaryHeap<Reverse<u32>>,
    used: u32,
    gone: HashMap<Arc<str>, (u32, Weak<MemberState>)>,
    /// A removal sweeps at this number of removed members.
    sweep_at: usize,
    /// How many slots are allotted without a free one until an allotment sweeps again.
    sweep_after: usize,
}

/// A sweep of so few removed members costs next to nothing.
const FEW: usize = 16;

impl Slots {
    /// Returns the state of a member that was removed while leases of it are alive.
    pub(super) fn take_back(&mut self, name: &str) -> Option<Arc<MemberState>> {
        let (slot, state) = self.gone.remove(name)?;
        let state = state.upgrade();
        if state.is_none() {
            self.free.push(Reverse(slot));
        }
        state
    }

    pub(super) fn allot(&mut self) -> u32 {
        if self.free.is_empty() {
            self.sweep_if_due();
        }
        if let Some(Reverse(slot)) = self.free.pop() {
            return slot;
        }
        assert!(
            self.used < MemberId::SLOTS,
            "a balancer can have at most {} members, including removed ones with leases",
            MemberId::SLOTS
        );
        self.used += 1;
        self.used - 1
    }

    fn sweep_if_due(&mut self) {
        if self.sweep_after > 0 && self.used < MemberId::SLOTS {
            self.sweep_after -= 1;
            return;
        }
        self.sweep();
        self.sweep_after = self.gone.len().saturating_sub(FEW);
    }

    pub(super) fn bury(&mut self, state: &Arc<MemberState>) {
        if self.gone.len() >= self.sweep_at {
            self.sweep();
            self.sweep_at = 2 * self.gone.len() + FEW;
        }
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        let slot = state.id().slot() as u32;
        self.gone
            .insert(state.name_handle().clone(), (slot, Arc::downgrade(state)));
    }

    fn sweep(&mut self) {
        let free = &mut self.free;
        self.gone.retain(|_, (slot, state)| {
            let alive = state.strong_count() > 0;
            if !alive {
                free.push(Reverse(*slot));
            }
            alive
        });
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use std::sync::Arc;

    use super::{FEW, Slots};
    use crate::clock::Timestamp;
    use crate::member::{MemberSpec, MemberState};

    /// Allots a slot to a member, and removes that.
    fn removed(slots: &mut Slots, name: usize) -> Arc<MemberState> {
        let (name, slot) = (name.to_string(), slots.allot());
        let spec = MemberSpec::new();
        let state = MemberState::new(name.into(), slot, &spec, Timestamp::ORIGIN);
        let state = Arc::new(state);
        slots.bury(&state);
        state
    }

    /// A map has another order in each run.
    #[test]
    fn free_slots_are_used_in_the_same_order_in_each_run() {
        let mut slots = Slots::default();
        for name in 0..100 {
            removed(&mut slots, name);
        }
        slots.sweep();
        let again: Vec<u32> = (0..slots.used).map(|_| slots.allot()).collect();
        assert!(again.is_sorted(), "{again:?}");
    }

    #[test]
    fn a_slot_costs_few_visits_however_many_removed_members_have_leases() {
        let mut slots = Slots::default();
        let leased: Vec<_> = (0..1_000).map(|name| removed(&mut slots, name)).collect();
        let mut visits = 0;
        for _ in 0..10_000 {
            if slots.free.is_empty() && slots.sweep_after == 0 {
                visits += slots.gone.len();
            }
            slots.allot();
        }
        assert!(visits <= 2 * 10_000, "{visits}");
        // The slots are used again, soon after the leases have ended.
        drop(leased);
        let used = slots.used;
        for _ in 0..2_000 {
            slots.allot();
        }
        assert!(slots.gone.is_empty());
        assert!(slots.used < used + 1_001, "{used}, then {}", slots.used);
    }

    #[test]
    fn the_slots_of_few_removed_members_are_used_again_at_once() {
        let mut slots = Slots::default();
        let mut leased: Vec<_> = (0..FEW).map(|name| removed(&mut slots, name)).collect();
        for _ in 0..FEW {
            let unused = slots.used;
            assert_eq!(slots.allot(), unused);
        }
        let slot = leased.remove(3).id().slot();
        assert_eq!(slots.allot() as usize, slot);
    }
}
