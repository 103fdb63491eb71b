//! The share of each member's weight that counts now: [`Factors`].
//!
//! Not here: the reason, which the publisher knows.

use super::Seat;
use crate::member::EffectiveWeight;

/// The sixteenths of a full weight.
pub(crate) const FULL_WEIGHT: u32 = 16;

/// By slot, in sixteenths; empty while all members are at their full weight, so that a
/// balancer without ramps pays one branch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Factors(Vec<u8>);

impl Factors {
    pub(crate) fn set(&mut self, slot: usize, sixteenths: u32) {
        let Some(missing) = u8::try_from(FULL_WEIGHT.saturating_sub(sixteenths)).ok() else {
            return;
        };
        if missing == 0 && self.0.len() <= slot {
            return;
        }
        if self.0.len() <= slot {
            self.0.resize(slot + 1, 0);
        }
        self.0[slot] = missing;
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn sixteenths(&self, slot: usize) -> u32 {
        let missing = self.0.get(slot).copied().unwrap_or(0);
        FULL_WEIGHT - u32::from(missing)
    }

    /// Returns the greatest share of some slots; the full one if there are none.
    pub(crate) fn greatest(&self, slots: &[u32]) -> u32 {
        if self.is_empty() {
            return FULL_WEIGHT;
        }
        let shares = slots.iter().map(|&slot| self.sixteenths(slot as usize));
        shares.max().unwrap_or(FULL_WEIGHT)
    }

    /// Returns the weight that counts.
    #[inline]
    pub(crate) fn weight(&self, seat: &Seat) -> EffectiveWeight {
        let full = EffectiveWeight::from(seat.spec.weight());
        if self.is_empty() {
            return full;
        }
        full.scaled(self.sixteenths(seat.slot()))
    }
}

#[cfg(test)]
mod tests {
    use super::{FULL_WEIGHT, Factors};

    #[test]
    fn members_without_a_factor_have_their_full_weight() {
        let mut factors = Factors::default();
        factors.set(70, FULL_WEIGHT);
        assert!(factors.is_empty());
        factors.set(3, 1);
        factors.set(2, FULL_WEIGHT);
        let all = [0, 2, 3, 4, 999].map(|slot| factors.sixteenths(slot));
        assert_eq!(all, [16, 16, 1, 16, 16]);
        factors.set(5, 4);
        assert_eq!(factors.greatest(&[3, 5]), 4);
        assert_eq!(factors.greatest(&[3, 4]), FULL_WEIGHT);
        assert_eq!(factors.greatest(&[]), FULL_WEIGHT);
    }
}
