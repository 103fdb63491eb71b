//! Filling Maglev's lookup table: plain arithmetic.
//!
//! Not here: members, and how a pick uses a table (`maglev.rs`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A slot without an owner yet.
const FREE: u32 = u32::MAX;

/// Returns, for each of `size` slots, the index of its owner in `owners`; `size` is a
/// prime.
///
/// A hash gives each owner its own permutation of the slots. In each of its turns the owner
/// claims the next free slot of its permutation. The heaviest owner has a turn in every
/// round; the others have turns in proportion to their weight. The order of `owners`
/// therefore matters: processes that share a table must list them in the same order.
///
/// Source: Eisenbud and others: *Maglev: A fast and reliable software network load
/// balancer* (NSDI 2016), 3.4. The rule of turns is Envoy's (`maglev_lb.cc`).
pub(super) fn filled(size: u32, owners: &[(u128, u32)]) -> Vec<u32> {
    let mut table = vec![FREE; size as usize];
    let Some(heaviest) = owners.iter().map(|&(_, weight)| weight).max() else {
        return Vec::new();
    };
    let mut walks: Vec<SlotWalk> = owners
        .iter()
        .map(|&(hash, _)| SlotWalk::new(size, hash))
        .collect();
    // The heaviest owners have a turn in each round; the next turn of every other is
    // computed.
    let (mut always, mut sometimes) = (Vec::new(), BinaryHeap::new());
    for (at, &(_, weight)) in (0_u32..).zip(owners) {
        if weight == heaviest {
            always.push(at);
        } else {
            sometimes.push(Reverse((1_u64, at)));
        }
    }
    let mut turns = vec![0_u64; owners.len()];
    let mut free = size;
    for round in 1_u64.. {
        let mut heavy = always.iter().copied().peekable();
        loop {
            // In the order of `owners`, also within a round.
            let light = sometimes.peek().copied();
            let light = light.and_then(|Reverse((due, at))| (due == round).then_some(at));
            let at = match (light, heavy.peek()) {
                (Some(light), Some(&heavy)) => light.min(heavy),
                (Some(at), None) | (None, Some(&at)) => at,
                (None, None) => break,
            };
            walks[at as usize].claim(&mut table, at);
            free -= 1;
            if free == 0 {
                return table;
            }
            if light == Some(at) {
                sometimes.pop();
                turns[at as usize] += 1;
                let (weight, turn) = (u64::from(owners[at as usize].1), turns[at as usize]);
                let due = (turn * u64::from(heaviest)).div_ceil(weight);
                sometimes.push(Reverse((due, at)));
            } else {
                heavy.next();
            }
        }
    }
    table
}

/// The state of an owner's walk through its permutation of the slots.
struct SlotWalk {
    next: u32,
    skip: u32,
}

impl SlotWalk {
    /// The two halves of a name's hash give the start of the walk and its step.
    fn new(size: u32, hash: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let (first, second) = ((hash >> 64) as u64, hash as u64);
        Self {
            next: below(first, size),
            skip: below(second, size - 1) + 1,
        }
    }

    /// Claims the next free slot. There is one, and the walk visits every slot because its
    /// step and the size have no common factor.
    fn claim(&mut self, table: &mut [u32], owner: u32) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a table has at most 5 000 011"
        )]
        let size = table.len() as u32;
        loop {
            let slot = &mut table[self.next as usize];
            self.next += self.skip;
            if self.next >= size {
                self.next -= size;
            }
            if *slot == FREE {
                *slot = owner;
                return;
            }
        }
    }
}

/// Returns `number` modulo `end`.
#[expect(clippy::cast_possible_truncation, reason = "less than `end`")]
fn below(number: u64, end: u32) -> u32 {
    (number % u64::from(end)) as u32
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "small numbers, and halves of hashes"
)]
mod tests {
    use super::filled;
    use crate::stable_hash::hash_bytes_128;
    use proptest::prelude::*;

    fn owners(weights: &[u32]) -> Vec<(u128, u32)> {
        let hash = |at: usize| hash_bytes_128(format!("10.0.{}.{}", at / 256, at % 256).as_bytes());
        let owner = |(at, &weight)| (hash(at), weight);
        weights.iter().enumerate().map(owner).collect()
    }

    fn counts(table: &[u32], owners: usize) -> Vec<usize> {
        let mut counts = vec![0; owners];
        for &owner in table {
            counts[owner as usize] += 1;
        }
        counts
    }

