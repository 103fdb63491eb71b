//! The slots of members in tables: which are free, and which are kept for members that were
//! removed while leases of them are alive.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::member::{MemberId, MemberState};

/// Which slots are free, and which are kept for removed members with leases.
#[derive(Debug, Default)]
pub(super) struct Slots {
    free: Vec<u32>,
    used: u32,
    gone: HashMap<Arc<str>, (u32, Weak<MemberState>)>,
    sweep_at: usize,
}

impl Slots {
    /// Returns the state of a member that was removed while leases of it are alive.
    pub(super) fn take_back(&mut self, name: &str) -> Option<Arc<MemberState>> {
        let (slot, state) = self.gone.remove(name)?;
        let state = state.upgrade();
        if state.is_none() {
            self.free.push(slot);
        }
        state
    }

    pub(super) fn allot(&mut self) -> u32 {
        if self.free.is_empty() {
            self.sweep();
        }
        self.free.pop().unwrap_or_else(|| {
            assert!(
                self.used < MemberId::SLOTS,
                "a balancer can have at most {} members, including removed ones with leases",
                MemberId::SLOTS
            );
            self.used += 1;
            self.used - 1
        })
    }

    pub(super) fn bury(&mut self, state: &Arc<MemberState>) {
        if self.gone.len() >= self.sweep_at {
            self.sweep();
            self.sweep_at = 2 * self.gone.len() + 16;
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
                free.push(*slot);
            }
            alive
        });
        // A map has another order in each run, and schedulers go by slot: without this, the
        // same changes would not lead to the same picks.
        free.sort_unstable_by(|one, other| other.cmp(one));
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use std::sync::Arc;

    use super::Slots;
    use crate::clock::Timestamp;
    use crate::member::{MemberSpec, MemberState};

    /// A map has another order in each run.
    #[test]
    fn free_slots_are_used_in_the_same_order_in_each_run() {
        let mut slots = Slots::default();
        for name in 0..100 {
            let (name, slot) = (name.to_string(), slots.allot());
            let spec = MemberSpec::new();
            let state = MemberState::new(name.into(), slot, &spec, Timestamp::ORIGIN);
            slots.bury(&Arc::new(state));
        }
        slots.sweep();
        let again: Vec<u32> = (0..slots.used).map(|_| slots.allot()).collect();
        assert!(again.is_sorted(), "{again:?}");
    }
}
