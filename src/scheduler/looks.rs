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
//! The lock is taken to change the numbers: when the group changes, and when a member is
//! found at its cap or has room again. A member at its cap is set aside until then, as the
//! rankings park it. If there are more members, the scheduler keeps its books (a
//! [`Ranking`]) under the same lock. Whenever the numbers change, the books are brought up to
//! date first, so they take over with exact values, and hand over exact values.
//!
//! Not here: what is compared, and the books ([`LookBooks`]).
//!
//! # Orderings
//!
//! Numbers are stored with release and loaded with acquire: a look that reads a new number
//! then reads the odd version, or a later one. `aside` is sequentially consistent, as the
//! counters are: setting a member aside is followed by a look at its counters, and the end
//! of a request looks at `aside` after it has decremented them.

use std::sync::{Arc, Weak};

use super::ranking::{Ranking, pick_ranked};
use super::{Candidates, ClaimError, GroupChange, Pick};
use crate::member::{Counted, MemberId, MemberState};
use crate::snapshot::FEW_MEMBERS;
use crate::sync::{Acquire, AtomicU64, Mutex, Relaxed, Release, SeqCst};

/// The books of a scheduler whose members are looked at while they are few.
pub(super) trait LookBooks: Ranking {
    /// What is compared.
    type Order: Copy + std::fmt::Debug;

    /// Returns the index of the member that goes first among those that are open, with its
    /// counters if the claim requires them to be unchanged.
    fn look(order: Self::Order, look: &Look<'_>) -> Option<(usize, Option<Counted>)>;

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
    fn room(&mut self, member: &MemberState);
}

/// Whether a scheduler keeps an order of its members, or looks at them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BookMode {
    Few,
    Many,
}

/// The numbers of one member.
#[derive(Debug, Default)]
pub(super) struct LookLine {
    /// The value of the books when the picks were as many as `picks`.
    value: AtomicU64,
    weight: AtomicU64,
    picks: AtomicU64,
}

impl LookLine {
    #[inline]
    pub(super) fn value(&self) -> u64 {
        self.value.load(Acquire)
    }

    #[inline]
    pub(super) fn weight(&self) -> u64 {
        self.weight.load(Acquire)
    }

    /// Returns the number of picks since the value was true.
    #[inline]
    pub(super) fn picks_until(&self, now: Counted) -> u64 {
        now.picks_since(self.picks.load(Acquire))
    }
}

/// What one look sees.
#[derive(Debug)]
pub(super) struct Look<'l> {
    lines: &'l [LookLine; FEW_MEMBERS],
    states: &'l [Arc<MemberState>],
    /// One bit for each member that may be picked.
    open: u64,
    /// The sum of the weights of the members that are not set aside.
    total: u64,
}

impl<'l> Look<'l> {
    /// Iterates over all members in tie order.
    #[inline]
    pub(super) fn members(&self) -> impl Iterator<Item = (&'l MemberState, &'l LookLine)> {
        let states = self.states.iter().map(|state| &**state);
        states.zip(self.lines)
    }

    #[inline]
    pub(super) fn is_open(&self, index: usize) -> bool {
        self.open >> index & 1 == 1
    }

    /// Returns a member's standing after `picks` of any member and `own` of this one: each
    /// pick adds all weights to the standings, and subtracts their sum from one.
    #[inline]
    #[expect(
        clippy::cast_possible_wrap,
        reason = "two's complement is what is stored"
    )]
    pub(super) fn standing(&self, line: &LookLine, picks: u64, own: u64) -> i64 {
        let gained = line.weight().wrapping_mul(picks);
        let paid = self.total.wrapping_mul(own);
        line.value().wrapping_add(gained).wrapping_sub(paid) as i64
    }
}

/// The numbers of all members, in tie order.
#[derive(Debug)]
struct LookTable {
    /// Odd while the numbers are written.
    version: AtomicU64,
    /// The version of the group; [`MANY`] if there are too many members.
    generation: AtomicU64,
    /// The sum of the weights of the members that are not set aside.
    total: AtomicU64,
    /// One bit for each member that is at its cap; [`MANY`] if there are too many members.
    aside: AtomicU64,
    lines: [LookLine; FEW_MEMBERS],
}

/// There are too many members to look at.
const MANY: u64 = u64::MAX;

/// A scheduler's books with the numbers for looks.
#[derive(Debug)]
pub(super) struct Looks<B: LookBooks> {
    order: B::Order,
    table: LookTable,
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
    generation: u64,
}

impl<B: LookBooks> Looks<B> {
    pub(super) fn new(books: B, order: B::Order) -> Self {
        Self {
            order,
            table: LookTable {
                version: AtomicU64::new(0),
                generation: AtomicU64::new(0),
                total: AtomicU64::new(0),
                aside: AtomicU64::new(0),
                lines: Default::default(),
            },
            locked: Mutex::new(LookedGroup {
                books,
                mode: BookMode::Few,
                few: Weak::<[_; 0]>::new(),
                weights: Vec::new(),
                aside: 0,
                generation: 0,
            }),
        }
    }

