//! The order against the rule as it is written, and against its bound.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use super::heaps::TurnPlace;
use super::{ELECTION, TurnOrder};
use crate::member::MemberId;
use crate::random::Random;
use crate::scheduler::ahead::Sequence;
use crate::scheduler::ranking::Ranking;

/// An order of new members that have these weights, in slots from 0 on.
fn order(weights: &[u32]) -> TurnOrder {
    let mut order = TurnOrder::new();
    for (slot, &weight) in (0..).zip(weights) {
        order.join(MemberId::new(slot), weight, slot.into());
    }
    order.arrange();
    order
}

fn ids(order: &TurnOrder) -> Vec<MemberId> {
    order.entries.iter().filter_map(|one| one.member).collect()
}

fn leads(order: &TurnOrder) -> Vec<i64> {
    ids(order).into_iter().map(|id| order.lead(id)).collect()
}

fn elect(order: &mut TurnOrder, count: usize) -> Vec<u32> {
    (0..count).map(|_| order.elect().unwrap()).collect()
}

/// The rule, read literally: `h` elections of each member before the step `k`.
fn by_the_rule(weights: &[u32], count: usize) -> Vec<u32> {
    let n = weights.len() as i128;
    let weights: Vec<i128> = weights.iter().map(|&weight| weight.into()).collect();
    let (total, scale) = (weights.iter().sum::<i128>(), 2 * n - 2);
    let mut h = vec![0_i128; weights.len()];
    let mut elected = Vec::new();
    for k in 1..=count as i128 {
        let can_be = |i: &usize| scale * (weights[*i] * k - h[*i] * total) >= total;
        // The deadline is this divided by the weight.
        let deadline = |i: usize| (scale - 1) * total + scale * (h[i] * total - weights[i] * k);
        let first = (0..weights.len()).filter(can_be).min_by(|&a, &b| {
            let of = |one: usize, other: usize| deadline(one) * weights[other];
            of(a, b).cmp(&of(b, a)).then(a.cmp(&b))
        });
        let first = first.unwrap();
        h[first] += 1;
        elected.push(u32::try_from(first).unwrap());
    }
    elected
}

fn vectors(count: usize, seed: u64) -> impl Iterator<Item = Vec<u32>> {
    let random = Random::seeded(seed);
    let below = move |end| u32::try_from(random.below(end)).unwrap();
    (0..count).map(move |_| (0..3 + below(14)).map(|_| 1 + below(30)).collect())
}

#[test]
fn the_elections_are_those_of_the_rule() {
    for weights in vectors(300, 1).chain([vec![1, 1], vec![5, 1, 1], vec![1; 40]]) {
        let total: u32 = weights.iter().sum();
        let count = 2 * total as usize + 3;
        assert_eq!(
            elect(&mut order(&weights), count),
            by_the_rule(&weights, count)
        );
    }
    assert_eq!(
        elect(&mut order(&[7]), 3),
        [0, 0, 0],
        "one member needs no rule"
    );
    assert_eq!(order(&[]).elect(), None);
}

/// The most that a member is ahead of and behind its quota, over all prefixes of one period,
/// each times the total weight.
fn extremes(weights: &[u32], mut elect: impl FnMut() -> usize) -> (i64, i64) {
    let total: i64 = weights.iter().copied().map(i64::from).sum();
    let mut leads = vec![0_i64; weights.len()];
    let (mut ahead, mut behind) = (0, 0);
    for _ in 0..total {
        for (lead, &weight) in leads.iter_mut().zip(weights) {
            *lead -= i64::from(weight);
        }
        leads[elect()] += total;
        ahead = leads.iter().copied().fold(ahead, i64::max);
        behind = leads.iter().copied().fold(behind, i64::min);
    }
    assert!(
        leads.iter().all(|&lead| lead == 0),
        "{weights:?}: a period is whole"
    );
    (ahead, -behind)
}

/// Smooth weighted round robin, read literally.
fn smooth_round_robin(weights: &[u32]) -> impl FnMut() -> usize {
    let total: i64 = weights.iter().copied().map(i64::from).sum();
    let mut standings = vec![0_i64; weights.len()];
    move || {
        let mut first = 0;
        for at in 0..weights.len() {
            standings[at] += i64::from(weights[at]);
            if standings[at] > standings[first] {
                first = at;
            }
        }
        standings[first] -= total;
        first
    }
}

