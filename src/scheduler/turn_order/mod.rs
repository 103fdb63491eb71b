//! The order behind [`Rotation`](super::Rotation), in exact integers.
//!
//! Each member has a *position*: how often it was elected. Its quota is its share of all
//! elections, `share = w / W`. The time is the sum of all positions, so that all leads over
//! the quotas together are zero. At each step, among the members that are not too far ahead,
//!
//! ```text
//! share * (time + 1) - position >= e        where e = 1 / (2n - 2)
//! ```
//!
//! the one with the earliest deadline is elected, the time at which it would be too far
//! behind: `(position + 1 - e) / share`. This choice always keeps each member within `1 - e`
//! of its quota, and no smaller bound holds for all weights.
//!
//! Members wait in one heap until their turn may come, and then in another one by deadline.
//! Neither order depends on the time or on the other members' weights, so a step moves one
//! entry. Members of equal weight are one entry. `e` depends on the number of members, so a
//! change of the group orders the heaps anew.
//!
//! A member that leaves keeps its lead, and has it again when it returns. What it leaves
//! behind is shared by the others in proportion to their weights.
//!
//! Source: Tijdeman, *The chairman assignment problem* (1980).
//!
//! Not here: locks, and turns that are made ahead (`ahead.rs`).

mod heaps;
mod sequence;

#[cfg(all(test, not(equipoise_loom)))]
mod tests;

use heaps::{ELECTION, Releases, TurnEntry, TurnHeaps, TurnPlace, clamped, rebased};

use super::heap::grow;
use super::ranking::Ranking;
use super::{Candidate, Candidates, GroupChange};
use crate::member::{MemberId, MemberState};

/// The time for each unit of weight after which the positions are counted from there.
const REBASE_AFTER: i64 = 256;

/// The members, and which of them is elected next.
#[derive(Clone, Debug)]
pub(super) struct TurnOrder {
    generation: u64,
    entries: Vec<TurnEntry>,
    heaps: TurnHeaps,
    /// The sum of the positions of the members that take part: in the group and not parked.
    time: i128,
    /// The sum of their weights.
    total: i64,
    members: usize,
    parked: usize,
    /// The slot that was skipped last in the present pick; each leads to the one before.
    skipped: u32,
}

impl TurnOrder {
    pub(super) fn new() -> Self {
        Self {
            generation: 0,
            entries: Vec::new(),
            heaps: TurnHeaps::new(),
            time: 0,
            total: 0,
            members: 0,
            parked: 0,
            skipped: heaps::NONE,
        }
    }

    /// Applies a change of the group.
    pub(super) fn follow(&mut self, group: &GroupChange<'_>) {
        self.generation = self.generation.max(group.generation());
        for member in group.left() {
            self.leave(member.id());
        }
        for one in group.joined().chain(group.changed()) {
            self.put(one.id(), one.weight().units(), one.rank());
            // Its cap may have been raised.
            if let Some(slot) = self.parked_with_room(one.state()) {
                self.rejoin(slot);
            }
        }
        self.arrange();
    }

    /// Sets every lead to zero.
    pub(super) fn reset(&mut self) {
        for entry in &mut self.entries {
            entry.position = 0;
        }
        self.time = 0;
        self.arrange();
    }

    /// Lets a parked member take part again if it is below its cap.
    pub(super) fn room(&mut self, member: &MemberState) {
        if let Some(slot) = self.parked_with_room(member) {
            self.unpark(slot);
        }
    }

    fn parked_with_room(&self, member: &MemberState) -> Option<u32> {
        let slot = self.slot_of(member.id())?;
        let is_parked = self.entry(slot).place == TurnPlace::Parked;
        (is_parked && member.has_room()).then_some(slot)
    }

    /// Returns how far a member is ahead of its quota, in millionths of an election; zero
    /// for a member that was never in the group.
    pub(super) fn lead(&self, member: MemberId) -> i64 {
        let entry = self.entries.get(member.slot());
        let Some(entry) = entry.filter(|entry| entry.member == Some(member)) else {
            return 0;
        };
        let (position, total) = (i128::from(entry.position), i128::from(self.total));
        let (lead, unit) = if entry.place.takes_part() {
            let quota = i128::from(entry.weight) * self.time;
            (position * total - quota, total)
        } else {
            (position, 1)
        };
        clamped(lead.saturating_mul(1_000_000) / (unit * i128::from(ELECTION)))
    }

