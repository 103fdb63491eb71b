//! Picks made ahead: a scheduler whose order does not depend on what becomes of the
//! requests makes its next elections under its lock at once, and picks take them without
//! the lock ([`Ahead`]).
//!
//! Whatever else concerns the order, such as a session's pick or a change of the group, asks
//! for the books: then the turns that nobody has taken are withdrawn and their elections
//! undone, the last one first. So the books are exact whenever they are looked at, and a
//! sequence of picks is the same as if each had been elected when it came. While no turns
//! are made, a session's pick is noted, and booked before the books are looked at.
//!
//! As many turns are made as there were picks since the last time: nothing much is lost
//! where turns are often withdrawn.
//!
//! Not here: how turns are taken (`turns.rs`), and the order itself.

use super::ranking::{Ranking, pick_ranked};
use super::turns::{Turn, Turns};
use super::{Candidates, Pick};
use crate::member::MemberState;
use crate::sync::Mutex;

/// So many picks in a row must come before turns are made ahead.
const CALM: u64 = if cfg!(equipoise_loom) { 1 } else { 4 };

/// The most turns that one pick makes.
const MOST: u64 = 128;

/// The longest round that is kept.
const LONGEST: usize = if cfg!(equipoise_loom) { 2 } else { 256 };

/// So many calm picks must come before the length of a round is computed.
const VERY_CALM: u64 = 8 * CALM;

// So many elections are made or undone at most in one pick, and none is a long one.
const _: () = assert!(MOST + LONGEST as u64 <= 1 << 12);

/// An order of elections that does not depend on what becomes of the requests.
pub(super) trait Sequence: Ranking {
    /// Elects the first member, whatever its state, and returns its slot.
    fn elect(&mut self) -> Option<u32>;

    /// Undoes an election of the member that has this slot.
    fn undo(&mut self, slot: u32);

    /// Counts a pick by a session of the member that has this slot, if it is in the group.
    fn session_pick(&mut self, slot: u32);

    /// Returns a number that is greater than every slot.
    fn slots(&self) -> usize;

    /// Returns after how many elections the state may be the same again; `None` if that is
    /// not known.
    fn round(&self) -> Option<usize>;

    /// Returns whether the state is as it was before the last elections, which were of
    /// these slots.
    fn is_round(&mut self, slots: &[u32]) -> bool;
}

/// A sequence, and the turns that were made ahead of it.
#[derive(Debug)]
pub(super) struct Ahead<S> {
    turns: Turns,
    books: Mutex<Books<S>>,
}

#[derive(Debug)]
struct Books<S> {
    /// The turns that were made are elected here, except those that repeat a round.
    sequence: S,
    round: Round,
    /// The first of the turns that were made and not opened.
    closed: u64,
    /// The number of the next turn that is made.
    end: u64,
    /// Whether turns can be taken.
    is_open: bool,
    /// How many picks there were, and turns were made, since turns were last withdrawn.
    calm: u64,
}

/// Elections after which the state is the same again: later turns repeat them.
#[derive(Debug)]
struct Round {
    /// The elections so far. It has its room from the beginning.
    slots: Vec<u32>,
    /// How many there are in a round, or 0 if they are too many; `None` if that is not
    /// computed yet.
    length: Option<usize>,
    /// How many turns repeat the round; `None` until it is whole.
    repeated: Option<u64>,
    /// The index of the next slot to be repeated.
    at: usize,
}

impl<S: Sequence> Ahead<S> {
    pub(super) fn new(sequence: S) -> Self {
        Self {
            turns: Turns::new(),
            books: Mutex::new(Books {
                sequence,
                round: Round::new(),
                closed: 0,
                end: 0,
                is_open: false,
                calm: 0,
            }),
        }
    }

