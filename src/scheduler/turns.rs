//! Turns made ahead: the next elections of an exact order, which picks take without a lock
//! ([`Turns`]). While there are none, it notes the picks of sessions in their place.
//!
//! ```text
//!            next: the turn to be taken             end: the first turn that is not made yet
//!              ▼                                      ▼
//!  … │ taken │ b │ a │ c │ a* │ a │ b │ a │ c │ not made …
//!                          ▲ the pick that takes the middle turn makes more
//! ```
//!
//! Turns have numbers, and no number is used twice. A turn is a cell of a ring with its
//! number and a member. A pick reads the cell first and then takes the turn, by moving
//! `next` on by one. So it does not matter how long a pick sleeps in between, or what
//! becomes of the cell: if the turn was taken or withdrawn meanwhile, the move fails.
//!
//! `next` is also where turns are withdrawn: the holder of the lock replaces the number by a
//! word that says *closed*, and learns which turns were taken. In that word sessions note
//! their picks, some in a row, so that they need no lock either. Turns cannot be opened over
//! notes: so all that concerns the order has one order itself, that of this one word.
//! Nothing is allocated, and no pick waits for another.
//!
//! # Orderings
//!
//! Relaxed is enough, because nothing is published through a turn: the member is found in the
//! view that the pick has, and is claimed by its own counters.
//!
//! * A cell is one word, which names its turn. As no number is used twice, a pick that reads
//!   the word of a turn has the right slot, whenever it was written. A pick that reads an old
//!   word misses a turn, and finds it under the lock.
//! * `next` is changed by read-modify-writes only, which see its last value. So a turn is
//!   taken once, and never after it was withdrawn, however old the number was that was read.
//! * What is written under the lock is read under it, or is one of those words. So the holder
//!   of the lock knows of all turns made before, and of at least those taken that an earlier
//!   holder knew of: it never writes over a turn that can still be taken.
//! * A change of the group closes `next` before the view is published. A pick that loads
//!   the new view (with acquire) sees `next` as it was closed, or later.
//!
//! Not here: what is elected, and when turns are made and withdrawn (`ahead.rs`).

use std::fmt;

use crate::member::MemberId;
use crate::sync::{AtomicU64, Relaxed};

/// How many turns fit.
#[cfg(not(equipoise_loom))]
pub(super) const RING: usize = 256;
/// Few, so that a model sees the end of the ring.
#[cfg(equipoise_loom)]
pub(super) const RING: usize = 4;

/// The ring, and the number of the turn to be taken.
pub(super) struct Turns {
    next: NextTurn,
    cells: Box<[AtomicU64]>,
}

/// The number of the next turn, or a [`ClosedWord`]. Each pick changes it: it shares its
/// line with nothing.
#[repr(align(128))]
struct NextTurn(AtomicU64);

/// A turn that was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) number: u64,
    /// The slot of the member.
    pub(super) slot: u32,
    /// Whether it is the middle one of those that were made together.
    pub(super) is_middle: bool,
}

/// A cell of the ring: the lower bits of a turn's number, whether it is a middle one, and
/// the slot of a member.
#[derive(Clone, Copy, Debug)]
struct TurnWord(u64);

/// A slot fits below the bit of the middle.
const SLOT_BITS: u32 = MemberId::SLOTS.ilog2();
const _: () = assert!(MemberId::SLOTS == 1 << SLOT_BITS);
const MIDDLE: u64 = 1 << SLOT_BITS;
const NUMBER_SHIFT: u32 = SLOT_BITS + 1;

impl TurnWord {
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
    fn is_middle(self) -> bool {
        self.0 & MIDDLE != 0
    }

    #[inline]
    fn slot(self) -> u32 {
        (self.0 & (MIDDLE - 1)) as u32
    }
}

/// That no turn can be taken, and the slots of the members that sessions have picked since,
/// the last one in the lowest bits.
///
/// One bit, then the notes, then how many bits a note has. A note is a slot plus one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct ClosedWord(u64);

const CLOSED: u64 = 1 << 63;
const WIDTH_BITS: u32 = 5;
const NOTES_BITS: u32 = 63 - WIDTH_BITS;

