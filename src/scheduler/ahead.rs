//! Picks made ahead: a scheduler whose order does not depend on what becomes of the
//! requests makes its next elections under its lock at once, and picks take them without
//! the lock ([`Ahead`]).
//!
//! Whatever else concerns the order, such as a session's pick or a change of the group, asks
//! for the books: then the turns that are not taken are withdrawn and their elections
//! undone, the last one first. So the books are exact whenever they are looked at, and a
//! sequence of picks is the same as if each had been elected when it came. While no turns
//! are made, a session's pick is noted, and booked before the books are looked at.
//!
//! If the member of a taken turn cannot be claimed, its election is undone, too. That is not
//! possible after a change of the group, a weight or the standings: then it stays counted, as
//! each election does in Apache.
//!
//! As many turns are made as there were picks since the last time: nothing much is lost
//! where turns are often withdrawn.
//!
//! Not here: how turns are taken (`turns.rs`), and the order itself.

use super::election_round::{LONGEST, Round};
use super::ranking::{Ranking, pick_ranked};
use super::turns::{RING, Turn, Turns};
use super::{Candidates, Claim, ClaimError, Pick};
use crate::member::MemberState;
use crate::sync::Mutex;

/// So many picks in a row must come before turns are made ahead.
const CALM: u64 = if cfg!(equipoise_loom) { 1 } else { 4 };

/// The most turns that one pick makes.
const MOST: u64 = 128;

/// So many calm picks must come before the length of a round is computed.
const VERY_CALM: u64 = 8 * CALM;

/// The most elections that one pick makes and undoes: one for itself and [`MOST`] turns,
/// which are withdrawn if a session picks meanwhile; if its own member cannot be claimed, it
/// undoes that one and elects another. Or it finds a full ring, or a whole round, and does
/// the same.
#[cfg(all(test, not(equipoise_loom)))]
pub(super) const MOST_ELECTIONS: u64 = 3 + 2 * MOST;
const _: () = assert!(RING as u64 <= 2 * MOST && LONGEST as u64 <= 2 * MOST);

/// An order of elections that does not depend on what becomes of the requests.
pub(super) trait Sequence: Ranking {
    /// Elects the first member, whatever its state, and returns its slot.
    fn elect(&mut self) -> Option<u32>;

    /// Elects the first member for a turn; `None` if its turn cannot be known ahead.
    #[inline]
    fn elect_ahead(&mut self, _: &Candidates<'_>) -> Option<u32> {
        self.elect()
    }

    /// Claims the member of a turn; fails if the turn is not its own any more.
    #[inline]
    fn claim<'c>(&self, candidates: &Candidates<'c>, slot: u32) -> Result<Claim<'c>, ClaimError> {
        candidates.claim_slot(slot)
    }

    /// Undoes an election of the member that has this slot.
    fn undo(&mut self, slot: u32);

    /// Is called once the turns have been withdrawn.
    #[inline]
    fn on_withdrawn(&mut self) {}

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
    books: Mutex<AheadBooks<S>>,
}

/// A sequence that makes turns ahead, under a lock of its owner.
#[derive(Debug)]
pub(super) struct AheadBooks<S> {
    /// The turns that were made are elected here, except those that repeat a round.
    pub(super) sequence: S,
    round: Round,
    /// The first of the turns that were made and not opened.
    closed: u64,
    /// The number of the next turn that is made.
    end: u64,
    /// Whether turns can be taken.
    is_open: bool,
    /// The number of the first turn since the order was last changed. An election before
    /// that cannot be undone: the members or their weights may be others now.
    changed: u64,
    /// How many turns are made next, if not too many: since turns were last withdrawn, there
    /// were so many picks under the lock, and turns made for other picks.
    calm: u64,
}

impl<S: Sequence> Ahead<S> {
    pub(super) fn new(sequence: S) -> Self {
        Self {
            turns: Turns::new(),
            books: Mutex::new(AheadBooks::new(sequence)),
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
        match candidates.claim_slot(turn.slot) {
            Ok(claim) => {
                if turn.is_middle {
                    self.make_more(candidates);
                }
                Pick::Claimed(claim)
            }
            Err(_) => self.pick_from_books(candidates, Some(turn)),
        }
    }

    /// Calls `run` with the exact state: every election in it has been taken. `run` may set
    /// members aside and take them back, but must not [`change`](Self::change) the order.
    pub(super) fn settled<R>(&self, run: impl FnOnce(&mut S) -> R) -> R {
        let mut books = self.books.lock();
        books.withdraw(&self.turns);
        run(&mut books.sequence)
    }

    /// Calls `run` with the exact state, to change members, weights or standings. Elections
    /// before that are not undone any more, even if their members cannot be claimed.
    pub(super) fn change(&self, run: impl FnOnce(&mut S)) {
        let mut books = self.books.lock();
        books.begin_change(&self.turns);
        run(&mut books.sequence);
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
    fn pick_from_books<'c>(&self, candidates: &Candidates<'c>, refused: Option<Turn>) -> Pick<'c> {
        self.books.lock().pick(&self.turns, candidates, refused)
    }

