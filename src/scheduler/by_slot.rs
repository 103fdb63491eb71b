//! A value for each member that a scheduler keeps, by slot, read without a lock:
//! [`BySlot`].
//!
//! Not here: what the values are, and when they are reset for a new member.

use std::fmt;

use crate::sync::OnceLock;

/// The number of slots in the first chunk; each later chunk has twice as many.
const FIRST: usize = 16;

/// Enough chunks for all slots that a [`MemberId`](crate::MemberId) can have.
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{BySlot, CHUNKS, place};
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
}
