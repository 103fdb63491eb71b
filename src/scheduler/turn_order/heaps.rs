//! The members by weight, and the weights in two heaps: those with a member that can be
//! elected, by deadline, and those whose members are all ahead of their quotas, by the time at
//! which the first one can be elected ([`TurnHeaps`]).
//!
//! Among members of one weight, the one with the lowest position goes first, and of several
//! that with the lowest rank: it has the earliest deadline, and can be elected first. So only
//! the first member of each weight is in a heap. The others are in a queue: an election moves
//! a member to the back. One that belongs in between, after a pick by a session for example,
//! is in a heap beside the queue until its own election.
//!
//! Not here: the positions, and the time.

use crate::member::MemberId;
use crate::scheduler::heap::{Heap, HeapOrder};

/// One election, in the units of positions. Positions are fractions after weights or members
/// have changed; until then they are whole, and everything is exact.
pub(super) const ELECTION: i64 = 1 << 20;

/// With more members, `e` is taken to be 0: the bound is then 1, and no product overflows.
const MOST_FOR_BOUND: usize = 1 << 16;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Where a member is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TurnPlace {
    /// Not in the group.
    Absent,
    /// In the group, at its cap.
    Parked,
    /// In the queue of its weight.
    Queued,
    /// Left out of the present pick.
    Skipped,
    /// In the heap of its weight.
    Stray,
}

impl TurnPlace {
    /// Returns whether the member's position and weight count.
    #[inline]
    pub(super) fn takes_part(self) -> bool {
        matches!(self, Self::Queued | Self::Skipped | Self::Stray)
    }
}

/// The state kept for one member.
#[derive(Clone, Debug)]
pub(super) struct TurnEntry {
    pub(super) member: Option<MemberId>,
    /// The position of a member that takes part, otherwise the lead that it left with.
    pub(super) position: i64,
    pub(super) rank: u64,
    pub(super) weight: u32,
    /// The index of its weight.
    class: u32,
    /// The neighbour in the queue, or the index in the heap.
    before: u32,
    /// The neighbour in the queue, or the next one that is skipped.
    pub(super) after: u32,
    /// For counting elections; zero otherwise.
    pub(super) elected: u32,
    pub(super) place: TurnPlace,
}

impl TurnEntry {
    pub(super) const EMPTY: Self = Self {
        member: None,
        position: 0,
        rank: 0,
        weight: 0,
        class: NONE,
        before: NONE,
        after: NONE,
        elected: 0,
        place: TurnPlace::Absent,
    };

    /// Orders the members of one weight.
    #[inline]
    fn key(&self) -> (i64, u64) {
        (self.position, self.rank)
    }
}

/// How far from its quota a member may be: `e = part / scale`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeadBound {
    scale: i64,
    part: i64,
}

impl LeadBound {
    fn of(members: usize) -> Self {
        match i64::try_from(members) {
            Ok(count) if members <= MOST_FOR_BOUND => Self {
                scale: (2 * count - 2).max(1),
                part: 1,
            },
            _ => Self { scale: 1, part: 0 },
        }
    }

    /// Returns `scale * (position + e)`: divided by the weight, the time for each unit of
    /// weight from which the member can be elected.
    #[inline]
    fn release(self, position: i64) -> i128 {
        i128::from(self.scale) * i128::from(position) + i128::from(self.part * ELECTION)
    }

    /// Returns `scale * (position + 1 - e)`, as [`release`](Self::release).
    #[inline]
    fn deadline(self, position: i64) -> i128 {
        let next = i128::from(position) + i128::from(ELECTION);
        i128::from(self.scale) * next - i128::from(self.part * ELECTION)
    }

    /// Returns how much less each key is if all positions are counted from a time that is
    /// later by so much for each unit of weight.
    fn rebased(self, per_weight: i64) -> i64 {
        self.scale.saturating_mul(per_weight)
    }

