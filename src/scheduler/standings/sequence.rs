//! The ranking as an order that does not depend on what becomes of the requests: elections
//! that can be made ahead, and undone.

use super::class::{ClassFront, ClassPosition, NONE};
use super::{Classes, Standings};
use crate::scheduler::ahead::Sequence;

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

    fn undo(&mut self, slot: u32) {
        self.tick -= 1;
        let node = self.nodes.get_mut(slot);
        let base = node.base + self.total;
        if node.place.is_attached() {
            self.move_to(slot, base, 0);
        } else {
            // It has left, or is at its cap, since it was elected.
            node.base = base;
        }
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
