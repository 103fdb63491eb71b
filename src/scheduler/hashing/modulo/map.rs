//! HAProxy's map of the usable members: [`ModuloMap`].
//!
//! Found out from a running HAProxy 2.6; a test compares picks with one.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::member::MemberId;
use crate::scheduler::GroupChange;
use crate::scheduler::hashing::by_score::MemberHashes;
use crate::scheduler::hashing::hashed_member::HashedMember;
use crate::scheduler::hashing::{Purpose, hash_pair};

/// A map has at most this number of slots, unless there are more members.
const MOST_SLOTS: u64 = 1 << 16;

/// The number of further slots that a key is passed on to.
const FURTHER: u64 = 64;

/// The owner of each slot of a map.
#[derive(Debug, Default)]
pub(super) struct ModuloMap {
    /// The slot, among the balancer's members, of the owner of each slot of the map.
    owners: Box<[u32]>,
    members: MemberHashes,
    /// The members and their weights that the map was made from.
    made_from: Vec<(MemberId, u32)>,
}

impl ModuloMap {
    /// Makes the map of the eligible members; `None` if that would be the same as `self`.
    pub(super) fn after(&self, group: &GroupChange<'_>) -> Option<Self> {
        let members = || {
            group.iter().map(|one| {
                let weight = one.spec().weight();
                (one.id(), weight.hundredths())
            })
        };
        if members().eq(self.made_from.iter().copied()) {
            return None;
        }
        let made_from: Vec<_> = members().collect();
        let weights: Vec<u32> = made_from.iter().map(|&(_, weight)| weight).collect();
        let hashed = group
            .iter()
            .map(|one| HashedMember::new(one.id(), one.state().name()));
        let owners = filled(&reduced(&weights)).into_iter();
        let owners = owners.map(|owner| index_of(made_from[owner as usize].0));
        Some(Self {
            owners: owners.collect(),
            members: MemberHashes::of(hashed),
            made_from,
        })
    }

    /// Returns the number of slots.
    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }

    /// Returns the hashes of the members' names.
    pub(super) fn hashes(&self) -> &MemberHashes {
        &self.members
    }

    /// Returns the slot of a key; `None` if there are no slots.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than the number of slots"
    )]
    pub(super) fn slot(&self, key: u64) -> Option<usize> {
        let slot = key.checked_rem(self.len() as u64)?;
        Some(slot as usize)
    }

    /// Iterates over the member that owns a key, and the owners of the slots that it is passed
    /// on to: those of hashes of the key.
    #[inline]
    pub(super) fn walk(&self, key: u64) -> impl Iterator<Item = HashedMember> {
        let further = (0..FURTHER).map(move |number| hash_pair(Purpose::Slot, key, number));
        let hashes = std::iter::once(key).chain(further);
        hashes.filter_map(|hash| self.members.at(self.owners[self.slot(hash)?] as usize))
    }
}

/// Returns a member's slot in the balancer.
#[expect(clippy::cast_possible_truncation, reason = "slots have 26 bits")]
fn index_of(member: MemberId) -> u32 {
    member.slot() as u32
}

/// Divides weights by their greatest common divisor. If they are still too large in total,
/// they are rounded down, but to 1 at least.
fn reduced(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor);
    let reduced = || weights.iter().map(|&weight| weight / divisor.max(1));
    let total: u64 = reduced().map(u64::from).sum();
    if total <= MOST_SLOTS {
        return reduced().collect();
    }
    let rounded = reduced().map(|weight| u64::from(weight) * MOST_SLOTS / total);
    let rounded = rounded.map(|weight| u32::try_from(weight).unwrap_or(u32::MAX).max(1));
    rounded.collect()
}