    /// Returns `position + 1 - e` in elections, to be shown.
    pub(super) fn deadline_in_elections(self, position: i64) -> f64 {
        self.deadline(position) as f64 / (self.scale as f64 * ELECTION as f64)
    }
}

/// Which members can be elected at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Releases {
    pub(super) bound: LeadBound,
    pub(super) time: i128,
    pub(super) total: i64,
}

impl Releases {
    /// Returns whether `share * (time + 1) - position >= e`.
    ///
    /// A product is below 2^120: a weight has 27 bits, the sum of weights 43 with a scale of
    /// 17 and otherwise 53, a position and the time for each unit of weight 28 and 8 more
    /// than those of an election, which has 20.
    #[inline]
    pub(super) fn can_be_elected(&self, weight: u32, position: i64) -> bool {
        let quota = i128::from(weight) * (self.time + i128::from(ELECTION));
        let release = self.bound.release(position);
        i128::from(self.bound.scale) * quota >= i128::from(self.total) * release
    }
}

/// The members of one weight.
#[derive(Clone, Debug)]
struct TurnClass {
    weight: u32,
    /// The ends of the queue.
    first: u32,
    last: u32,
    strays: Heap<u32>,
    /// The first member of the queue and the heap, with its position and rank; or [`NONE`],
    /// and then the class is in no heap.
    front: u32,
    position: i64,
    rank: u64,
    /// Its key in its heap, rounded down: of two that differ, the lesser goes first.
    key: i64,
    /// The index in its heap.
    at: u32,
    /// Whether it is in the heap by deadline.
    is_ready: bool,
}

impl TurnClass {
    fn new(weight: u32, members: usize) -> Self {
        let mut strays = Heap::new();
        // Two others are in the queue.
        strays.reserve(members.saturating_sub(2));
        Self {
            weight,
            first: NONE,
            last: NONE,
            strays,
            front: NONE,
            position: 0,
            rank: 0,
            key: 0,
            at: 0,
            is_ready: false,
        }
    }

    /// Puts a member at an end of the queue, or into the heap if it belongs in between.
    #[inline]
    fn add(&mut self, slot: u32, entries: &mut [TurnEntry]) {
        let key_of = |slot: u32| entries[slot as usize].key();
        let key = key_of(slot);
        let (before, after) = if self.last == NONE || key_of(self.last) < key {
            (self.last, NONE)
        } else if key < key_of(self.first) {
            (NONE, self.first)
        } else {
            entries[slot as usize].place = TurnPlace::Stray;
            return self.strays.push(slot, &mut ByPosition { entries });
        };
        let entry = &mut entries[slot as usize];
        (entry.before, entry.after) = (before, after);
        entry.place = TurnPlace::Queued;
        self.link(before, slot, entries);
        self.link(slot, after, entries);
    }

    /// Makes two members neighbours in the queue; [`NONE`] is its end.
    #[inline]
    fn link(&mut self, before: u32, after: u32, entries: &mut [TurnEntry]) {
        match entries.get_mut(before as usize) {
            Some(entry) => entry.after = after,
            None => self.first = after,
        }
        match entries.get_mut(after as usize) {
            Some(entry) => entry.before = before,
            None => self.last = before,
        }
    }

