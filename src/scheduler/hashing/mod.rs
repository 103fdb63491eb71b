//! Consistent hashing: a key stays with its member while other members join, leave and
//! fail.
//!
//! This file has what the hashing schedulers share; each scheduler has a file of its own.

mod bounded;
mod by_score;
mod hashed_member;
mod maglev;
mod modulo;
mod order;
mod rendezvous;
mod ring;
mod table;

use std::cmp::Ordering;

pub use bounded::{BoundedLoad, LoadBoundError};
pub use maglev::{Maglev, TableSizeError};
pub use modulo::Modulo;
pub use order::HashScheduler;
pub use rendezvous::Rendezvous;
pub use ring::{Ring, RingSizeError};

use super::{Candidate, Candidates, PickContext, PickDetails};
use crate::member::EffectiveWeight;
use crate::stable_hash::{hash_bytes, hash_bytes_128};

/// Hashes the name of a member; all processes know the member by its name.
fn hash_of(name: &str) -> u128 {
    hash_bytes_128(name.as_bytes())
}

/// Returns the index that wins a hash key, each with a chance in proportion to its weight;
/// `None` if all weights are zero. Each index has the hash of a name. If some weights change, no
/// key moves between two others whose weights have the same proportion as before.
pub(super) fn winner_of(key: u64, named: impl Iterator<Item = (u64, u128)>) -> Option<usize> {
    let weighted = named.enumerate().filter(|&(_, (_, weight))| weight > 0);
    #[expect(clippy::cast_precision_loss, reason = "rounded alike everywhere")]
    let scores = weighted.map(|(at, (name, weight))| {
        let hash = hash_pair(Purpose::Part, key, name);
        (Score(exponential(hash) / weight as f64), at)
    });
    let least = scores.min_by(|(one, _), (other, _)| one.cmp(*other));
    least.map(|(_, at)| at)
}

/// Returns the half of a name's hash that scores and thinning use.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn lower(hash: u128) -> u64 {
    hash as u64
}

/// Returns the request's hash key, or draws one.
#[inline]
fn key_of(context: &PickContext<'_>) -> u64 {
    let drawn = || context.random().next_u64();
    context.hash().unwrap_or_else(drawn)
}

/// Adds a remark if the request has no hash key.
fn noting_no_key(details: PickDetails, context: &PickContext<'_>) -> PickDetails {
    if context.hash().is_some() {
        return details;
    }
    details.note("the request has no hash key: the key is random")
}

/// Hashes two numbers. `Purpose` keeps hashes of the same numbers apart.
fn hash_pair(purpose: Purpose, key: u64, member: u64) -> u64 {
    let mut bytes = [0; 17];
    bytes[0] = purpose as u8;
    bytes[1..9].copy_from_slice(&key.to_le_bytes());
    bytes[9..].copy_from_slice(&member.to_le_bytes());
    hash_bytes(&bytes)
}

/// What a hash of a key and a member is used for.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Purpose {
    /// The order of members for a key.
    Score = 0,
    /// Whether a member keeps a key although it takes less than its full weight.
    Thinning = 1,
    /// The members that one of many clients uses.
    Subset = 2,
    /// The order of members for a key whose first members are at their bounds.
    Overflow = 3,
    /// The slots of a map that a key is passed on to.
    Slot = 4,
    /// The group of members, such as a zone, that a key goes to.
    Part = 5,
}

/// Returns whether a member keeps one of its own keys. At full weight it keeps all keys;
/// otherwise it keeps the share that its present weight is of the full one, in comparison with
/// the greatest such share in the group. So members that ramp up together keep all keys.
///
/// The keys kept at a greater weight include all keys kept at a smaller one.
#[inline]
fn keeps(candidates: &Candidates<'_>, one: &Candidate<'_>, key: u64, member: u64) -> bool {
    keeps_at(
        one.sixteenths(),
        candidates.greatest_sixteenths(),
        key,
        member,
    )
}

#[inline]
fn keeps_at(sixteenths: u32, greatest: u32, key: u64, member: u64) -> bool {
    if sixteenths >= greatest {
        return true;
    }
    let hash = hash_pair(Purpose::Thinning, key, member);
    // hash / 2^64 < sixteenths / greatest
    u128::from(hash) * u128::from(greatest) < u128::from(sixteenths) << 64
}

/// The score of a member for a key. The lowest score wins, with a chance in proportion to
/// the member's weight, and no member's score depends on another member.
///
/// Source: Thaler, Ravishankar: *Using name-based mappings to increase hit rates* (1998),
/// with weights after Schindelhauer, Schomaker: *Weighted distributed hash tables* (2005).
#[derive(Clone, Copy, Debug)]
struct Score(f64);

impl Score {
    fn new(key: u64, member: u64, weight: EffectiveWeight) -> Self {
        let hash = hash_pair(Purpose::Score, key, member);
        Self(exponential(hash) / f64::from(weight.units()))
    }

    /// Returns the score, unless it is certain to be greater than `limit`: then it is not
    /// worth a logarithm.
    fn within(limit: Option<Self>, key: u64, member: u64, weight: EffectiveWeight) -> Option<Self> {
        let hash = hash_pair(Purpose::Score, key, member);
        let units = f64::from(weight.units());
        if limit.is_some_and(|limit| least_exponential(hash) > limit.0 * units) {
            return None;
        }
        Some(Self(exponential(hash) / units))
    }

    fn cmp(self, other: Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }

    /// Returns the score for a weight of 1 instead of one unit.
    fn per_weight(self) -> f64 {
        self.0 * f64::from(100 * EffectiveWeight::UNITS_PER_HUNDREDTH)
    }
}