/// `1 - 1/(2n - 2)` for every prefix, which is optimal; smooth weighted round robin exceeds
/// even 1.
#[test]
fn no_member_is_ever_a_whole_election_from_its_quota() {
    let mut worst = 0.0_f64;
    for weights in vectors(20_000, 2) {
        let total: i64 = weights.iter().copied().map(i64::from).sum();
        let scale = 2 * i64::try_from(weights.len()).unwrap() - 2;
        let mut order = order(&weights);
        let (ahead, behind) = extremes(&weights, || order.elect().unwrap() as usize);
        let most = (scale - 1) * total;
        assert!(ahead * scale <= most, "{weights:?}: {ahead} ahead");
        assert!(behind * scale <= most, "{weights:?}: {behind} behind");
        let (_, behind) = extremes(&weights, smooth_round_robin(&weights));
        worst = worst.max(behind as f64 / total as f64);
    }
    assert!(worst > 1.05, "smooth weighted round robin: {worst}");
}

#[test]
fn elections_are_undone_exactly() {
    let random = Random::seeded(3);
    for weights in vectors(200, 4) {
        let mut order = order(&weights);
        let before = usize::try_from(random.below(100)).unwrap();
        elect(&mut order, before);
        let plain = order.clone();
        let slots = elect(&mut order, 40);
        for &slot in slots.iter().rev() {
            order.undo(slot);
        }
        assert_eq!(leads(&order), leads(&plain));
        assert_eq!(elect(&mut order, 80), elect(&mut plain.clone(), 80));
    }
}

/// Positions are counted from a later time every 255 periods.
#[test]
fn a_long_run_goes_on_as_it_began() {
    let weights = [5, 3, 1, 1];
    let mut order = order(&weights);
    let period = elect(&mut order, 10);
    for _ in 0..3_000 {
        assert_eq!(elect(&mut order, 10), period);
        assert_eq!(leads(&order), [0; 4]);
    }
    assert!(order.time < 10 * 257 * i128::from(ELECTION));
}

#[test]
fn an_election_is_undone_across_the_point_at_which_positions_are_counted_anew() {
    let mut order = order(&[2, 1]);
    let elected = elect(&mut order, 3 * 256);
    assert!(
        order.time < 3 * 2 * i128::from(ELECTION),
        "they were counted anew"
    );
    for &slot in elected.iter().rev().take(30) {
        order.undo(slot);
    }
    assert_eq!(leads(&order), [0, 0]);
    assert_eq!(elect(&mut order, 30), elected[..30]);
}

/// Extreme weights in effective units, and many members: products stay within their types,
/// which a debug build checks.
#[test]
fn extreme_weights_of_many_members_overflow_nothing() {
    const MOST: u32 = 6_553_500 * 16;
    let random = Random::seeded(5);
    for (count, picks) in [(2, 5_000), (10_000, 30_000), (70_000, 1_000)] {
        let weights: Vec<u32> = (0..count)
            .map(|at| match (at, random.below(3)) {
                (0, _) | (_, 0) => MOST,
                (_, 1) => 1,
                _ => 1 + u32::try_from(random.below(MOST.into())).unwrap(),
            })
            .collect();
        let mut order = order(&weights);
        let ids = ids(&order);
        // As late as positions ever are.
        for entry in &mut order.entries {
            entry.position = i64::from(entry.weight) * 255 * ELECTION;
            order.time += i128::from(entry.position);
        }
        order.arrange();
        for _ in 0..picks {
            let slot = order.elect().unwrap();
            let lead = order.lead(ids[slot as usize]);
            assert!(lead.abs() <= 1_000_000, "{lead}");
        }
        assert!(ids.iter().all(|&id| order.lead(id).abs() <= 1_000_000));
    }
}