    /// Reads which member goes first.
    #[inline]
    fn read_front(&mut self, entries: &[TurnEntry]) {
        let stray = self.strays.first();
        let queued = (self.first != NONE).then_some(self.first);
        let key = |slot: &u32| entries[*slot as usize].key();
        let front = queued.into_iter().chain(stray).min_by_key(key);
        self.front = front.unwrap_or(NONE);
        if let Some(entry) = entries.get(self.front as usize) {
            (self.position, self.rank) = entry.key();
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct TurnHeaps {
    pub(super) bound: LeadBound,
    /// By weight.
    classes: Vec<TurnClass>,
    /// Indices of classes.
    ready: Heap<u32>,
    waiting: Heap<u32>,
}

impl TurnHeaps {
    pub(super) const fn new() -> Self {
        Self {
            bound: LeadBound { scale: 1, part: 1 },
            classes: Vec::new(),
            ready: Heap::new(),
            waiting: Heap::new(),
        }
    }

    /// Orders everything anew, for a group of `members`, and makes room for all of them.
    pub(super) fn arrange(&mut self, members: usize, entries: &mut [TurnEntry]) {
        self.bound = LeadBound::of(members);
        let present = entries.iter().filter(|it| it.place != TurnPlace::Absent);
        let mut weights: Vec<u32> = present.map(|entry| entry.weight).collect();
        weights.sort_unstable();
        let equal = weights.chunk_by(|a, b| a == b);
        self.classes.clear();
        self.classes
            .extend(equal.map(|equal| TurnClass::new(equal[0], equal.len())));
        self.ready.clear();
        self.waiting.clear();
        self.ready.reserve(self.classes.len());
        self.waiting.reserve(self.classes.len());
        for at in 0..entries.len() {
            let entry = &mut entries[at];
            let class = self
                .classes
                .binary_search_by_key(&entry.weight, |it| it.weight);
            entry.class = class.map_or(NONE, short);
            if matches!(entry.place, TurnPlace::Queued | TurnPlace::Stray) {
                self.attach(short(at), entries);
            }
        }
    }

    /// Adds a member that takes part to those that can be elected.
    pub(super) fn attach(&mut self, slot: u32, entries: &mut [TurnEntry]) {
        let entry = &entries[slot as usize];
        let (class, key) = (entry.class, entry.key());
        let it = &mut self.classes[class as usize];
        it.add(slot, entries);
        if it.front == NONE || key < (it.position, it.rank) {
            self.renew(class, entries);
        }
    }

    /// Removes a slot; returns whether it was among those that can be elected.
    pub(super) fn detach(&mut self, slot: u32, entries: &mut [TurnEntry]) -> bool {
        let entry = &entries[slot as usize];
        let (class, before, after) = (entry.class, entry.before, entry.after);
        match entry.place {
            TurnPlace::Queued => self.classes[class as usize].link(before, after, entries),
            TurnPlace::Stray => {
                let strays = &mut self.classes[class as usize].strays;
                strays.remove(before as usize, &mut ByPosition { entries });
            }
            TurnPlace::Absent | TurnPlace::Parked | TurnPlace::Skipped => return false,
        }
        if self.classes[class as usize].front == slot {
            self.renew(class, entries);
        }
        true
    }

    /// Puts a class where its present first member belongs.
    fn renew(&mut self, class: u32, entries: &[TurnEntry]) {
        if self.classes[class as usize].front != NONE {
            self.take(class);
        }
        let it = &mut self.classes[class as usize];
        it.read_front(entries);
        if it.front != NONE {
            self.push(class, false);
        }
    }

    /// Removes a class from its heap.
    fn take(&mut self, class: u32) {
        let (bound, classes) = (self.bound, &mut self.classes[..]);
        let it = &classes[class as usize];
        let at = it.at as usize;
        if it.is_ready {
            self.ready.remove(at, &mut ByDeadline { bound, classes });
        } else {
            self.waiting.remove(at, &mut ByRelease { bound, classes });
        }
    }

    /// Puts a class into one of the heaps.
    fn push(&mut self, class: u32, is_ready: bool) {
        let (bound, classes) = (self.bound, &mut self.classes[..]);
        let it = &mut classes[class as usize];
        it.is_ready = is_ready;
        if is_ready {
            it.key = rounded(bound.deadline(it.position), it.weight);
            self.ready.push(class, &mut ByDeadline { bound, classes });
        } else {
            it.key = rounded(bound.release(it.position), it.weight);
            self.waiting.push(class, &mut ByRelease { bound, classes });
        }
    }

    /// Returns the slot with the earliest deadline among those that can be elected; if there
    /// is none, the one that can be elected first.
    #[inline]
    pub(super) fn first(&mut self, now: Releases) -> Option<u32> {
        while let Some(class) = self.waiting.first() {
            if !self.can_be_elected(class, now) {
                break;
            }
            self.take(class);
            self.push(class, true);
        }
        while let Some(class) = self.ready.first() {
            if self.can_be_elected(class, now) {
                return Some(self.classes[class as usize].front);
            }
            self.take(class);
            self.push(class, false);
        }
        let class = self.waiting.first()?;
        Some(self.classes[class as usize].front)
    }

    /// Returns whether the first member of a class can be elected.
    #[inline]
    fn can_be_elected(&self, class: u32, now: Releases) -> bool {
        let it = &self.classes[class as usize];
        now.can_be_elected(it.weight, it.position)
    }

    /// Follows positions that have become less by so much for each unit of weight.
    pub(super) fn rebase(&mut self, per_weight: i64) {
        let keys_by = self.bound.rebased(per_weight);
        for it in &mut self.classes {
            it.position = rebased(it.position, it.weight, per_weight);
            it.key = it.key.saturating_sub(keys_by);
        }
    }
}

/// Returns a position that is counted from a later time.
pub(super) fn rebased(position: i64, weight: u32, per_weight: i64) -> i64 {
    clamped(i128::from(position) - i128::from(per_weight) * i128::from(weight))
}

struct ByDeadline<'c> {
    bound: LeadBound,
    classes: &'c mut [TurnClass],
}

struct ByRelease<'c> {
    bound: LeadBound,
    classes: &'c mut [TurnClass],
}

/// The order of the members of one weight.
struct ByPosition<'e> {
    entries: &'e mut [TurnEntry],
}