/// Returns a number that [`exponential`] of the same hash exceeds, at the cost of a few
/// products: `-ln(u) >= (1 - u) + (1 - u)^2 / 2`.
fn least_exponential(hash: u64) -> f64 {
    /// More than the error of the series.
    const MARGIN: f64 = 1e-7;
    #[expect(clippy::cast_precision_loss, reason = "52 bits")]
    let rest = (!hash >> 12) as f64 / (1_u64 << 52) as f64;
    rest + rest * rest / 2.0 - MARGIN
}

/// Returns `-ln(u)`, where `u` is the number in (0, 1) that a hash represents.
///
/// It uses only sums, products and quotients, whose results IEEE 754 defines exactly;
/// `f64::ln` may differ between platforms.
fn exponential(hash: u64) -> f64 {
    /// The numbers 1/3, 1/5, … of the series of `atanh`.
    const SERIES: [f64; 7] = [
        1.0 / 15.0,
        1.0 / 13.0,
        1.0 / 11.0,
        1.0 / 9.0,
        1.0 / 7.0,
        1.0 / 5.0,
        1.0 / 3.0,
    ];
    // An odd number of 53 bits: twice the upper 52 bits of the hash, and one.
    let odd = (hash >> 12) << 1 | 1;
    let shift = odd.leading_zeros();
    // u = mantissa / 2^(shift - 10), with a mantissa from 1 to 2.
    #[expect(clippy::cast_precision_loss, reason = "53 bits at most, which it has")]
    let mantissa = ((odd << shift) >> 11) as f64 / (1_u64 << 52) as f64;
    let halvings = f64::from(shift - 10);
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let sum = SERIES
        .iter()
        .fold(0.0, |sum, factor| (sum + factor) * square);
    let logarithm = 2.0 * ratio * (1.0 + sum);
    halvings * std::f64::consts::LN_2 - logarithm
}

#[cfg(test)]
mod tests {
    use super::{Score, exponential, keeps_at, least_exponential, winner_of};
    use crate::member::{EffectiveWeight, Weight};
    use crate::stable_hash::hash_bytes;

    fn hashes() -> impl Iterator<Item = u64> {
        (0_u64..20_000).map(|number| hash_bytes(&number.to_le_bytes()))
    }

    #[test]
    fn the_logarithm_is_that_of_the_standard_library() {
        for hash in hashes().chain([0, 1, 1 << 11, u64::MAX, 1 << 63, (1 << 63) - 1]) {
            let unit = ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
            let (ours, theirs) = (exponential(hash), -unit.ln());
            assert!((ours - theirs).abs() < 1e-8, "{hash:#x}: {ours} {theirs}");
            assert!(ours > 0.0, "{hash:#x}");
        }
    }

    #[test]
    fn a_score_is_left_out_only_if_it_is_greater_than_the_limit() {
        let weight = EffectiveWeight::from(Weight::ONE);
        for hash in hashes().chain([0, 1, 1 << 11, u64::MAX, 1 << 63, (1 << 63) - 1]) {
            assert!(least_exponential(hash) < exponential(hash), "{hash:#x}");
        }
        let mut left_out = 0;
        for key in hashes().take(2_000) {
            let limit = Score::new(key, 1, weight);
            let score = Score::new(key, 2, weight);
            match Score::within(Some(limit), key, 2, weight) {
                Some(within) => assert!(within.cmp(score).is_eq()),
                None => {
                    assert!(score.cmp(limit).is_gt());
                    left_out += 1;
                }
            }
        }
        assert!(left_out > 500, "{left_out}");
    }

    #[test]
    fn a_member_keeps_the_share_of_its_keys_that_it_has_of_its_weight() {
        for (sixteenths, greatest) in (1..=16).map(|part| (part, 16)).chain([(1, 2), (3, 4)]) {
            let kept = hashes().filter(|&key| keeps_at(sixteenths, greatest, key, 7));
            let kept = kept.count();
            let expected = 20_000 * sixteenths as usize / greatest as usize;
            assert!(
                kept.abs_diff(expected) < 400,
                "{sixteenths}/{greatest}: {kept}"
            );
        }
    }

    #[test]
    fn the_keys_of_a_member_only_grow_in_number_as_its_weight_does() {
        for key in hashes().take(2_000) {
            let keeps: Vec<bool> = (1..=16)
                .map(|sixteenths| keeps_at(sixteenths, 16, key, 7))
                .collect();
            assert!(keeps.is_sorted(), "{keeps:?}");
            assert!(keeps[15]);
        }
    }

    #[test]
    fn groups_win_keys_in_proportion_to_weight() {
        let weights = [1_u128 << 90, 0, 3 << 90];
        let named = || (7_u64..).zip(weights);
        let mut wins = [0_usize; 3];
        for key in hashes() {
            wins[winner_of(key, named()).unwrap()] += 1;
        }
        assert!(wins[0].abs_diff(5_000) < 250 && wins[1] == 0, "{wins:?}");
        assert_eq!(winner_of(7, [(1, 0), (2, 0)].into_iter()), None);
    }

    #[test]
    fn scores_pick_in_proportion_to_weight() {
        let weights = [1, 2, 5].map(|weight| EffectiveWeight::from(Weight::new(weight).unwrap()));
        let mut wins = [0_usize; 3];
        for key in hashes() {
            let best = (0..3).min_by(|&a, &b| {
                let score = |at: usize| Score::new(key, at as u64, weights[at]);
                score(a).cmp(score(b))
            });
            wins[best.unwrap()] += 1;
        }
        for (at, expected) in [2_500, 5_000, 12_500_usize].into_iter().enumerate() {
            assert!(wins[at].abs_diff(expected) < 300, "{wins:?}");
        }
    }
}
