//! A value for each member that a scheduler keeps, by slot, read without a lock:
//! [`BySlot`], and [`ByMember`], which resets the value of a slot for a new member.
//!
//! Not here: what the values are.

use std::fmt;

use super::heap::grow;
use crate::member::MemberId;
use crate::sync::{Mutex, OnceLock};

/// The number of slots in the first chunk; each later chunk has twice as many.
const FIRST: usize = 16;

/// Enough chunks for all slots that a [`MemberId`] can have.
const CHUNKS: usize = 23;

/// Values by slot. They never move, so that a reader needs no lock while the table grows.
///
/// Values are of types with interior mutability, such as atomics.
pub(super) struct BySlot<T> {
    chunks: [OnceLock<Box<[T]>>; CHUNKS],
}

impl<T: Default> BySlot<T> {
    pub(super) const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
        }
    }

    /// Returns the value of a slot, if there is room for it.
    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<&T> {
        let (chunk, at) = place(slot);
        self.chunks.get(chunk)?.get()?.get(at)
    }

    /// Returns the value of a slot; makes room for it first. Allocates, so a pick must not
    /// call this.
    pub(super) fn get_or_grow(&self, slot: usize) -> &T {
        let (chunk, at) = place(slot);
        let made = || (0..FIRST << chunk).map(|_| T::default()).collect();
        &self.chunks[chunk].get_or_init(made)[at]
    }

    /// Iterates over all values for which there is room.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let made = self.chunks.iter().filter_map(OnceLock::get);
        made.flat_map(|chunk| chunk.iter())
    }
}

/// Values by slot, each of one member.
///
/// A value stays while its member is not eligible. A slot is given to another member only
/// when no lease of the former one is left, so a value needs no check of its owner.
pub(super) struct ByMember<T> {
    values: BySlot<T>,
    /// The owners by slot. Only changes of the group lock them.
    owners: Mutex<Vec<Option<MemberId>>>,
}

impl<T: Default> ByMember<T> {
    pub(super) fn new() -> Self {
        Self {
            values: BySlot::new(),
            owners: Mutex::new(Vec::new()),
        }
    }

    /// Returns the value of a member, if it was ever eligible.
    #[inline]
    pub(super) fn get(&self, member: MemberId) -> Option<&T> {
        self.values.get(member.slot())
    }

    /// Makes room for a member; calls `reset` with its value if the slot was not its own.
    pub(super) fn admit(&self, member: MemberId, reset: impl FnOnce(&T)) {
        let slot = member.slot();
        let mut owners = self.owners.lock();
        grow(&mut owners, slot, None);
        if owners[slot] != Some(member) {
            owners[slot] = Some(member);
            reset(self.values.get_or_grow(slot));
        }
    }

    /// Calls `reset` with each value.
    pub(super) fn reset(&self, reset: impl Fn(&T)) {
        let _owners = self.owners.lock();
        self.values.iter().for_each(reset);
    }
}

impl<T> fmt::Debug for ByMember<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByMember").finish_non_exhaustive()
    }
}

/// Returns the chunk of a slot and the index there.
#[inline]
fn place(slot: usize) -> (usize, usize) {
    let shifted = slot + FIRST;
    let chunk = (shifted / FIRST).ilog2() as usize;
    (chunk, shifted - (FIRST << chunk))
}

impl<T> fmt::Debug for BySlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BySlot").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use std::cell::Cell;

    use super::{ByMember, BySlot, CHUNKS, place};
    use crate::member::MemberId;

    #[test]
    fn each_slot_has_a_place_of_its_own() {
        let mut next = (0, 0);
        for slot in 0..10_000 {
            let at = place(slot);
            assert!(at == next || at == (next.0 + 1, 0), "{slot}: {at:?}");
            next = (at.0, at.1 + 1);
        }
        assert!(place(MemberId::SLOTS as usize - 1).0 < CHUNKS);
    }

    #[test]
    fn a_value_stays_while_the_table_grows() {
        let table: BySlot<Cell<u32>> = BySlot::new();
        assert!(table.get(0).is_none());
        table.get_or_grow(3).set(7);
        table.get_or_grow(1_000).set(8);
        assert_eq!(table.get(3).map(Cell::get), Some(7));
        assert_eq!(table.get(1_000).map(Cell::get), Some(8));
        assert!(table.get(20).is_none(), "no room was made there");
    }

    #[test]
    fn a_slot_of_another_member_is_reset() {
        let table: ByMember<Cell<u32>> = ByMember::new();
        let (first, second) = (MemberId::new(3), MemberId::new(3));
        table.admit(first, |value| value.set(1));
        table.admit(first, |_| unreachable!("it stays its own"));
        assert_eq!(table.get(second).map(Cell::get), Some(1));
        table.admit(second, |value| value.set(2));
        assert_eq!(table.get(second).map(Cell::get), Some(2));
        table.reset(|value| value.set(0));
        assert_eq!(table.get(second).map(Cell::get), Some(0));
    }
}
