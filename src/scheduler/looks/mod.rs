//! Few members are looked at, without a lock, by schedulers that compare facts.
//!
//! Up to [`FEW_MEMBERS`] eligible members, a pick reads what is compared from the members'
//! own atomics: requests in flight, picks, bytes. What a scheduler knows beyond that are a
//! few numbers for each member, which change with the group only ([`LookLine`]). So there is
//! no order to keep: sessions and ends of requests change the facts, and the next look sees
//! them. The claim succeeds only if the counters of the chosen member are as they were seen;
//! otherwise the pick looks again.
//!
//! A look sees one version of the numbers. It reads `version` before and after them; a
//! writer holds the lock, and makes `version` odd while it writes.
//!
//! Each pick counts once. A bit in the counters of a member tells each claim whether its pick
//! is read there ([`MemberState::begin_reading`]). A writer clears the bits, which also makes
//! each claim fail that was chosen before; then the counters are final, and the books exact.
//! While the bit is clear, a session's pick is notified ([`Looks::session_pick`]).
//!
//! The lock is taken to change the numbers: when the group changes, and when a member is
//! found at its cap or has room again. A member at its cap is set aside until then, as the
//! rankings park it: it neither gains nor pays. If there are more members, the scheduler
//! keeps its books (a [`Ranking`]) under the same lock. Whenever the numbers change, the
//! books are brought up to date first, so they take over with exact values, and hand over
//! exact values.
//!
//! A balancer has one such scheduler at a time. A user's scheduler that passes everything on
//! to two of them may have sessions of full members counted twice in one.
//!
//! Not here: what is compared, and the books ([`LookBooks`]).
//!
//! # Orderings
//!
//! Numbers are stored with release and loaded with acquire: a look that reads a new number
//! then reads the odd version, or a later one. `aside` is sequentially consistent, as the
//! counters are: setting a member aside is followed by a look at its counters, and the end
//! of a request looks at `aside` after it has decremented them.

mod table;

use std::sync::{Arc, Weak};

pub(super) use table::{Look, LookLine, SETTLE_AFTER};

use table::LookTable;

use super::ranking::{Ranking, pick_ranked};
use super::turns::{Turn, Turns};
use super::{Candidate, Candidates, Claim, ClaimError, GroupChange, Pick};
use crate::member::{CountersSeen, MemberId, MemberState};
use crate::snapshot::FEW_MEMBERS;
use crate::sync::{Acquire, Mutex, Relaxed, Release, SeqCst};

/// The books of a scheduler whose members are looked at while they are few.
pub(super) trait LookBooks {
    /// What is compared.
    type Order: Copy + std::fmt::Debug;

    /// The order of many members.
    type Ranking: Ranking;

    fn ranking(&mut self) -> &mut Self::Ranking;

