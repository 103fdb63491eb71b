//! The order as one that can be elected ahead, and from which members are skipped and
//! parked.

use super::TurnOrder;
use super::heaps::{ELECTION, NONE, TurnPlace, clamped};
use crate::member::MemberId;
use crate::scheduler::ahead::Sequence;
use crate::scheduler::ranking::Ranking;
use crate::scheduler::{Candidates, Claim};

/// With more members, no round is short enough to be repeated.
const MOST_FOR_ROUND: usize = 256;

impl Sequence for TurnOrder {
    #[inline]
    fn elect(&mut self) -> Option<u32> {
        let slot = self.first_slot()?;
        self.count(slot);
        Some(slot)
    }

    fn undo(&mut self, slot: u32) {
        if self.takes_part(slot) {
            self.move_by(slot, -ELECTION);
            return;
        }
        // It is at its cap since it was elected: its quota then was greater by its share.
        let total = self.total;
        let entry = self.entry_mut(slot);
        let weight = i64::from(entry.weight);
        let share = i128::from(weight) * i128::from(ELECTION) / i128::from((total + weight).max(1));
        entry.position -= ELECTION - clamped(share);
    }

    fn session_pick(&mut self, slot: u32) {
        let place = self.entries.get(slot as usize).map(|entry| entry.place);
        match place {
            None | Some(TurnPlace::Absent) => return,
            Some(TurnPlace::Parked) => self.unpark(slot),
            Some(TurnPlace::Queued | TurnPlace::Skipped | TurnPlace::Stray) => {}
        }
        self.count(slot);
    }

    fn slots(&self) -> usize {
        self.entries.len()
    }

    fn round(&self) -> Option<usize> {
        if self.members > MOST_FOR_ROUND {
            return None;
        }
        let taking_part = self.entries.iter().filter(|entry| entry.place.takes_part());
        let divisor = taking_part.fold(0, |divisor, entry| {
            let (mut a, mut b) = (divisor, entry.weight);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        });
        let length = self.total.checked_div(divisor.into())?;
        usize::try_from(length).ok()
    }

    /// Each member was elected in proportion to its weight: so its lead is as before.
    fn is_round(&mut self, slots: &[u32]) -> bool {
        for &slot in slots {
            self.entry_mut(slot).elected += 1;
        }
        let count = i64::try_from(slots.len()).unwrap_or(i64::MAX);
        let whole = slots.iter().all(|&slot| {
            let entry = self.entry(slot);
            let elected = i128::from(entry.elected) * i128::from(self.total);
            elected == i128::from(entry.weight) * i128::from(count)
        });
        for &slot in slots {
            self.entry_mut(slot).elected = 0;
        }
        whole
    }
}

impl Ranking for TurnOrder {
    fn generation(&self) -> u64 {
        self.generation
    }

    #[inline]
    fn slot(&self, member: MemberId) -> Option<u32> {
        self.slot_of(member)
    }

    #[inline]
    fn first(&mut self, _: &Candidates<'_>) -> Option<(u32, MemberId)> {
        let slot = self.first_slot()?;
        Some((slot, self.entry(slot).member?))
    }

    #[inline]
    fn picked(&mut self, slot: u32, _: &Claim<'_>, _: &Candidates<'_>) {
        self.count(slot);
    }

    fn skip(&mut self, slot: u32) {
        self.skip_slot(slot);
    }

    #[inline]
    fn restore_skipped(&mut self) {
        while self.skipped != NONE {
            let slot = self.skipped;
            self.skipped = self.entry(slot).after;
            self.heaps.attach(slot, &mut self.entries);
        }
    }

    fn park(&mut self, slot: u32) {
        self.park_slot(slot);
    }

    fn parked(&self) -> usize {
        self.parked
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.entry(slot).place == TurnPlace::Parked
    }
}
