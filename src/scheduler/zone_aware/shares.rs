//! Which share of a zone's requests stays in the zone, and where the others go: plain
//! arithmetic.
//!
//! Not here: where capacities and callers are known from (`group_zones.rs`, `mod.rs`).

/// One zone in comparison with others.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct ZoneLoad {
    /// The effective weight of its eligible members, in units.
    pub(super) capacity: u64,
    /// Its callers, as a part of all.
    pub(super) callers: u64,
}

/// The sums over all zones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct ZoneSums(pub(super) ZoneLoad);

impl ZoneSums {
    /// Returns the zone's share of the capacity and its share of the callers, as fractions
    /// with the same denominator.
    fn shares(self, zone: ZoneLoad) -> (u128, u128) {
        let Self(all) = self;
        let capacity = u128::from(zone.capacity) * u128::from(all.callers);
        let callers = u128::from(zone.callers) * u128::from(all.capacity);
        (capacity, callers)
    }

    /// Returns whether all requests of a zone's callers stay there: its capacity is
    /// sufficient.
    pub(super) fn keeps_all(self, own: ZoneLoad) -> bool {
        let (capacity, callers) = self.shares(own);
        own.capacity > 0 && capacity >= callers
    }

    /// Returns whether a request stays in its zone, for a random number: with the chance
    /// `capacity / callers`, both as shares.
    pub(super) fn keeps(self, own: ZoneLoad, draw: u64) -> bool {
        let (capacity, callers) = self.shares(own);
        let excess = bits_above_63(callers);
        let (capacity, callers) = (capacity >> excess, callers >> excess);
        u128::from(draw) * callers < capacity << 64
    }

    /// Returns the part of a zone's capacity that its own callers leave.
    pub(super) fn spare(self, zone: ZoneLoad) -> u128 {
        let (capacity, callers) = self.shares(zone);
        capacity.saturating_sub(callers)
    }

    /// Returns the percentage of a zone's requests that stay, for an explanation.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub(super) fn percent_kept(self, own: ZoneLoad) -> f64 {
        let (capacity, callers) = self.shares(own);
        if self.keeps_all(own) {
            return 100.0;
        }
        100.0 * capacity as f64 / callers.max(1) as f64
    }
}

/// Returns the index that a random number chooses, each with a chance in proportion to its
/// weight; `None` if all weights are zero.
pub(super) fn drawn_index(weights: impl Iterator<Item = u128> + Clone, draw: u64) -> Option<usize> {
    let total: u128 = weights.clone().sum();
    let excess = bits_above_63(total);
    let mut rest = (u128::from(draw) * (total >> excess)) >> 64;
    let mut last = None;
    for (at, weight) in weights.enumerate().filter(|&(_, weight)| weight > 0) {
        let weight = weight >> excess;
        if rest < weight {
            return Some(at);
        }
        rest -= weight;
        last = Some(at);
    }
    last
}

fn bits_above_63(number: u128) -> u32 {
    (128 - number.leading_zeros()).saturating_sub(63)
}

#[cfg(test)]
mod tests {
    use super::{ZoneLoad, ZoneSums, drawn_index};
    use crate::random::Random;

    fn sums(zones: &[(u64, u64)]) -> (ZoneSums, Vec<ZoneLoad>) {
        let load = |&(capacity, callers): &(u64, u64)| ZoneLoad { capacity, callers };
        let zones: Vec<ZoneLoad> = zones.iter().map(load).collect();
        let all = ZoneLoad {
            capacity: zones.iter().map(|it| it.capacity).sum(),
            callers: zones.iter().map(|it| it.callers).sum(),
        };
        (ZoneSums(all), zones)
    }

    #[test]
    fn each_zone_gets_its_share_of_the_capacity() {
        for zones in [
            vec![(1, 1), (1, 1), (1, 1)],
            vec![(10, 1), (20, 1), (30, 1)],
            vec![(0, 1), (5, 1), (7, 2)],
            vec![(100, 0), (1, 9), (50, 3), (3, 4)],
            vec![(u64::MAX >> 11, 1 << 30), (1 << 52, 1 << 33)],
        ] {
            let (sums, zones) = sums(&zones);
            let callers = sums.0.callers as f64;
            let mut got = vec![0.0; zones.len()];
            for (own, zone) in zones.iter().enumerate() {
                let demand = zone.callers as f64 / callers;
                let kept = demand * sums.percent_kept(*zone) / 100.0;
                got[own] += kept;
                let spare = |to: usize| {
                    if to == own {
                        0.0
                    } else {
                        sums.spare(zones[to]) as f64
                    }
                };
                let all: f64 = (0..zones.len()).map(spare).sum();
                for (to, got) in got.iter_mut().enumerate().filter(|_| all > 0.0) {
                    *got += (demand - kept) * spare(to) / all;
                }
            }
            for (zone, got) in zones.iter().zip(got) {
                let expected = zone.capacity as f64 / sums.0.capacity as f64;
                assert!(
                    (got - expected).abs() < 1e-9,
                    "{zones:?}: {got} of {expected}"
                );
            }
        }
    }

    #[test]
    fn draws_have_the_chances_of_the_shares() {
        let random = Random::seeded(1);
        for scale in [1, 1 << 20, 1 << 36] {
            let (sums, zones) = sums(&[(10 * scale, scale), (30 * scale, scale)]);
            assert!(!sums.keeps_all(zones[0]) && sums.keeps_all(zones[1]));
            let kept = (0..10_000).filter(|_| sums.keeps(zones[0], random.next_u64()));
            let kept = kept.count();
            assert!(kept.abs_diff(5_000) < 250, "{scale}: {kept}");
            let weights = [1, 0, 3].map(|weight| weight << (scale.ilog2() + 60));
            let mut counts = [0_usize; 3];
            for _ in 0..4_000 {
                counts[drawn_index(weights.into_iter(), random.next_u64()).unwrap()] += 1;
            }
            assert!(
                counts[0].abs_diff(1_000) < 150 && counts[1] == 0,
                "{counts:?}"
            );
        }
        assert_eq!(drawn_index([0, 0].into_iter(), 7), None);
        assert_eq!(drawn_index([0, 1].into_iter(), u64::MAX), Some(1));
    }

    #[test]
    fn a_zone_without_members_keeps_nothing() {
        let (sums, zones) = sums(&[(0, 1), (5, 1)]);
        assert!(!sums.keeps_all(zones[0]));
        assert!(!sums.keeps(zones[0], 0));
        let (sums, zones) = self::sums(&[(0, 0), (5, 1)]);
        assert!(!sums.keeps_all(zones[0]));
        assert!(!sums.keeps(zones[0], 0));
    }
}