    /// Takes a turn of one of many members, without the lock; fails with a turn whose member
    /// cannot be claimed, or without one if none was made.
    #[inline]
    fn take_turn<'c>(_: &Turns, _: &Candidates<'c>) -> Result<(Turn, Claim<'c>), Option<Turn>> {
        Err(None)
    }

    /// Picks one of many members under the lock; `refused` is a turn whose member could not
    /// be claimed.
    fn pick_of_many<'c>(
        &mut self,
        _: &Turns,
        candidates: &Candidates<'c>,
        _refused: Option<Turn>,
    ) -> Pick<'c> {
        pick_ranked(self.ranking(), candidates)
    }

    /// Makes more turns.
    fn make_more(&mut self, _: &Turns, _: &Candidates<'_>) {}

    /// Withdraws the turns, so that the ranking is exact.
    fn withdraw(&mut self, _: &Turns) {}

    /// Withdraws the turns before the members or their values change.
    fn begin_change(&mut self, _: &Turns) {}

    /// Returns the index of the member that goes first among those that are open, with its
    /// counters if the claim requires them to be unchanged.
    fn look(order: Self::Order, look: &Look<'_>) -> Option<(usize, Option<CountersSeen>)>;

    /// Applies a change of the group. While its members are few, the books keep no order,
    /// only one value for each member; `from` and `to` tell how it was and how it will be.
    fn follow_as(&mut self, group: &GroupChange<'_>, from: BookMode, to: BookMode);

    /// Returns the value of a member, whose meaning only `look` knows.
    fn value(&self, member: &MemberState) -> u64;

    /// Brings the value of a member up to date: `standing` is what results from its value by
    /// smooth weighted round robin.
    fn set_value(&mut self, member: &MemberState, standing: i64);

    /// Takes a parked member back if it has room, or reads the load of a member again: see
    /// [`Scheduler::on_room`](super::Scheduler::on_room).
    fn room(&mut self, turns: &Turns, member: &MemberState);
}

/// Whether a scheduler keeps an order of its members, or looks at them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BookMode {
    Few,
    Many,
}

/// There are too many members to look at.
const MANY: u64 = u64::MAX;

/// A scheduler's books with the numbers for looks.
#[derive(Debug)]
pub(super) struct Looks<B: LookBooks> {
    order: B::Order,
    table: LookTable,
    /// The next picks of many members, if the books make turns.
    turns: Turns,
    locked: Mutex<LookedGroup<B>>,
}

#[derive(Debug)]
struct LookedGroup<B> {
    books: B,
    mode: BookMode,
    /// The members that are looked at, in tie order. Weak: a scheduler that was replaced
    /// must not keep members alive. While picks use this group, its picture does.
    few: Weak<[Arc<MemberState>]>,
    /// Their units of weight.
    weights: Vec<u64>,
    /// One bit for each of them that is at its cap.
    aside: u64,
    /// One bit for each of them of which a pick is still to be counted.
    uncounted: u64,
    generation: u64,
}

impl<B: LookBooks> Looks<B> {
    pub(super) fn new(books: B, order: B::Order) -> Self {
        Self {
            order,
            table: LookTable::default(),
            turns: Turns::new(),
            locked: Mutex::new(LookedGroup {
                books,
                mode: BookMode::Few,
                few: Weak::<[_; 0]>::new(),
                weights: Vec::new(),
                aside: 0,
                uncounted: 0,
                generation: 0,
            }),
        }
    }

    /// Picks and claims one of `candidates`.
    #[inline]
    pub(super) fn pick<'c>(&self, candidates: &Candidates<'c>) -> Pick<'c> {
        if candidates.few().is_empty() {
            return self.pick_of_many(candidates);
        }
        match self.pick_at_sight(candidates) {
            Some(pick) => pick,
            None => self.pick_under_lock(candidates, None),
        }
    }

    #[inline]
    fn pick_of_many<'c>(&self, candidates: &Candidates<'c>) -> Pick<'c> {
        if !candidates.tried().is_empty() {
            return self.pick_under_lock(candidates, None);
        }
        match B::take_turn(&self.turns, candidates) {
            Ok((turn, claim)) => {
                if turn.is_middle {
                    self.make_more(candidates);
                }
                Pick::Claimed(claim)
            }
            Err(refused) => self.pick_under_lock(candidates, refused),
        }
    }

    #[cold]
    fn make_more(&self, candidates: &Candidates<'_>) {
        if let Some(mut locked) = self.locked.try_lock() {
            if locked.mode == BookMode::Many {
                locked.books.make_more(&self.turns, candidates);
            }
        }
    }

    /// Picks without the lock; `None` if the numbers are not those of the candidates, or no
    /// member could be claimed.
    #[inline]
    fn pick_at_sight<'c>(&self, candidates: &Candidates<'c>) -> Option<Pick<'c>> {
        let states = candidates.few();
        let mut open = untried(states, candidates);
        loop {
            let version = self.table.version.load(Acquire);
            let generation = self.table.generation.load(Acquire);
            if version & 1 == 1 || generation != candidates.generation() {
                return None;
            }
            let found = B::look(self.order, &self.table.look(states, open));
            if self.table.version.load(Relaxed) != version {
                continue;
            }
            let (index, seen) = found?;
            match candidates.claim_as(&states[index], seen) {
                // Its counters have changed.
                None => {}
                Some(Ok(claim)) => return Some(Pick::Claimed(claim)),
                Some(Err(ClaimError::AtCapacity)) => return None,
                Some(Err(_)) => open &= !(1 << index),
            }
        }
    }

    #[inline(never)]
    fn pick_under_lock<'c>(&self, candidates: &Candidates<'c>, refused: Option<Turn>) -> Pick<'c> {
        let mut locked = self.locked.lock();
        let locked = &mut *locked;
        if locked.mode == BookMode::Many {
            return locked.books.pick_of_many(&self.turns, candidates, refused);
        }
        let few = locked.few();
        if self.table.picks(&few) >= SETTLE_AFTER {
            self.renew(locked, |_| {});
        }
        let untried = untried(&few, candidates);
        let mut open = untried;
        loop {
            let found = B::look(self.order, &self.table.look(&few, open));
            let Some((index, seen)) = found else { break };
            // Older candidates may lack the member.
            let state = candidates.state(few[index].id());
            match state.map(|state| candidates.claim_as(state, seen)) {
                Some(None) => {}
                Some(Some(Ok(claim))) => return Pick::Claimed(claim),
                Some(Some(Err(ClaimError::AtCapacity))) => {
                    self.set_aside(locked, index, &few[index]);
                }
                None | Some(Some(Err(_))) => open &= !(1 << index),
            }
        }
        if locked.aside & untried != 0 {
            Pick::AtCapacity
        } else if candidates.generation() < locked.generation {
            Pick::Stale
        } else {
            Pick::NoneUsable
        }
    }

    /// Sets a member aside, unless it has room by now.
    fn set_aside(&self, locked: &mut LookedGroup<B>, index: usize, state: &MemberState) {
        self.renew(locked, |locked| locked.aside |= 1 << index);
        if state.has_room() {
            self.renew(locked, |locked| locked.aside &= !(1 << index));
        }
    }

    /// Takes a member back if it has room, or reads its load again; costs one load if the
    /// members are few and none is set aside.
    #[inline]
    pub(super) fn room(&self, member: &MemberState) {
        if self.table.aside.load(SeqCst) != 0 {
            self.take_back(member);
        }
    }

    #[cold]
    fn take_back(&self, member: &MemberState) {
        let mut locked = self.locked.lock();
        let locked = &mut *locked;
        if locked.mode == BookMode::Many {
            locked.books.room(&self.turns, member);
        } else if let Some(index) = index_of(&locked.few(), member.id()) {
            if locked.is_aside(index) && member.has_room() {
                self.renew(locked, |locked| locked.aside &= !(1 << index));
            }
        }
    }

    /// Counts a pick by a session, unless it is read from the member's counters. If there
    /// are too many members to look at, that is up to `count`.
    #[inline]
    pub(super) fn session_pick(
        &self,
        candidates: &Candidates<'_>,
        member: &MemberState,
        count: impl FnOnce(&mut B::Ranking),
    ) {
        if !candidates.claim_is_read() {
            self.count_session_pick(member, count);
        }
    }

    #[inline(never)]
    fn count_session_pick(&self, member: &MemberState, count: impl FnOnce(&mut B::Ranking)) {
        let mut locked = self.locked.lock();
        let locked = &mut *locked;
        if locked.mode == BookMode::Many {
            locked.books.withdraw(&self.turns);
            count(locked.books.ranking());
        } else if let Some(index) = index_of(&locked.few(), member.id()) {
            // It had room, so it is no longer set aside.
            self.renew(locked, |locked| {
                locked.aside &= !(1 << index);
                locked.uncounted = 1 << index;
            });
        }
    }

    /// Calls `read` with books that are up to date.
    pub(super) fn settled<T>(&self, read: impl FnOnce(&mut B::Ranking) -> T) -> T {
        let mut locked = self.locked.lock();
        locked.books.withdraw(&self.turns);
        self.settle(&mut locked, MemberState::look);
        read(locked.books.ranking())
    }

    /// Calls `change` with books that are up to date, whose values it may change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut B::Ranking) -> T) -> T {
        let mut locked = self.locked.lock();
        self.renew(&mut locked, |locked| change(locked.books.ranking()))
    }

    /// Applies a change of the group.
    pub(super) fn follow(&self, group: &GroupChange<'_>) {
        let mut locked = self.locked.lock();
        self.renew(&mut locked, |locked| locked.follow(group));
    }

    /// Brings the books up to date, applies a change to them, and writes the numbers that
    /// result from it.
    fn renew<T>(
        &self,
        locked: &mut LookedGroup<B>,
        change: impl FnOnce(&mut LookedGroup<B>) -> T,
    ) -> T {
        let version = self.table.version.load(Relaxed) | 1;
        // Before the counters change: a look that sees a bit cleared also sees this.
        self.table.version.store(version, Relaxed);
        locked.books.begin_change(&self.turns);
        self.settle(locked, MemberState::end_reading);
        let result = change(locked);
        self.write(locked);
        self.table.version.store(version + 1, Release);
        result
    }

    /// Brings the books up to date with the counters that `read` returns.
    fn settle(&self, locked: &mut LookedGroup<B>, read: impl Fn(&MemberState) -> CountersSeen) {
        let few = locked.few();
        let look = self.table.look(&few, 0);
        let (mut own, mut picks) = ([0; FEW_MEMBERS], 0);
        for (index, (state, line)) in look.members().enumerate() {
            own[index] = look.own_picks(index, line, read(state));
            picks += own[index];
        }
        for (index, (state, line)) in look.members().enumerate() {
            if !locked.is_aside(index) {
                let standing = look.settled_standing(line, picks, own[index]);
                locked.books.set_value(state, standing);
            }
        }
    }

    /// Writes the numbers by the books, and begins to read the picks of all members that are
    /// not set aside.
    fn write(&self, locked: &mut LookedGroup<B>) {
        let table = &self.table;
        let mut total = 0;
        for (index, state) in locked.few().iter().enumerate() {
            let (line, weight) = (&table.lines[index], locked.weights[index]);
            line.value.store(locked.books.value(state), Release);
            line.weight.store(weight, Release);
            if !locked.is_aside(index) {
                total += weight;
                let now = state.begin_reading();
                let uncounted = locked.uncounted >> index & 1;
                line.picks.store(now.picks_before(uncounted), Release);
            }
        }
        locked.uncounted = 0;
        table.total.store(total, Release);
        let (generation, aside) = match locked.mode {
            BookMode::Few => (locked.generation, locked.aside),
            BookMode::Many => (MANY, MANY),
        };
        table.generation.store(generation, Release);
        table.aside.store(aside, SeqCst);
    }
}