    /// Returns after how many elections a member would be too far behind its quota; `None`
    /// if it is too far ahead to be elected now.
    pub(super) fn deadline(&self, member: MemberId) -> Option<f64> {
        let entry = self.entry(self.slot_of(member)?);
        if !entry.place.takes_part() || !self.can_be_elected(entry) {
            return None;
        }
        let share = f64::from(entry.weight) / self.total as f64;
        let deadline = self.heaps.bound.deadline_in_elections(entry.position) / share;
        Some(deadline - self.time as f64 / ELECTION as f64)
    }

    /// Returns the member that would be picked. It parks full members, as the pick does.
    pub(super) fn peek(&mut self, candidates: &Candidates<'_>) -> Option<MemberId> {
        for &tried in candidates.tried() {
            if let Some(slot) = self.slot_of(tried) {
                self.skip_slot(slot);
            }
        }
        let first = loop {
            let Some(slot) = self.first_slot() else {
                break None;
            };
            let member = self.entry(slot).member;
            let one = member.and_then(|member| candidates.get(member));
            match one.as_ref().map(Candidate::has_room) {
                Some(true) => break member,
                Some(false) => self.park_slot(slot),
                None => self.skip_slot(slot),
            }
        };
        self.restore_skipped();
        first
    }

    /// Returns a copy that follows these candidates: a change may be due, or their ranks are
    /// reversed, to detect a tie. O(n), and allocates.
    pub(super) fn copy_for(&self, candidates: &Candidates<'_>) -> Self {
        let mut copy = self.clone();
        copy.follow_candidates(candidates);
        copy
    }

    /// Applies a change that is due.
    fn follow_candidates(&mut self, candidates: &Candidates<'_>) {
        for at in 0..self.entries.len() {
            let former = self.entries[at]
                .member
                .filter(|&one| !candidates.contains(one));
            former.into_iter().for_each(|member| self.leave(member));
        }
        for one in candidates.all() {
            self.put(one.id(), one.weight().units(), one.rank());
        }
        self.arrange();
    }

    #[inline]
    fn entry(&self, slot: u32) -> &TurnEntry {
        &self.entries[slot as usize]
    }

    #[inline]
    fn entry_mut(&mut self, slot: u32) -> &mut TurnEntry {
        &mut self.entries[slot as usize]
    }

    /// Returns the slot of a member of the group.
    #[inline]
    fn slot_of(&self, member: MemberId) -> Option<u32> {
        let entry = self.entries.get(member.slot())?;
        let here = entry.member == Some(member) && entry.place != TurnPlace::Absent;
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        here.then_some(member.slot() as u32)
    }

    fn takes_part(&self, slot: u32) -> bool {
        self.entry(slot).place.takes_part()
    }

    fn can_be_elected(&self, entry: &TurnEntry) -> bool {
        let (weight, position) = (entry.weight, entry.position);
        self.releases().can_be_elected(weight, position)
    }

    fn releases(&self) -> Releases {
        Releases {
            bound: self.heaps.bound,
            time: self.time,
            total: self.total,
        }
    }

    /// Returns the quota of a weight up to now, rounded down.
    fn quota(&self, weight: u32) -> i64 {
        let product = i128::from(weight) * self.time;
        let quota = product.div_euclid(i128::from(self.total.max(1)));
        i64::try_from(quota).unwrap_or(i64::MAX)
    }

    /// Adds a member, or gives it another weight; [`arrange`](Self::arrange) must follow.
    fn put(&mut self, member: MemberId, weight: u32, rank: u64) {
        let Some(slot) = self.slot_of(member) else {
            return self.join(member, weight, rank);
        };
        let entry = self.entry(slot);
        let (old, takes_part) = (entry.weight, entry.place.takes_part());
        if takes_part {
            // By as much as its quota, so that no lead changes.
            let by = self.quota(weight) - self.quota(old);
            self.entry_mut(slot).position += by;
            self.time += i128::from(by);
            self.total += i64::from(weight) - i64::from(old);
        }
        let entry = self.entry_mut(slot);
        (entry.weight, entry.rank) = (weight, rank);
    }