#[test]
fn a_member_that_leaves_keeps_its_lead_and_the_others_share_the_rest() {
    let mut order = order(&[7, 5, 3]);
    elect(&mut order, 4);
    let ids = ids(&order);
    let before = leads(&order);
    assert_eq!(before, [133_333, -333_333, 200_000]);
    order.leave(ids[1]);
    order.arrange();
    assert_eq!(order.lead(ids[1]), before[1]);
    let present = order.lead(ids[0]) + order.lead(ids[2]);
    assert!(present.abs() <= 2, "{present}");
    elect(&mut order, 1_000);
    assert_eq!(order.lead(ids[1]), before[1]);
    order.join(ids[1], 5, 1);
    order.arrange();
    let after = order.lead(ids[1]);
    // It is a third of all weights, so it bears a third of its own lead.
    let expected = before[1] - before[1] / 3;
    assert!((after - expected).abs() <= 2, "{after} {expected}");
    assert!(leads(&order).iter().sum::<i64>().abs() <= 3);
    assert_eq!(order.lead(MemberId::new(1)), 0, "another member has none");
}

#[test]
fn another_weight_changes_no_lead() {
    let mut order = order(&[7, 5, 3]);
    elect(&mut order, 4);
    let before = leads(&order);
    for weight in [1, 6_553_500 * 16, 5] {
        order.put(ids(&order)[0], weight, 0);
        order.arrange();
        for (before, after) in before.iter().zip(leads(&order)) {
            assert!(before.abs_diff(after) <= 5, "{before} {after}");
        }
    }
}

#[test]
fn leads_stay_below_one_while_weights_change_and_members_leave_and_return() {
    let random = Random::seeded(6);
    let below = |end| u32::try_from(random.below(end)).unwrap();
    let mut order = order(&[1_600; 8]);
    let ids = ids(&order);
    let mut picks = [0_u32; 8];
    for _ in 0..5_000 {
        let member = ids[below(8) as usize];
        if below(4) == 0 && order.members > 4 {
            order.leave(member);
        } else {
            order.put(member, 1 + below(3_200), member.slot() as u64);
        }
        order.arrange();
        for slot in elect(&mut order, below(40) as usize) {
            picks[slot as usize] += 1;
        }
        // The bound is that of one group; what a change adds is small, and does not add up.
        let present = ids.iter().filter(|&&id| order.slot_of(id).is_some());
        assert!(present.clone().all(|&id| order.lead(id).abs() < 2_500_000));
        assert!(present.map(|&id| order.lead(id)).sum::<i64>().abs() <= 8);
    }
    assert!(picks.iter().all(|&picks| picks > 0));
}

#[test]
fn a_parked_member_is_left_out_and_its_lead_stays() {
    let mut order = order(&[2, 2, 2]);
    assert_eq!(elect(&mut order, 3), [0, 1, 2]);
    let slots = elect(&mut order, 1);
    order.park(0);
    assert_eq!((order.parked(), order.is_parked(0)), (1, true));
    assert_eq!(order.entry(0).place, TurnPlace::Parked);
    assert_eq!(elect(&mut order, 4), [1, 2, 1, 2]);
    let mut undone = order.clone();
    undone.undo(slots[0]);
    order.unpark(0);
    undone.unpark(0);
    // The undone one has its turn again.
    let next = elect(&mut order, 3);
    assert!(next[..2] == [1, 2] || next[..2] == [2, 1], "{next:?}");
    assert_eq!(elect(&mut undone, 1), [0]);
}

#[test]
fn a_member_that_is_skipped_has_its_turn_next() {
    let mut order = order(&[1, 1, 1, 1]);
    elect(&mut order, 4);
    order.skip(0);
    assert_eq!(elect(&mut order, 1), [1]);
    order.skip(2);
    order.skip(3);
    order.skip(1);
    assert_eq!(order.elect(), None);
    order.restore_skipped();
    assert_eq!(elect(&mut order, 3), [0, 2, 3]);
}

#[test]
fn a_round_is_as_long_as_the_weights_say() {
    let mut order = order(&[1_600, 4_800, 3_200]);
    assert_eq!(order.round(), Some(6));
    let slots = elect(&mut order, 6);
    assert!(order.is_round(&slots));
    assert!(!order.is_round(&slots[..5]));
    order.session_pick(0);
    let ahead = elect(&mut order, 6);
    assert!(!order.is_round(&ahead), "the others catch up first");
    assert_eq!(TurnOrder::new().round(), None);
}