impl<B: LookBooks> LookedGroup<B> {
    fn few(&self) -> Arc<[Arc<MemberState>]> {
        self.few.upgrade().unwrap_or_default()
    }

    fn is_aside(&self, index: usize) -> bool {
        self.aside >> index & 1 == 1
    }

    fn follow(&mut self, group: &GroupChange<'_>) {
        self.generation = self.generation.max(group.generation());
        let from = self.mode;
        self.mode = if group.is_few() {
            BookMode::Few
        } else {
            BookMode::Many
        };
        // A member that is parked stays so in either mode, unless it has changed.
        let mut parked = Vec::new();
        if (from, self.mode) != (BookMode::Many, BookMode::Many) {
            parked.extend(group.iter().map(|one| one.id()));
            parked.retain(|&id| self.is_parked(id));
            parked.retain(|&id| group.changed().all(|one| one.id() != id));
        }
        self.books.follow_as(group, from, self.mode);
        if self.mode == BookMode::Many {
            // Also those whose picks an earlier scheduler has read.
            let end = |one: Candidate<'_>| {
                one.state().end_reading();
            };
            match from {
                BookMode::Few => group.iter().for_each(end),
                BookMode::Many => group.joined().for_each(end),
            }
        }
        self.few = Arc::downgrade(group.few());
        self.weights.clear();
        self.aside = 0;
        if self.mode == BookMode::Few {
            let weights = group.iter().map(|one| u64::from(one.weight().units()));
            self.weights.extend(weights);
        }
        let few = self.few();
        for id in parked {
            if let Some(index) = index_of(&few, id) {
                self.aside |= 1 << index;
            } else if let Some(slot) = self.books.ranking().slot(id) {
                self.books.ranking().park(slot);
            }
        }
    }

    fn is_parked(&mut self, id: MemberId) -> bool {
        match index_of(&self.few(), id) {
            Some(index) => self.is_aside(index),
            None => {
                let slot = self.books.ranking().slot(id);
                slot.is_some_and(|slot| self.books.ranking().is_parked(slot))
            }
        }
    }
}

/// Returns a bit for each member that the request has not tried.
#[inline]
fn untried(states: &[Arc<MemberState>], candidates: &Candidates<'_>) -> u64 {
    let mut open = (1 << states.len()) - 1;
    for &tried in candidates.tried() {
        if let Some(index) = index_of(states, tried) {
            open &= !(1 << index);
        }
    }
    open
}

/// Returns the index of a member in tie order.
fn index_of(states: &[Arc<MemberState>], member: MemberId) -> Option<usize> {
    states.iter().position(|state| state.id() == member)
}