    fn join(&mut self, member: MemberId, weight: u32, rank: u64) {
        grow(&mut self.entries, member.slot(), TurnEntry::EMPTY);
        let quota = self.quota(weight);
        let entry = &mut self.entries[member.slot()];
        if entry.member != Some(member) {
            *entry = TurnEntry::EMPTY;
            entry.member = Some(member);
        }
        (entry.weight, entry.rank) = (weight, rank);
        entry.place = TurnPlace::Queued;
        self.members += 1;
        self.enter(member.slot(), quota);
    }

    /// Lets a member take part with the lead that it left with.
    fn enter(&mut self, at: usize, quota: i64) {
        let entry = &mut self.entries[at];
        entry.position = entry.position.saturating_add(quota);
        self.time += i128::from(entry.position);
        self.total += i64::from(entry.weight);
    }

    /// Removes a member; [`arrange`](Self::arrange) must follow.
    fn leave(&mut self, member: MemberId) {
        let Some(slot) = self.slot_of(member) else {
            return;
        };
        if self.entry(slot).place == TurnPlace::Parked {
            self.parked -= 1;
        } else {
            self.withdraw(slot);
        }
        self.entry_mut(slot).place = TurnPlace::Absent;
        self.members -= 1;
    }

    /// Lets a member take part no more: it keeps its lead.
    fn withdraw(&mut self, slot: u32) {
        let entry = self.entry(slot);
        let (position, weight) = (entry.position, entry.weight);
        let quota = self.quota(weight);
        self.entry_mut(slot).position = position - quota;
        self.time -= i128::from(position);
        self.total -= i64::from(weight);
    }

    fn unpark(&mut self, slot: u32) {
        self.rejoin(slot);
        self.heaps.attach(slot, &mut self.entries);
    }

    /// Lets a parked member take part; [`arrange`](Self::arrange) must follow.
    fn rejoin(&mut self, slot: u32) {
        self.parked -= 1;
        let quota = self.quota(self.entry(slot).weight);
        self.enter(slot as usize, quota);
        self.entry_mut(slot).place = TurnPlace::Queued;
    }

    fn park_slot(&mut self, slot: u32) {
        self.heaps.detach(slot, &mut self.entries);
        self.withdraw(slot);
        self.entry_mut(slot).place = TurnPlace::Parked;
        self.parked += 1;
    }

    fn skip_slot(&mut self, slot: u32) {
        if self.heaps.detach(slot, &mut self.entries) {
            let after = std::mem::replace(&mut self.skipped, slot);
            let entry = self.entry_mut(slot);
            (entry.place, entry.after) = (TurnPlace::Skipped, after);
        }
    }

    /// Orders the heaps anew, for another number of members or other keys.
    fn arrange(&mut self) {
        self.heaps.arrange(self.members, &mut self.entries);
    }

    /// Returns the slot that is elected next. If all members are ahead of their quotas, which
    /// can be after a change or while others are left out, it is that of the first one whose
    /// turn may come.
    #[inline]
    fn first_slot(&mut self) -> Option<u32> {
        let releases = self.releases();
        self.heaps.first(releases)
    }

    /// Counts an election of a member that takes part.
    #[inline]
    fn count(&mut self, slot: u32) {
        self.move_by(slot, ELECTION);
        if self.time >= i128::from(REBASE_AFTER) * i128::from(self.total) * i128::from(ELECTION) {
            self.rebase();
        }
    }

    /// Moves a member that takes part, and the time with it.
    fn move_by(&mut self, slot: u32, by: i64) {
        self.time += i128::from(by);
        let attached = self.heaps.detach(slot, &mut self.entries);
        self.entry_mut(slot).position += by;
        if attached {
            self.heaps.attach(slot, &mut self.entries);
        }
    }

    /// Counts all positions from a later time: all keys become less by the same number, so
    /// that their order stays.
    #[cold]
    fn rebase(&mut self) {
        // Whole elections for each unit of weight: this is exact.
        let per_weight = (REBASE_AFTER - 1) * ELECTION;
        for entry in &mut self.entries {
            if entry.place.takes_part() {
                entry.position = rebased(entry.position, entry.weight, per_weight);
            }
        }
        self.heaps.rebase(per_weight);
        self.time -= i128::from(per_weight) * i128::from(self.total);
    }
}