    /// Picks and claims one of `candidates`.
    #[inline]
    pub(super) fn pick<'c>(&self, candidates: &Candidates<'c>) -> Pick<'c> {
        match self.pick_at_sight(candidates) {
            Some(pick) => pick,
            None => self.pick_under_lock(candidates),
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
    fn pick_under_lock<'c>(&self, candidates: &Candidates<'c>) -> Pick<'c> {
        let mut locked = self.locked.lock();
        let locked = &mut *locked;
        if locked.mode == BookMode::Many {
            return pick_ranked(&mut locked.books, candidates);
        }
        // Not only for a sum of picks that is about to overflow.
        self.renew(locked, |_| {});
        let few = locked.few();
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
            locked.books.room(member);
        } else if let Some(index) = place(&locked.few(), member.id()) {
            if locked.is_aside(index) && member.has_room() {
                self.renew(locked, |locked| locked.aside &= !(1 << index));
            }
        }
    }

    /// Calls `change` if there are too many members to look at. Otherwise there is nothing
    /// to change: the next look sees it.
    #[inline]
    pub(super) fn with_many(&self, change: impl FnOnce(&mut B)) {
        if self.table.aside.load(SeqCst) == MANY {
            let mut locked = self.locked.lock();
            if locked.mode == BookMode::Many {
                change(&mut locked.books);
            }
        }
    }

    /// Calls `work` with books that are up to date, whose values it may change.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut B) -> T) -> T {
        let mut locked = self.locked.lock();
        self.renew(&mut locked, |locked| work(&mut locked.books))
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
        let seen = self.settle(locked);
        let result = change(locked);
        self.write(locked, &seen);
        result
    }

    /// Brings the books up to date; returns the counters by which they are.
    fn settle(&self, locked: &mut LookedGroup<B>) -> Seen {
        let few = locked.few();
        let look = self.table.look(&few, 0);
        let mut seen = [None; FEW_MEMBERS];
        let mut picks = 0;
        for ((state, line), seen) in look.members().zip(&mut seen) {
            let now = state.look();
            *seen = Some((state.id(), now));
            picks += line.picks_until(now);
        }
        for (index, ((state, line), seen)) in look.members().zip(&seen).enumerate() {
            if let Some((_, now)) = seen.filter(|_| !locked.is_aside(index)) {
                let standing = look.standing(line, picks, line.picks_until(now));
                locked.books.set_value(state, standing);
            }
        }
        seen
    }

    /// Writes the numbers by the books.
    fn write(&self, locked: &LookedGroup<B>, seen: &Seen) {
        let table = &self.table;
        let version = table.version.load(Relaxed);
        table.version.store(version + 1, Relaxed);
        let mut total = 0;
        for (index, state) in locked.few().iter().enumerate() {
            let known = seen.iter().flatten().find(|(id, _)| *id == state.id());
            let picks = known.map_or_else(|| state.look(), |(_, now)| *now).picks();
            let (line, weight) = (&table.lines[index], locked.weights[index]);
            line.value.store(locked.books.value(state), Release);
            line.weight.store(weight, Release);
            line.picks.store(picks, Release);
            total += if locked.is_aside(index) { 0 } else { weight };
        }
        table.total.store(total, Release);
        let (generation, aside) = match locked.mode {
            BookMode::Few => (locked.generation, locked.aside),
            BookMode::Many => (MANY, MANY),
        };
        table.generation.store(generation, Release);
        table.aside.store(aside, SeqCst);
        table.version.store(version + 2, Release);
    }
}

/// The counters by which the books are up to date.
type Seen = [Option<(MemberId, Counted)>; FEW_MEMBERS];

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
        self.few = Arc::downgrade(group.few());
        self.weights.clear();
        self.aside = 0;
        if self.mode == BookMode::Few {
            let weights = group.iter().map(|one| u64::from(one.weight().units()));
            self.weights.extend(weights);
        }
        let few = self.few();
        for id in parked {
            if let Some(index) = place(&few, id) {
                self.aside |= 1 << index;
            } else if let Some(slot) = self.books.slot(id) {
                self.books.park(slot);
            }
        }
    }

    fn is_parked(&self, id: MemberId) -> bool {
        match place(&self.few(), id) {
            Some(index) => self.is_aside(index),
            None => {
                let slot = self.books.slot(id);
                slot.is_some_and(|slot| self.books.is_parked(slot))
            }
        }
    }
}

impl LookTable {
    #[inline]
    fn look<'l>(&'l self, states: &'l [Arc<MemberState>], open: u64) -> Look<'l> {
        Look {
            lines: &self.lines,
            states,
            open: open & !self.aside.load(Acquire),
            total: self.total.load(Acquire),
        }
    }
}

/// Returns a bit for each member that the request has not tried.
#[inline]
fn untried(states: &[Arc<MemberState>], candidates: &Candidates<'_>) -> u64 {
    let mut open = (1 << states.len()) - 1;
    for &tried in candidates.tried() {
        if let Some(index) = place(states, tried) {
            open &= !(1 << index);
        }
    }
    open
}

/// Returns where a member is in tie order.
fn place(states: &[Arc<MemberState>], member: MemberId) -> Option<usize> {
    states.iter().position(|state| state.id() == member)
}