impl ClosedWord {
    /// Room for notes of slots that are less than `slots`.
    fn new(slots: usize) -> Self {
        let width = usize::BITS - slots.leading_zeros();
        Self(CLOSED | u64::from(width))
    }

    fn of(word: u64) -> Option<Self> {
        (word & CLOSED != 0).then_some(Self(word))
    }

    fn width(self) -> u64 {
        self.0 % (1 << WIDTH_BITS)
    }

    fn notes(self) -> u64 {
        (self.0 & !CLOSED) >> WIDTH_BITS
    }

    /// Adds a note, if there is room.
    fn with(self, slot: usize) -> Option<Self> {
        let (note, width, notes) = (slot as u64 + 1, self.width(), self.notes());
        let fits = note >> width == 0 && notes >> (u64::from(NOTES_BITS) - width) == 0;
        let notes = notes << width | note;
        fits.then_some(Self(CLOSED | notes << WIDTH_BITS | width))
    }

    /// Returns the slots, the first one first.
    fn slots(self) -> impl Iterator<Item = u32> {
        let (width, notes) = (self.width(), self.notes());
        let bits = u64::from(u64::BITS - notes.leading_zeros());
        let count = bits.div_ceil(width.max(1));
        let note = move |at: u64| notes >> (at * width) & ((1 << width) - 1);
        #[expect(clippy::cast_possible_truncation, reason = "at most 31 bits")]
        (0..count).rev().map(move |at| (note(at) - 1) as u32)
    }
}

/// What was found when turns were withdrawn.
#[derive(Debug)]
pub(super) struct Withdrawn {
    /// The first turn that was not taken, if turns could be taken.
    pub(super) next: Option<u64>,
    notes: ClosedWord,
}