impl HeapOrder<u32> for ByDeadline<'_> {
    #[inline]
    fn goes_before(&self, a: u32, b: u32) -> bool {
        goes_before(self.classes, (a, b), |it| self.bound.deadline(it))
    }

    fn moved(&mut self, class: u32, at: usize) {
        self.classes[class as usize].at = short(at);
    }
}

impl HeapOrder<u32> for ByRelease<'_> {
    #[inline]
    fn goes_before(&self, a: u32, b: u32) -> bool {
        goes_before(self.classes, (a, b), |it| self.bound.release(it))
    }

    fn moved(&mut self, class: u32, at: usize) {
        self.classes[class as usize].at = short(at);
    }
}

impl HeapOrder<u32> for ByPosition<'_> {
    #[inline]
    fn goes_before(&self, a: u32, b: u32) -> bool {
        self.entries[a as usize].key() < self.entries[b as usize].key()
    }

    fn moved(&mut self, slot: u32, at: usize) {
        self.entries[slot as usize].before = short(at);
    }
}

/// Compares two keys divided by the weights, and then the ranks.
#[inline]
fn goes_before(classes: &[TurnClass], (a, b): (u32, u32), key: impl Fn(i64) -> i128) -> bool {
    let (a, b) = (&classes[a as usize], &classes[b as usize]);
    if a.key != b.key {
        return a.key < b.key;
    }
    let left = key(a.position) * i128::from(b.weight);
    let right = key(b.position) * i128::from(a.weight);
    (left, a.rank) < (right, b.rank)
}

/// Divides a key by a weight and rounds down.
#[inline]
fn rounded(key: i128, weight: u32) -> i64 {
    match i64::try_from(key) {
        Ok(key) => key.div_euclid(i64::from(weight)),
        Err(_) => clamped(key.div_euclid(i128::from(weight))),
    }
}

pub(super) fn clamped(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number > 0 { i64::MAX } else { i64::MIN })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "at most as many as there are slots, which are u32"
)]
fn short(index: usize) -> u32 {
    index as u32
}
