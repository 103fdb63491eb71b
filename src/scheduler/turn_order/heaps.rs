//! The members that can be elected, by deadline, and those that are ahead of their quotas,
//! by the time at which they can be ([`TurnHeaps`]).
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
    /// Among those that can be elected; after an election was undone, it may have to wait.
    Ready,
    /// Left out of the present pick.
    Skipped,
    /// Among those that are ahead of their quotas, unless time has passed.
    Waiting,
}

impl TurnPlace {
    /// Returns whether the member's position and weight count.
    #[inline]
    pub(super) fn takes_part(self) -> bool {
        matches!(self, Self::Ready | Self::Skipped | Self::Waiting)
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
    /// Its key in its heap, rounded down: of two that differ, the lesser goes first.
    pub(super) key: i64,
    /// The index in its heap.
    at: u32,
    /// The next one that is skipped.
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
        key: 0,
        at: 0,
        after: NONE,
        elected: 0,
        place: TurnPlace::Absent,
    };
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
    fn release(self, entry: &TurnEntry) -> i128 {
        i128::from(self.scale) * i128::from(entry.position) + i128::from(self.part * ELECTION)
    }

    /// Returns `scale * (position + 1 - e)`, as [`release`](Self::release).
    #[inline]
    fn deadline(self, entry: &TurnEntry) -> i128 {
        let next = i128::from(entry.position) + i128::from(ELECTION);
        i128::from(self.scale) * next - i128::from(self.part * ELECTION)
    }

    /// Returns how much less each key is if all positions are counted from a time that is
    /// later by so much for each unit of weight.
    pub(super) fn rebased(self, per_weight: i64) -> i64 {
        self.scale.saturating_mul(per_weight)
    }

    /// Returns `position + 1 - e` in elections, to be shown.
    pub(super) fn deadline_in_elections(self, entry: &TurnEntry) -> f64 {
        self.deadline(entry) as f64 / (self.scale as f64 * ELECTION as f64)
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
    pub(super) fn can_be_elected(&self, entry: &TurnEntry) -> bool {
        let quota = i128::from(entry.weight) * (self.time + i128::from(ELECTION));
        i128::from(self.bound.scale) * quota >= i128::from(self.total) * self.bound.release(entry)
    }
}

#[derive(Clone, Debug)]
pub(super) struct TurnHeaps {
    pub(super) bound: LeadBound,
    ready: Heap<u32>,
    waiting: Heap<u32>,
}

impl TurnHeaps {
    pub(super) const fn new() -> Self {
        Self {
            bound: LeadBound { scale: 1, part: 1 },
            ready: Heap::new(),
            waiting: Heap::new(),
        }
    }

    /// Orders the heaps anew, for a group of `members`, and makes room for all of them.
    pub(super) fn arrange(&mut self, members: usize, entries: &mut [TurnEntry]) {
        self.bound = LeadBound::of(members);
        self.ready.clear();
        self.waiting.clear();
        self.ready.reserve(members);
        self.waiting.reserve(members);
        for at in 0..entries.len() {
            if matches!(entries[at].place, TurnPlace::Ready | TurnPlace::Waiting) {
                #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
                self.push_waiting(at as u32, entries);
            }
        }
    }

    pub(super) fn push_waiting(&mut self, slot: u32, entries: &mut [TurnEntry]) {
        let bound = self.bound;
        let entry = &mut entries[slot as usize];
        entry.place = TurnPlace::Waiting;
        entry.key = rounded(bound.release(entry), entry.weight);
        self.waiting.push(slot, &mut ByRelease { bound, entries });
    }

    /// Removes a slot; returns whether it was in a heap.
    pub(super) fn detach(&mut self, slot: u32, entries: &mut [TurnEntry]) -> bool {
        let (bound, entry) = (self.bound, &entries[slot as usize]);
        let at = entry.at as usize;
        match entry.place {
            TurnPlace::Ready => self.ready.remove(at, &mut ByDeadline { bound, entries }),
            TurnPlace::Waiting => self.waiting.remove(at, &mut ByRelease { bound, entries }),
            TurnPlace::Absent | TurnPlace::Parked | TurnPlace::Skipped => return false,
        }
        true
    }

    /// Returns the slot with the earliest deadline among those that can be elected; if there
    /// is none, the one that can be elected first.
    #[inline]
    pub(super) fn first(&mut self, now: Releases, entries: &mut [TurnEntry]) -> Option<u32> {
        let bound = self.bound;
        while let Some(slot) = self.waiting.first() {
            if !now.can_be_elected(&entries[slot as usize]) {
                break;
            }
            self.waiting.remove(0, &mut ByRelease { bound, entries });
            let entry = &mut entries[slot as usize];
            entry.place = TurnPlace::Ready;
            entry.key = rounded(bound.deadline(entry), entry.weight);
            self.ready.push(slot, &mut ByDeadline { bound, entries });
        }
        while let Some(slot) = self.ready.first() {
            if now.can_be_elected(&entries[slot as usize]) {
                return Some(slot);
            }
            self.ready.remove(0, &mut ByDeadline { bound, entries });
            self.push_waiting(slot, entries);
        }
        self.waiting.first()
    }
}

struct ByDeadline<'e> {
    bound: LeadBound,
    entries: &'e mut [TurnEntry],
}

struct ByRelease<'e> {
    bound: LeadBound,
    entries: &'e mut [TurnEntry],
}

impl HeapOrder<u32> for ByDeadline<'_> {
    #[inline]
    fn goes_before(&self, a: u32, b: u32) -> bool {
        goes_before(self.entries, (a, b), |entry| self.bound.deadline(entry))
    }

    fn moved(&mut self, slot: u32, at: usize) {
        note_index(self.entries, slot, at);
    }
}

impl HeapOrder<u32> for ByRelease<'_> {
    #[inline]
    fn goes_before(&self, a: u32, b: u32) -> bool {
        goes_before(self.entries, (a, b), |entry| self.bound.release(entry))
    }

    fn moved(&mut self, slot: u32, at: usize) {
        note_index(self.entries, slot, at);
    }
}

/// Compares two keys divided by the weights, and then the ranks.
#[inline]
fn goes_before(
    entries: &[TurnEntry],
    (a, b): (u32, u32),
    key: impl Fn(&TurnEntry) -> i128,
) -> bool {
    let (a, b) = (&entries[a as usize], &entries[b as usize]);
    if a.key != b.key {
        return a.key < b.key;
    }
    if a.weight == b.weight {
        return (a.position, a.rank) < (b.position, b.rank);
    }
    let left = key(a) * i128::from(b.weight);
    let right = key(b) * i128::from(a.weight);
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
    reason = "an index of a heap of slots"
)]
fn note_index(entries: &mut [TurnEntry], slot: u32, at: usize) {
    entries[slot as usize].at = at as u32;
}