    /// Picks and claims one of `candidates`.
    #[inline]
    pub(super) fn pick<'c>(&self, candidates: &Candidates<'c>) -> Pick<'c> {
        if !candidates.tried().is_empty() {
            return self.pick_from_books(candidates, None);
        }
        let Some(turn) = self.turns.take() else {
            return self.pick_from_books(candidates, None);
        };
        match candidates.claim_slot(turn.slot()) {
            Ok(claim) => {
                if turn.is_middle() {
                    self.make_more();
                }
                Pick::Claimed(claim)
            }
            Err(_) => self.pick_from_books(candidates, Some(turn)),
        }
    }

    /// Calls `run` with the exact state: every election in it has been taken.
    pub(super) fn settled<R>(&self, run: impl FnOnce(&mut S) -> R) -> R {
        let mut books = self.books.lock();
        books.withdraw(&self.turns);
        run(&mut books.sequence)
    }

    /// Counts a pick by a session: at once, or before the order is needed again.
    #[inline]
    pub(super) fn session_pick(&self, member: &MemberState) {
        let slot = member.id().slot();
        if !self.turns.note(slot) {
            #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
            self.settled(|sequence| sequence.session_pick(slot as u32));
        }
    }

    /// Picks under the lock; `refused` is a turn that was taken and whose member could not
    /// be claimed.
    #[inline(never)]
    fn pick_from_books<'c>(
        &self,
        candidates: &Candidates<'c>,
        mut refused: Option<Turn>,
    ) -> Pick<'c> {
        let mut books = self.books.lock();
        let plain = candidates.tried().is_empty();
        if plain && refused.is_none() {
            if let Some(turn) = books.turn(&self.turns) {
                match candidates.claim_slot(turn.slot()) {
                    Ok(claim) => return Pick::Claimed(claim),
                    Err(_) => refused = Some(turn),
                }
            }
        }
        let is_calm = plain && refused.is_none();
        if !is_calm {
            books.withdraw(&self.turns);
        }
        if let Some(turn) = refused {
            books.sequence.undo(turn.slot());
        }
        let pick = pick_ranked(&mut books.sequence, candidates);
        if is_calm && matches!(pick, Pick::Claimed(_)) {
            books.calm += 1;
        }
        pick
    }

    /// Makes more turns, unless the lock is taken: whoever has it makes them, or withdraws
    /// those that there are.
    #[cold]
    fn make_more(&self) {
        if let Some(mut books) = self.books.try_lock() {
            books.make(&self.turns);
        }
    }
}

impl<S: Sequence> Books<S> {
    /// Takes a turn, after making some if there is none; `None` if the order is not calm
    /// yet. Then no turn is made, and no session's pick is left to be booked.
    fn turn(&mut self, turns: &Turns) -> Option<Turn> {
        if turns.has_notes() {
            self.withdraw(turns);
        }
        loop {
            // Another pick may have made turns while this one waited for the lock.
            let turn = turns.take();
            if turn.is_some() || !self.make(turns) {
                return turn;
            }
        }
    }

    /// Makes as many turns as there were calm picks; returns whether there are any.
    fn make(&mut self, turns: &Turns) -> bool {
        if self.calm < CALM {
            return false;
        }
        let first = self.end;
        let count = self.calm.min(MOST).min(turns.room(first));
        for at in 0..count {
            let Some(slot) = self.next() else {
                break;
            };
            turns.make(self.end, at == count / 2, slot);
            self.end += 1;
        }
        self.calm += self.end - first;
        if first == self.end {
            return false;
        }
        if !self.is_open {
            self.is_open = turns.open(first);
            if !self.is_open {
                // A session has picked meanwhile.
                self.withdraw(turns);
            }
        }
        self.is_open
    }

    /// Returns the slot of the next turn that is made.
    #[inline]
    fn next(&mut self) -> Option<u32> {
        if let Some(slot) = self.round.repeat() {
            return Some(slot);
        }
        let slot = self.sequence.elect()?;
        if self.calm >= VERY_CALM {
            self.record(slot);
        }
        Some(slot)
    }

    /// Notes an election as one of a round, and whether the round is a whole one now.
    fn record(&mut self, slot: u32) {
        let (sequence, round) = (&mut self.sequence, &mut self.round);
        let length = *round.length.get_or_insert_with(|| {
            let length = sequence.round();
            length.filter(|&length| length <= LONGEST).unwrap_or(0)
        });
        if length == 0 {
            return;
        }
        round.slots.push(slot);
        if round.slots.len() == length {
            if sequence.is_round(&round.slots) {
                round.repeated = Some(0);
            } else {
                round.slots.clear();
            }
        }
    }

    /// Withdraws the turns that are not taken: their elections are undone, the last one
    /// first, and the repetitions that are taken are elected. Then the picks of sessions
    /// are booked.
    fn withdraw(&mut self, turns: &Turns) {
        let withdrawn = turns.withdraw(self.sequence.slots());
        let next = withdrawn.next.unwrap_or(self.closed);
        let repeated = self.round.repeated.unwrap_or(0);
        let taken = repeated.saturating_sub(self.end - next);
        for _ in 0..taken % (self.round.slots.len() as u64).max(1) {
            let _ = self.sequence.elect();
        }
        let elected = next..(self.end - repeated).max(next);
        for number in elected.rev() {
            self.sequence.undo(turns.slot(number));
        }
        self.round.clear();
        (self.closed, self.is_open, self.calm) = (self.end, false, 0);
        for slot in withdrawn.notes() {
            self.sequence.session_pick(slot);
        }
    }
}

impl Round {
    fn new() -> Self {
        Self {
            slots: Vec::with_capacity(LONGEST),
            length: None,
            repeated: None,
            at: 0,
        }
    }

    /// Returns the next slot, if the round is whole.
    #[inline]
    fn repeat(&mut self) -> Option<u32> {
        *self.repeated.as_mut()? += 1;
        let slot = self.slots[self.at];
        self.at += 1;
        if self.at == self.slots.len() {
            self.at = 0;
        }
        Some(slot)
    }

    fn clear(&mut self) {
        self.slots.clear();
        (self.length, self.repeated, self.at) = (None, None, 0);
    }
}