fn greatest_common_divisor(mut one: u32, mut other: u32) -> u32 {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Returns the owner of each slot, one slot for each unit of weight.
///
/// In the `k` first slots, a member is due `k · weight / total` slots, rounded down. Each
/// slot goes to the member that lacks most of the slots due to it, and of several to the
/// first one.
fn filled(weights: &[u32]) -> Vec<u32> {
    if weights.iter().all(|&weight| weight == 1) {
        return (0..).zip(weights).map(|(owner, _)| owner).collect();
    }
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    // The members by the number of slots that they lack.
    let mut lacking = BTreeSet::new();
    let mut lacks = vec![0_i64; weights.len()];
    // When a member is due its next slot.
    let mut due = BinaryHeap::new();
    for (owner, &weight) in (0_u32..).zip(weights) {
        lacking.insert((Reverse(0_i64), owner));
        due.push(Reverse((total.div_ceil(u64::from(weight)), owner, 1_u64)));
    }
    let mut change = |lacking: &mut BTreeSet<_>, owner: u32, by: i64| {
        let lack = &mut lacks[owner as usize];
        lacking.remove(&(Reverse(*lack), owner));
        *lack += by;
        lacking.insert((Reverse(*lack), owner));
    };
    let mut slots = Vec::new();
    for count in 1..=total {
        while let Some(&Reverse((at, owner, number))) = due.peek() {
            if at > count {
                break;
            }
            due.pop();
            change(&mut lacking, owner, 1);
            let weight = u64::from(weights[owner as usize]);
            let next = ((number + 1) * total).div_ceil(weight);
            due.push(Reverse((next, owner, number + 1)));
        }
        let Some(&(_, owner)) = lacking.first() else {
            break;
        };
        change(&mut lacking, owner, -1);
        slots.push(owner);
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::{filled, reduced};
    use proptest::prelude::*;

    /// The rule step by step: for each slot, each member gains its weight, and the one that gets
    /// the slot loses the total.
    fn filled_plainly(weights: &[u32]) -> Vec<u32> {
        let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut scores = vec![0_i64; weights.len()];
        let slot = |_| {
            for (score, &weight) in scores.iter_mut().zip(weights) {
                *score += i64::from(weight);
            }
            let class = |owner: usize| scores[owner].div_euclid(total);
            let best = (0..weights.len()).rev().max_by_key(|&owner| class(owner));
            let best = best.unwrap();
            scores[best] -= total;
            u32::try_from(best).unwrap()
        };
        (0..total).map(slot).collect()
    }

    proptest! {
        #[test]
        fn a_map_is_the_one_that_is_filled_step_by_step(
            weights in prop::collection::vec(1_u32..40, 1..12),
        ) {
            let slots = filled(&weights);
            prop_assert_eq!(&slots, &filled_plainly(&weights));
            for (owner, &weight) in (0..).zip(&weights) {
                let count = slots.iter().filter(|&&one| one == owner).count();
                prop_assert_eq!(count, weight as usize);
            }
        }

        #[test]
        fn a_common_divisor_changes_no_pick(
            weights in prop::collection::vec(1_u32..12, 1..8),
            factor in 2_u32..5,
        ) {
            let multiplied: Vec<u32> = weights.iter().map(|weight| weight * factor).collect();
            let (one, other) = (filled(&weights), filled(&multiplied));
            prop_assert_eq!(one.repeat(factor as usize), other);
        }
    }

    #[test]
    fn weights_are_as_small_as_they_can_be() {
        assert_eq!(reduced(&[100, 300, 200]), [1, 3, 2]);
        assert_eq!(reduced(&[150, 100]), [3, 2]);
        assert!(reduced(&[]).is_empty());
        assert_eq!(reduced(&[6_553_500, 6_553_499, 1]), [32_768, 32_767, 1]);
        assert_eq!(reduced(&vec![7; 100_000]), vec![1; 100_000]);
    }

    #[test]
    fn equal_members_have_one_slot_each_in_their_order() {
        assert_eq!(filled(&[1; 5]), [0, 1, 2, 3, 4]);
        assert_eq!(filled(&[2, 1]), [0, 0, 1]);
        assert!(filled(&[]).is_empty());
    }
}