    /// Envoy's form of the rule: every owner is examined in every round.
    fn filled_plainly(size: usize, owners: &[(u128, u32)]) -> Vec<u32> {
        let heaviest = owners.iter().map(|owner| u64::from(owner.1)).max().unwrap();
        let mut targets = vec![0_u64; owners.len()];
        let mut next = vec![0_u64; owners.len()];
        let mut table = vec![None; size];
        let (mut round, mut claimed) = (0, 0);
        loop {
            round += 1;
            for (at, &(hash, weight)) in owners.iter().enumerate() {
                if round * u64::from(weight) < targets[at] {
                    continue;
                }
                targets[at] += heaviest;
                let size = size as u64;
                let (first, second) = ((hash >> 64) as u64, hash as u64);
                let skip = second % (size - 1) + 1;
                let slot = loop {
                    let slot = (first % size + next[at] * skip) % size;
                    next[at] += 1;
                    if table[slot as usize].is_none() {
                        break slot;
                    }
                };
                table[slot as usize] = Some(at as u32);
                claimed += 1;
                if claimed == size {
                    return table.into_iter().map(Option::unwrap).collect();
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_table_is_the_published_one(
            weights in prop::collection::vec(1_u32..2_000, 1..40),
            size in prop::sample::select(vec![251_u32, 509, 1_009]),
        ) {
            let owners = owners(&weights);
            prop_assert_eq!(filled(size, &owners), filled_plainly(size as usize, &owners));
        }

        #[test]
        fn no_share_is_two_slots_too_large_nor_a_slot_and_a_per_cent_too_small(
            weights in prop::collection::vec(prop_oneof![1_u32..20, 1_u32..6_553_500], 1..80),
        ) {
            let size = 8_009_u32;
            let table = filled(size, &owners(&weights));
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            for (count, &weight) in counts(&table, weights.len()).into_iter().zip(&weights) {
                let share = f64::from(size) * f64::from(weight) / total as f64;
                let of_all = weights.len() as f64 / f64::from(size);
                prop_assert!(count >= 1);
                prop_assert!(count as f64 <= share + 2.0, "{} of {}", count, share);
                prop_assert!(count as f64 >= share * (1.0 - of_all) - 1.0, "{} of {}", count, share);
            }
        }

        #[test]
        fn equal_weights_have_equal_shares_but_for_one_slot(count in 1_usize..700) {
            let table = filled(65_537, &owners(&vec![100; count]));
            let shares = counts(&table, count);
            prop_assert!(shares.iter().all(|&share| share.abs_diff(65_537 / count) <= 1));
        }
    }

    #[test]
    fn hardly_a_slot_moves_between_the_owners_that_stay() {
        for count in [10, 100, 600] {
            let all = owners(&vec![100; count]);
            let before = filled(65_537, &all);
            for gone in [0, count / 2, count - 1] {
                let mut rest = all.clone();
                rest.remove(gone);
                let after = filled(65_537, &rest);
                let gone = gone as u32;
                let moved = before.iter().zip(&after).filter(|&(&before, &after)| {
                    let after = if after >= gone { after + 1 } else { after };
                    before != gone && before != after
                });
                let moved = moved.count();
                assert!(moved <= 655, "{moved} of 65 537 with {count} owners");
            }
        }
    }

    #[test]
    fn hardly_a_slot_moves_between_the_owners_whose_weights_stay() {
        for count in [10, 100, 600] {
            let before = filled(65_537, &owners(&vec![100; count]));
            for weight in [50, 110, 200] {
                let mut weights = vec![100; count];
                weights[count / 2] = weight;
                let after = filled(65_537, &owners(&weights));
                let changed = (count / 2) as u32;
                let of_others = |&(before, after): &(&u32, &u32)| {
                    before != after && *before != changed && *after != changed
                };
                let moved = before.iter().zip(&after).filter(of_others).count();
                assert!(moved <= 655, "{moved} of 65 537 with {count} owners");
            }
        }
    }

    #[test]
    fn one_heavy_owner_among_many_light_ones_is_no_burden() {
        let mut weights = vec![1; 10_000];
        weights[5_000] = 6_553_500;
        let table = filled(65_537, &owners(&weights));
        let counts = counts(&table, weights.len());
        assert_eq!(counts.iter().sum::<usize>(), 65_537);
        assert!(counts[5_000] > 55_000);
    }

    #[test]
    fn more_owners_than_slots_leave_the_last_without_one() {
        let table = filled(251, &owners(&vec![100; 300]));
        let counts = counts(&table, 300);
        assert!(counts[..251].iter().all(|&count| count == 1));
        assert_eq!(counts[251..].iter().sum::<usize>(), 0);
    }
}