    /// Makes more turns, unless the lock is taken: its holder makes them, or withdraws those
    /// that there are.
    #[cold]
    fn make_more(&self, candidates: &Candidates<'_>) {
        if let Some(mut books) = self.books.try_lock() {
            books.make(&self.turns, candidates);
        }
    }
}

impl<S: Sequence> AheadBooks<S> {
    pub(super) fn new(sequence: S) -> Self {
        Self {
            sequence,
            round: Round::new(),
            closed: 0,
            end: 0,
            is_open: false,
            changed: 0,
            calm: 0,
        }
    }

    /// Picks and claims one of `candidates`; `refused` is a turn that was taken and whose
    /// member could not be claimed.
    pub(super) fn pick<'c>(
        &mut self,
        turns: &Turns,
        candidates: &Candidates<'c>,
        mut refused: Option<Turn>,
    ) -> Pick<'c> {
        let plain = candidates.tried().is_empty();
        if plain && refused.is_none() {
            if let Some(turn) = self.turn(turns, candidates) {
                match self.sequence.claim(candidates, turn.slot) {
                    Ok(claim) => return Pick::Claimed(claim),
                    Err(_) => refused = Some(turn),
                }
            }
        }
        let is_calm = plain && refused.is_none();
        if !is_calm {
            self.withdraw(turns);
        }
        match refused {
            Some(turn) if turn.number >= self.changed => self.sequence.undo(turn.slot),
            // It was elected in another group: as in Apache, the election counts.
            Some(_) | None => {}
        }
        let pick = pick_ranked(&mut self.sequence, candidates);
        if is_calm && matches!(pick, Pick::Claimed(_)) {
            self.calm += 1;
        }
        pick
    }

    /// Withdraws the turns, before members, weights or standings change: elections before
    /// that are not undone any more, even if their members cannot be claimed.
    pub(super) fn begin_change(&mut self, turns: &Turns) {
        self.withdraw(turns);
        self.changed = self.end;
    }

    /// Takes a turn; if there is none, elects one for this pick, and makes more for others.
    /// `None` if the order is not calm yet: then no turn can be taken, and no session's pick
    /// is left to be booked.
    fn turn(&mut self, turns: &Turns, candidates: &Candidates<'_>) -> Option<Turn> {
        if turns.has_notes() {
            self.withdraw(turns);
        }
        // Another pick may have made turns while this one waited for the lock.
        let turn = turns.take();
        if turn.is_some() || self.calm < CALM {
            return turn;
        }
        // No other pick can take this one. If it were made as the others are, other picks could
        // take all of them first, again and again.
        let (number, slot) = (self.end, self.next(candidates)?);
        self.end += 1;
        if self.is_open {
            turns.pass();
        } else {
            self.closed = self.end;
        }
        self.make(turns, candidates);
        Some(Turn {
            number,
            slot,
            is_middle: false,
        })
    }

    /// Makes as many turns as there were calm picks.
    pub(super) fn make(&mut self, turns: &Turns, candidates: &Candidates<'_>) {
        if self.calm < CALM {
            return;
        }
        let first = self.end;
        let count = self.calm.min(MOST).min(turns.room(first));
        for at in 0..count {
            let Some(slot) = self.next(candidates) else {
                break;
            };
            turns.make(self.end, at == count / 2, slot);
            self.end += 1;
        }
        self.calm += self.end - first;
        if !self.is_open {
            self.is_open = turns.open(first);
            if !self.is_open {
                // A session has picked meanwhile.
                self.withdraw(turns);
            }
        }
    }

    /// Returns the slot of the next turn that is made.
    #[inline]
    fn next(&mut self, candidates: &Candidates<'_>) -> Option<u32> {
        if let Some(slot) = self.round.repeat() {
            return Some(slot);
        }
        let slot = self.sequence.elect_ahead(candidates)?;
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
    pub(super) fn withdraw(&mut self, turns: &Turns) {
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
        self.sequence.on_withdrawn();
        self.round.clear();
        (self.closed, self.is_open, self.calm) = (self.end, false, 0);
        for slot in withdrawn.notes() {
            self.sequence.session_pick(slot);
        }
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests")]

    use std::sync::Arc;

    use super::super::standings::{ClassLoad, Standings};
    use super::super::{Candidates, GroupChange, Pick};
    use super::{Ahead, CALM, Sequence, Turn};
    use crate::clock::Timestamp;
    use crate::member::{MemberSpec, MemberState, Weight};
    use crate::snapshot::{Factors, Picture, Roster, Seat, walk};
    use crate::sync::Mutex;

    /// States of members, which pictures share.
    fn states(count: u32) -> Vec<Arc<MemberState>> {
        let spec = MemberSpec::new();
        let state = |slot| MemberState::new("m".into(), slot, &spec, Timestamp::ORIGIN);
        (0..count).map(|slot| Arc::new(state(slot))).collect()
    }

    /// The group of those members that have a weight.
    fn picture(generation: u64, states: &[Arc<MemberState>], weights: &[u32]) -> Picture {
        let mut roster = Roster::default();
        for ((order, state), &weight) in (0..).zip(states).zip(weights) {
            let Ok(weight) = Weight::new(weight) else {
                continue;
            };
            roster.put(Arc::new(Seat {
                state: state.clone(),
                spec: MemberSpec::new().with_weight(weight),
                order,
                owner: Arc::new("".into()),
                layers: Mutex::default(),
            }));
        }
        let found = walk(&roster, |seat| seat.state.status());
        Picture::new(generation, Arc::new(roster), found, Factors::default())
    }

    fn follow(standings: &mut Standings, picture: &Picture, old: Option<&Picture>) {
        let diff = match old {
            Some(old) => picture.since(old, &[0, 1, 2]),
            None => picture.since_nothing(),
        };
        standings.follow(&GroupChange {
            picture,
            left: &diff.left,
            joined: &diff.joined,
            changed: &diff.changed,
        });
    }

    fn all(standings: &Standings, states: &[Arc<MemberState>]) -> Vec<i64> {
        let standing = |state: &Arc<MemberState>| standings.standing(state.id());
        states.iter().map(standing).collect()
    }

    /// An order that has made turns ahead, a plain one that has elected as often, and turns
    /// that are taken from the one and elected in the other.
    fn with_turns(picture: &Picture, count: u64) -> (Ahead<Standings>, Standings, Vec<Turn>) {
        let mut plain = Standings::new(ClassLoad::Ignored);
        follow(&mut plain, picture, None);
        let ahead = Ahead::new(Standings::new(ClassLoad::Ignored));
        ahead.change(|standings| follow(standings, picture, None));
        for _ in 0..3 * CALM {
            let candidates = Candidates::new(picture, &[]);
            assert!(matches!(ahead.pick(&candidates), Pick::Claimed(_)));
            plain.elect().unwrap();
        }
        let take = |_| {
            let turn = ahead.turns.take().unwrap();
            assert_eq!(plain.elect(), Some(turn.slot));
            turn
        };
        let turns = (0..count).map(take).collect();
        (ahead, plain, turns)
    }

    #[test]
    fn a_refused_turn_is_undone() {
        let states = states(2);
        let picture = picture(1, &states, &[3, 1]);
        let (ahead, plain, turns) = with_turns(&picture, 3);
        let before = all(&plain, &states);
        for turn in turns.into_iter().rev() {
            // It is undone, and elected again.
            let pick = ahead.pick_from_books(&Candidates::new(&picture, &[]), Some(turn));
            assert!(matches!(pick, Pick::Claimed(_)));
        }
        assert_eq!(ahead.settled(|it| all(it, &states)), before);
    }

    #[test]
    fn a_refused_turn_of_an_earlier_group_stays_counted() {
        for (first, then) in [
            ([1, 1, 0], [0, 1, 1]),
            ([1, 0, 0], [0, 1, 1]),
            ([1, 1, 0], [1, 4, 0]),
            ([2, 1, 0], [2, 1, 7]),
        ] {
            for count in 1..=3 {
                let states = states(3);
                let (first, then) = (picture(1, &states, &first), picture(2, &states, &then));
                let (ahead, mut plain, turns) = with_turns(&first, count);
                ahead.change(|standings| follow(standings, &then, Some(&first)));
                follow(&mut plain, &then, Some(&first));
                for turn in turns {
                    let pick = ahead.pick_from_books(&Candidates::new(&then, &[]), Some(turn));
                    assert!(matches!(pick, Pick::Claimed(_)));
                    plain.elect().unwrap();
                }
                assert_eq!(ahead.settled(|it| all(it, &states)), all(&plain, &states));
            }
        }
    }

    #[test]
    fn a_refused_turn_before_a_reset_changes_nothing() {
        let states = states(2);
        let picture = picture(1, &states, &[3, 1]);
        let (ahead, mut plain, turns) = with_turns(&picture, 2);
        ahead.change(Standings::reset);
        plain.reset();
        for turn in turns {
            let pick = ahead.pick_from_books(&Candidates::new(&picture, &[]), Some(turn));
            assert!(matches!(pick, Pick::Claimed(_)));
            plain.elect().unwrap();
        }
        assert_eq!(ahead.settled(|it| all(it, &states)), all(&plain, &states));
    }
}