impl Withdrawn {
    /// Returns the slots of the members that sessions have picked, the first one first.
    pub(super) fn notes(&self) -> impl Iterator<Item = u32> {
        self.notes.slots()
    }
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            next: NextTurn(AtomicU64::new(ClosedWord::new(0).0)),
            cells: (0..RING)
                .map(|_| AtomicU64::new(TurnWord::NONE.0))
                .collect(),
        }
    }

    /// Takes the next turn, if it has been made.
    #[inline]
    pub(super) fn take(&self) -> Option<Turn> {
        // An old number is found out below.
        let mut number = self.next.0.load(Relaxed);
        loop {
            let turn = TurnWord(self.cell(number).load(Relaxed));
            if number & CLOSED != 0 || !turn.has_number(number) {
                return None;
            }
            let next = number + 1;
            match (self.next.0).compare_exchange_weak(number, next, Relaxed, Relaxed) {
                Ok(_) => {
                    return Some(Turn {
                        number,
                        slot: turn.slot(),
                        is_middle: turn.is_middle(),
                    });
                }
                Err(seen) => number = seen,
            }
        }
    }

    /// Notes that a session has picked the member that has this slot, unless turns can be
    /// taken, which must be withdrawn first, or there is no room.
    #[inline]
    pub(super) fn note(&self, slot: usize) -> bool {
        let mut word = self.next.0.load(Relaxed);
        while let Some(noted) = ClosedWord::of(word).and_then(|word| word.with(slot)) {
            match (self.next.0).compare_exchange_weak(word, noted.0, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Returns whether there are notes. Those of picks that came before are seen.
    pub(super) fn has_notes(&self) -> bool {
        let closed = ClosedWord::of(self.next.0.load(Relaxed));
        closed.is_some_and(|word| word.notes() != 0)
    }

    /// Returns how many more turns fit, if the next to be made is `end`. An old `next` makes
    /// them fewer.
    pub(super) fn room(&self, end: u64) -> u64 {
        match self.next.0.load(Relaxed) {
            word if word & CLOSED != 0 => RING as u64,
            next => RING as u64 - (end - next),
        }
    }

    /// Leaves out the next turn, which is not made: the holder of the lock has it.
    pub(super) fn pass(&self) {
        self.next.0.fetch_add(1, Relaxed);
    }

    /// Makes the turn with the number `end`: from now on it can be taken.
    pub(super) fn make(&self, end: u64, is_middle: bool, slot: u32) {
        self.cell(end)
            .store(TurnWord::new(end, is_middle, slot).0, Relaxed);
    }

    /// Returns the slot of a turn that was made and not taken.
    pub(super) fn slot(&self, number: u64) -> u32 {
        TurnWord(self.cell(number).load(Relaxed)).slot()
    }

    /// Lets turns be taken, from `first` on; fails if there are notes.
    pub(super) fn open(&self, first: u64) -> bool {
        let word = self.next.0.load(Relaxed);
        ClosedWord::of(word).is_some_and(|word| word.notes() == 0)
            && (self.next.0)
                .compare_exchange(word, first, Relaxed, Relaxed)
                .is_ok()
    }

    /// Lets no turn be taken, and takes the notes; from now on there is room for notes of
    /// slots that are less than `slots`.
    pub(super) fn withdraw(&self, slots: usize) -> Withdrawn {
        let empty = ClosedWord::new(slots);
        let word = match self.next.0.load(Relaxed) {
            word if word == empty.0 => word,
            _ => self.next.0.swap(empty.0, Relaxed),
        };
        let notes = ClosedWord::of(word);
        Withdrawn {
            next: notes.is_none().then_some(word),
            notes: notes.unwrap_or(empty),
        }
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

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{ClosedWord, RING, Turns};

    #[test]
    fn notes_come_back_in_their_order_as_many_as_fit() {
        for (slots, room) in [
            (1, 58),
            (10, 14),
            (15, 14),
            (16, 11),
            (10_000, 4),
            (1 << 26, 2),
        ] {
            let mut word = ClosedWord::new(slots);
            let mut noted = Vec::new();
            for pick in 0.. {
                let slot = if pick % 2 == 0 {
                    slots - 1
                } else {
                    pick % slots
                };
                match word.with(slot) {
                    Some(next) => word = next,
                    None => break,
                }
                noted.push(u32::try_from(slot).unwrap());
            }
            assert_eq!(noted.len(), room, "{slots}");
            assert_eq!(word.slots().collect::<Vec<_>>(), noted);
            assert_eq!(ClosedWord::new(slots).slots().count(), 0);
        }
        assert_eq!(ClosedWord::new(0).with(0), None);
        assert_eq!(ClosedWord::new(3).with(3), None, "there is no such slot");
    }

    #[test]
    fn a_turn_is_taken_once_and_in_its_order() {
        let turns = Turns::new();
        assert!(turns.take().is_none());
        for number in 0..RING as u64 {
            turns.make(number, number == 7, 5);
        }
        assert!(turns.take().is_none(), "they are not opened");
        assert!(turns.open(0));
        for number in 0..RING as u64 {
            assert_eq!(turns.room(RING as u64), number);
            let turn = turns.take().unwrap();
            assert_eq!(turn.number, number);
            assert_eq!((turn.slot, turn.is_middle), (5, number == 7));
        }
        assert!(turns.take().is_none());
    }

    #[test]
    fn a_turn_that_is_left_out_is_not_taken() {
        let turns = Turns::new();
        assert!(turns.open(7));
        turns.pass();
        turns.make(8, false, 5);
        assert_eq!(turns.take().unwrap().number, 8);
        assert!(turns.take().is_none());
        assert_eq!(turns.withdraw(6).next, Some(9));
    }

    #[test]
    fn turns_are_not_opened_over_the_note_of_a_session() {
        let turns = Turns::new();
        assert_eq!(turns.withdraw(4).next, None);
        turns.make(0, false, 1);
        assert!(turns.note(3));
        assert!(!turns.open(0));
        assert!(turns.take().is_none());
        let withdrawn = turns.withdraw(4);
        assert_eq!(withdrawn.notes().collect::<Vec<_>>(), [3]);
        turns.make(1, false, 1);
        assert!(turns.open(1));
        assert!(!turns.note(3), "turns must be withdrawn first");
        assert_eq!(turns.withdraw(4).next, Some(1));
        assert!(turns.take().is_none());
    }
}
