//! The ranking as an order that does not depend on what becomes of the requests: elections
//! that can be made ahead, and undone.

use super::class::{ClassFront, ClassLoad, ClassPosition, NONE};
use super::recent::RECENT;
use super::{Classes, Standings};
use crate::member::MemberId;
use crate::scheduler::ahead::Sequence;
use crate::scheduler::ranking::Ranking;
use crate::scheduler::{Candidates, Claim, ClaimError};

/// A pick may read the loads of so few members again. Those of more are noted also while
/// turns are made: then none of them was picked only just now.
const FEW_LOADS: usize = 2 * RECENT;

impl Sequence for Standings {
    #[inline]
    fn elect(&mut self) -> Option<u32> {
        let slot = self.classes.first(self.tick + 1);
        if slot == NONE {
            return None;
        }
        self.count_pick(slot);
        Some(slot)
    }

    /// The turn of the first member that is idle is known as long as it is idle: no other
    /// idle member has a higher standing.
    #[inline]
    fn elect_ahead(&mut self, candidates: &Candidates<'_>) -> Option<u32> {
        if self.load == ClassLoad::Ignored {
            return self.elect();
        }
        let slot = self.classes.first(self.tick + 1);
        if slot == NONE || self.nodes.get(slot).load > 0 {
            return None;
        }
        self.lowest_turn = self.lowest_turn.min(self.next_standing(slot));
        if self.members > FEW_LOADS {
            self.count_recent_pick(slot, candidates);
        } else {
            self.count_pick(slot);
        }
        Some(slot)
    }

    #[inline]
    fn claim<'c>(&self, candidates: &Candidates<'c>, slot: u32) -> Result<Claim<'c>, ClaimError> {
        match self.load {
            ClassLoad::Ignored => candidates.claim_slot(slot),
            ClassLoad::PerWeight | ClassLoad::Plain => candidates.claim_idle(slot),
        }
    }

    fn undo(&mut self, slot: u32) {
        self.tick -= 1;
        let node = self.nodes.get_mut(slot);
        let (base, load) = (node.base + self.total, node.load);
        if node.place.is_attached() {
            self.move_to(slot, base, load);
        } else {
            // It has left, or is at its cap, since it was elected.
            node.base = base;
        }
    }

    fn on_withdrawn(&mut self) {
        self.lowest_turn = i64::MAX;
    }

    fn session_pick(&mut self, slot: u32) {
        let node = self.nodes.0.get(slot as usize);
        if node.is_some_and(|node| node.place != ClassPosition::Absent) {
            self.unpark(slot);
            self.count_pick(slot);
        }
    }

    fn slots(&self) -> usize {
        self.nodes.0.len()
    }

    fn round(&self) -> Option<usize> {
        if self.load != ClassLoad::Ignored {
            return None;
        }
        let divisor = self.classes.divisor()?;
        usize::try_from(self.total / i64::from(divisor)).ok()
    }

    /// Each member was elected in proportion to its weight: so it has paid what it gained.
    fn is_round(&mut self, slots: &[u32]) -> bool {
        for &slot in slots {
            self.nodes.get_mut(slot).elected += 1;
        }
        let count = i64::try_from(slots.len()).unwrap_or(i64::MAX);
        let whole = slots.iter().all(|&slot| {
            let node = self.nodes.get(slot);
            i64::from(node.elected) * self.total == self.classes.weight(node.class) * count
        });
        for &slot in slots {
            self.nodes.get_mut(slot).elected = 0;
        }
        whole
    }
}

impl Standings {
    /// Returns the standing of an attached slot at the next election.
    #[inline]
    fn next_standing(&self, slot: u32) -> i64 {
        let node = self.nodes.get(slot);
        node.base + self.classes.weight(node.class) * (self.tick + 1)
    }

    /// Returns whether the turns that were made stay as they are if a request of the member
    /// ends: even if it is idle then, all of them go before it.
    pub(super) fn is_behind_turns(&self, member: MemberId) -> bool {
        self.slot(member).is_none_or(|slot| {
            let is_attached = self.nodes.get(slot).place.is_attached();
            is_attached && self.next_standing(slot) < self.lowest_turn
        })
    }
}

impl Classes {
    /// Returns the greatest common divisor of the weights that count, if there are few.
    fn divisor(&self) -> Option<u32> {
        let counts = |front: &&ClassFront| front.slot != NONE;
        let fronts = self.fronts.iter().filter(counts);
        let divisor = fronts.fold(0, |divisor, front| {
            let (mut a, mut b) = (divisor, front.line.weight);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        });
        (self.tournament.is_none() && divisor > 0).then_some(divisor)
    }
}
