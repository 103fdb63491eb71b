//! Turns made ahead: the next elections of an exact order, which picks take without a lock
//! ([`Turns`]).
//!
//! ```text
//!                 next: whose turn it is         end: the first turn that is not made yet
//!                   ▼                              ▼
//!  … │ taken │ taken │ b │ a │ c │ a* │ a │ b │ a │ not made …
//!                                  ▲ whoever takes the middle turn has more made
//! ```
//!
//! Turns have numbers, and no number is used twice. A turn is a cell of a ring with its
//! number and a member. A pick reads the cell first and then takes the turn, by moving
//! `next` on by one; so it does not matter how long a pick sleeps in between, or what
//! becomes of the cell: if another has taken that turn, the move fails. Turns are withdrawn
//! by moving `next` to `end`. Nothing is allocated, and no pick waits for another.
//!
//! # Orderings
//!
//! A cell is one word, so what a pick reads in it is never mixed; its number says whether it
//! is out of date. `next` is changed by read-modify-writes only: they have one order, which
//! is the order of the picks.
//!
//! Not here: what is elected, and when turns are made and withdrawn (`ahead.rs`).

use std::fmt;

use crate::sync::{Acquire, AtomicU64, Relaxed, Release, SeqCst};

/// How many turns fit.
#[cfg(not(equipoise_loom))]
const RING: usize = 256;
/// Few, so that a model sees the end of the ring.
#[cfg(equipoise_loom)]
const RING: usize = 4;

const SLOT_BITS: u32 = 26;
const MIDDLE: u64 = 1 << SLOT_BITS;
const NUMBER_SHIFT: u32 = SLOT_BITS + 1;

/// The ring, and whose turn it is.
pub(super) struct Turns {
    next: NextTurn,
    cells: Box<[AtomicU64]>,
}

/// Each pick changes it: it shares its line with nothing.
#[repr(align(128))]
struct NextTurn(AtomicU64);

/// A turn: the lower bits of its number, whether it is the middle one of those that were
/// made together, and the slot of a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn(u64);

impl Turn {
    /// Before the first turn.
    const NONE: Self = Self(u64::MAX);

    fn new(number: u64, is_middle: bool, slot: u32) -> Self {
        let middle = if is_middle { MIDDLE } else { 0 };
        Self(number << NUMBER_SHIFT | middle | u64::from(slot))
    }

    /// The other bits of the number are not needed: they could only matter to a cell that
    /// was left alone for 2^37 turns.
    #[inline]
    fn has_number(self, number: u64) -> bool {
        self.0 >> NUMBER_SHIFT == number << NUMBER_SHIFT >> NUMBER_SHIFT
    }

    #[inline]
    pub(super) fn is_middle(self) -> bool {
        self.0 & MIDDLE != 0
    }

    #[inline]
    pub(super) fn slot(self) -> u32 {
        (self.0 & (MIDDLE - 1)) as u32
    }
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            next: NextTurn(AtomicU64::new(0)),
            cells: (0..RING).map(|_| AtomicU64::new(Turn::NONE.0)).collect(),
        }
    }

    /// Takes the next turn, if it has been made.
    #[inline]
    pub(super) fn take(&self) -> Option<Turn> {
        // Relaxed: an old number is found out below.
        let mut number = self.next.0.load(Relaxed);
        loop {
            let turn = Turn(self.cell(number).load(Acquire));
            if !turn.has_number(number) {
                return None;
            }
            let next = number + 1;
            match (self.next.0).compare_exchange_weak(number, next, SeqCst, Relaxed) {
                Ok(_) => return Some(turn),
                Err(seen) => number = seen,
            }
        }
    }

    /// Returns how many more turns fit, if the next to be made is `end`.
    pub(super) fn room(&self, end: u64) -> u64 {
        RING as u64 - (end - self.next.0.load(Relaxed))
    }

    /// Makes the turn with the number `end`: from now on it can be taken.
    pub(super) fn make(&self, end: u64, is_middle: bool, slot: u32) {
        self.cell(end)
            .store(Turn::new(end, is_middle, slot).0, Release);
    }

    /// Withdraws the turns before `end` that are not taken, and returns them, the last one
    /// first.
    pub(super) fn withdraw(&self, end: u64) -> impl ExactSizeIterator<Item = Turn> {
        // Relaxed: only whoever calls this makes turns, so no turn is left if this finds
        // none.
        let next = match self.next.0.load(Relaxed) {
            next if next == end => next,
            _ => self.next.0.swap(end, SeqCst),
        };
        let left = usize::try_from(end - next).unwrap_or(RING);
        (0..left).map(move |back| Turn(self.cell(end - 1 - back as u64).load(Relaxed)))
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an index of the ring")]
    fn cell(&self, number: u64) -> &AtomicU64 {
        &self.cells[number as usize % RING]
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns")
            .field("next", &self.next.0.load(Relaxed))
            .finish_non_exhaustive()
    }
}
