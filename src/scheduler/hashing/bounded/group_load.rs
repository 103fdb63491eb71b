//! The requests in flight and the weight of all eligible members, as two sums that a pick
//! reads in constant time: [`GroupLoad`].
//!
//! Not here: what a bound follows from them (`mod.rs`).
//!
//! # Orderings
//!
//! Each member has a cell with the number that is part of the sum. After each claim, end and
//! change, the cell is set to the member's counter, and the sum changes by the difference.
//! The counter is then read again, until it is what the cell was set to. So the last caller
//! leaves the cell equal to the counter, and once all callers have returned, the sum is
//! exact. An end that is not notified, such as that of a dropped claim, is corrected by the
//! next event of the same member. Counters and cells are sequentially consistent; the sums
//! are relaxed, because a pick may see them slightly late.

use crate::member::MemberState;
use crate::scheduler::GroupChange;
use crate::scheduler::by_slot::BySlot;
use crate::sync::{AtomicU32, AtomicU64, Relaxed, SeqCst};

/// The member is not in the group: a number that no counter reaches.
const ABSENT: u32 = u32::MAX;

/// The sums of a group.
#[derive(Debug)]
pub(super) struct GroupLoad {
    /// It may be below zero for a moment.
    in_flight: AtomicU64,
    units: AtomicU64,
    members: BySlot<MemberCell>,
}

/// What one member adds to the sums.
#[derive(Debug)]
struct MemberCell {
    in_flight: AtomicU32,
    /// Written by changes of the group only, one at a time.
    units: AtomicU32,
}

impl Default for MemberCell {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::new(ABSENT),
            units: AtomicU32::new(0),
        }
    }
}

impl GroupLoad {
    pub(super) fn new() -> Self {
        Self {
            in_flight: AtomicU64::new(0),
            units: AtomicU64::new(0),
            members: BySlot::new(),
        }
    }

    /// Returns the requests in flight on all members of the group.
    #[inline]
    pub(super) fn in_flight(&self) -> u64 {
        let sum = self.in_flight.load(Relaxed);
        if sum > u64::MAX / 2 { 0 } else { sum }
    }

    /// Returns the weight of all members of the group, in units.
    #[inline]
    pub(super) fn units(&self) -> u64 {
        self.units.load(Relaxed)
    }

    /// Reads the counter of a member, if the member is in the group.
    #[inline]
    pub(super) fn read(&self, member: &MemberState) {
        let Some(cell) = self.members.get(member.id().slot()) else {
            return;
        };
        loop {
            let now = member.in_flight();
            let set = |noted| (noted != ABSENT && noted != now).then_some(now);
            let Ok(noted) = cell.in_flight.fetch_update(SeqCst, SeqCst, set) else {
                return;
            };
            add(&self.in_flight, noted, now);
            if member.in_flight() == now {
                return;
            }
        }
    }

    /// Applies a change of the group.
    pub(super) fn follow(&self, group: &GroupChange<'_>) {
        for member in group.left() {
            let cell = self.members.get_or_grow(member.id().slot());
            add(&self.units, cell.units.swap(0, Relaxed), 0);
            let noted = cell.in_flight.swap(ABSENT, SeqCst);
            add(&self.in_flight, present(noted), 0);
        }
        for one in group.joined().chain(group.changed()) {
            let cell = self.members.get_or_grow(one.id().slot());
            let units = one.weight().units();
            add(&self.units, cell.units.swap(units, Relaxed), units);
            let now = one.state().in_flight();
            let noted = cell.in_flight.swap(now, SeqCst);
            add(&self.in_flight, present(noted), now);
            self.read(one.state());
        }
    }
}

fn present(noted: u32) -> u32 {
    if noted == ABSENT { 0 } else { noted }
}

/// Replaces one summand by another.
fn add(sum: &AtomicU64, from: u32, to: u32) {
    sum.fetch_add(u64::from(to).wrapping_sub(u64::from(from)), Relaxed);
}
