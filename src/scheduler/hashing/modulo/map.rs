//! HAProxy's map of the usable members: [`ModuloMap`].
//!
//! Found out from a running HAProxy 2.6; a test compares picks with one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::member::MemberId;
use crate::scheduler::GroupChange;
use crate::scheduler::hashing::by_score::MemberHashes;
use crate::scheduler::hashing::hashed_member::HashedMember;
use crate::scheduler::hashing::{Purpose, hash_pair};

/// A map has at most this number of slots, unless there are more members.
const MOST_SLOTS: u64 = 1 << 16;

/// If weights are not those of HAProxy, a map has at most this number of slots for each member,
const EACH: u64 = 64;

/// or this number in total, if that is more.
const LEAST_SLOTS: u64 = 1 << 14;

/// The greatest weight of HAProxy, in hundredths.
const GREATEST: u32 = 25_600;

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
fn reduced(hundredths: &[u32]) -> Vec<u32> {
    let divisor = hundredths.iter().copied().fold(0, greatest_common_divisor);
    let reduced = || hundredths.iter().map(|&weight| weight / divisor.max(1));
    let total: u64 = reduced().map(u64::from).sum();
    let most = most_slots(hundredths);
    if total <= most {
        return reduced().collect();
    }
    let rounded = |scale: u64| {
        let rounded = reduced().map(move |weight| u64::from(weight) * scale / total);
        rounded.map(|weight| weight.max(1))
    };
    // The greatest scale at which the slots are not too many.
    let (mut fits, mut exceeds) = (0, most + 1);
    while exceeds - fits > 1 {
        let scale = fits.midpoint(exceeds);
        if rounded(scale).sum::<u64>() <= most {
            fits = scale;
        } else {
            exceeds = scale;
        }
    }
    let rounded = rounded(fits).map(|weight| u32::try_from(weight).unwrap_or(u32::MAX));
    rounded.collect()
}

/// Returns the greatest number of slots of a map of these weights.
fn most_slots(hundredths: &[u32]) -> u64 {
    let is_haproxys = |&weight: &u32| weight % 100 == 0 && weight <= GREATEST;
    let members = hundredths.len() as u64;
    let most = if hundredths.iter().all(is_haproxys) {
        MOST_SLOTS
    } else {
        (EACH * members).clamp(LEAST_SLOTS, MOST_SLOTS)
    };
    most.max(members)
}

pub(super) fn greatest_common_divisor(mut one: u32, mut other: u32) -> u32 {
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
    let mut lacks = Lacks::new(weights.len());
    // The owners that are due their next slot at each count.
    let mut due = DueLists::new(total, weights.len());
    let mut numbers = vec![1_u64; weights.len()];
    let at = |owner: u32, number: u64| {
        let weight = u64::from(weights[owner as usize]);
        (number * total).div_ceil(weight)
    };
    for (owner, _) in (0..).zip(weights) {
        due.add(at(owner, 1), owner);
    }
    let mut slots = Vec::new();
    for count in 1..=total {
        while let Some(owner) = due.take(count) {
            lacks.add_one(owner);
            let number = &mut numbers[owner as usize];
            *number += 1;
            due.add(at(owner, *number), owner);
        }
        let Some(owner) = lacks.most() else {
            break;
        };
        lacks.take_one(owner);
        slots.push(owner);
    }
    slots
}

/// For each count of slots, a list of owners; an owner is in one list at most.
struct DueLists {
    /// The first owner of each list.
    firsts: Vec<Option<u32>>,
    /// The owner after each owner.
    nexts: Vec<Option<u32>>,
}

impl DueLists {
    fn new(total: u64, owners: usize) -> Self {
        let lists = usize::try_from(total).unwrap_or(0) + 1;
        Self {
            firsts: vec![None; lists],
            nexts: vec![None; owners],
        }
    }

    /// Adds an owner, unless the map has no more slots by then.
    fn add(&mut self, count: u64, owner: u32) {
        let list = usize::try_from(count).ok();
        if let Some(first) = list.and_then(|list| self.firsts.get_mut(list)) {
            self.nexts[owner as usize] = first.replace(owner);
        }
    }

    fn take(&mut self, count: u64) -> Option<u32> {
        let first = self.firsts.get_mut(usize::try_from(count).ok()?)?;
        let owner = first.take()?;
        *first = self.nexts[owner as usize].take();
        Some(owner)
    }
}

/// The owners by the number of slots that they lack. The numbers here are one too great, because
/// an owner may have one slot more than is due to it.
struct Lacks {
    by_owner: Vec<usize>,
    /// For each number, the owners that have or had it, least first. Those with a slot more than
    /// is due to them are left out: there are always others.
    by_number: Vec<BinaryHeap<Reverse<u32>>>,
}

impl Lacks {
    /// Creates `owners` owners that lack nothing.
    fn new(owners: usize) -> Self {
        let all = (0..).take(owners).map(Reverse).collect();
        Self {
            by_owner: vec![1; owners],
            by_number: vec![BinaryHeap::new(), all],
        }
    }

    fn add_one(&mut self, owner: u32) {
        self.set(owner, self.by_owner[owner as usize] + 1);
    }

    fn take_one(&mut self, owner: u32) {
        self.set(owner, self.by_owner[owner as usize].saturating_sub(1));
    }

    fn set(&mut self, owner: u32, number: usize) {
        self.by_owner[owner as usize] = number;
        if self.by_number.len() <= number {
            self.by_number.resize_with(number + 1, BinaryHeap::new);
        }
        if number > 0 {
            self.by_number[number].push(Reverse(owner));
        }
    }

    /// Returns the owner that lacks most, and the first of several.
    fn most(&mut self) -> Option<u32> {
        for (number, heap) in self.by_number.iter_mut().enumerate().rev() {
            while let Some(&Reverse(owner)) = heap.peek() {
                if self.by_owner[owner as usize] == number {
                    return Some(owner);
                }
                heap.pop();
            }
        }
        None
    }
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
            weights in prop_oneof![
                prop::collection::vec(1_u32..40, 1..12),
                prop::collection::vec(prop_oneof![1_u32..3, 200_u32..300], 1..40),
            ],
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
        assert_eq!(reduced(&vec![7; 100_000]), vec![1; 100_000]);
    }

    #[test]
    fn weights_that_are_too_large_are_rounded_so_that_a_map_has_no_more_slots_than_documented() {
        assert_eq!(reduced(&[6_553_500, 6_553_499, 1]), [8_192, 8_191, 1]);
        for (weights, most) in [
            (vec![25_600, 25_500, 100], 512),
            (
                vec![25_600; 300].into_iter().chain([25_500]).collect(),
                1 << 16,
            ),
            (
                vec![100; 60_000].into_iter().chain([25_600]).collect(),
                1 << 16,
            ),
            (
                vec![101; 60_000].into_iter().chain([6_553_500]).collect(),
                1 << 16,
            ),
            (vec![101; 500].into_iter().chain([7]).collect(), 501 * 64),
            (vec![100; 70_000].into_iter().chain([300]).collect(), 70_001),
        ] {
            let slots: u64 = reduced(&weights).into_iter().map(u64::from).sum();
            assert!(slots <= most, "{slots} of {most}");
            assert!(slots * 10 >= most * 9, "{slots} of {most}");
        }
    }

    #[test]
    fn equal_members_have_one_slot_each_in_their_order() {
        assert_eq!(filled(&[1; 5]), [0, 1, 2, 3, 4]);
        assert_eq!(filled(&[2, 1]), [0, 0, 1]);
        assert!(filled(&[]).is_empty());
    }
}
