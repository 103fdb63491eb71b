//! Schedulers that draw: how often a member is picked, against the chances of the models.

use std::collections::HashMap;
use std::time::Duration;

use equipoise::clock::Timestamp;
use equipoise::scheduler::{
    LeastRequest, PeakEwma, Prequal, PrequalReports, WeightedRandom, ZoneAware,
};
use equipoise::testkit::models::{PeakCost, by_sum, two_choices, zone_chances};
use equipoise::{MemberId, Outcome, PickRequest, Scheduler};

use super::churn::{Churn, Seen, assert_drawn};

/// How often the present state of a group is drawn from.
const DRAWS: usize = 1_500;

/// Picks from the same state again and again: each request is ended, or taken back without
/// the knowledge of the scheduler.
fn drawn<S: Scheduler>(
    churn: &mut Churn<S>,
    tried: &[MemberId],
    seen: &[Seen],
    ends: bool,
) -> Option<Vec<u64>> {
    let request = PickRequest::new().with_tried(tried);
    let mut counts = vec![0; seen.len()];
    for _ in 0..DRAWS {
        let at = churn.pick(&request, seen)?;
        counts[at] += 1;
        if ends {
            churn.group.end(seen[at].id, Outcome::Success);
            continue;
        }
        let held = u32::try_from(seen[at].in_flight).unwrap();
        churn.group.set_in_flight(&seen[at].name, held);
    }
    Some(counts)
}

/// The weights of the open members, 0 for others.
fn open_weights(seen: &[Seen]) -> Vec<u64> {
    let weight = |one: &Seen| if one.is_open { one.weight } else { 0 };
    seen.iter().map(weight).collect()
}

/// Lets things happen, and compares the draws from each state with `chances`.
fn draws_by<S: Scheduler>(make: impl Fn() -> S, chances: impl Fn(&[Seen]) -> Vec<f64>) {
    for seed in 0..3 {
        let mut churn = Churn::new(make(), 7, seed).full();
        for _ in 0..10 {
            for _ in 0..15 {
                match churn.below(3) {
                    0 => churn.change(),
                    1 => drop(churn.group.end_oldest(Outcome::Success)),
                    _ => drop(churn.group.pick(&PickRequest::new())),
                }
            }
            let tried = churn.tried();
            let seen = churn.seen(&tried);
            if let Some(counts) = drawn(&mut churn, &tried, &seen, true) {
                assert_drawn(&counts, &chances(&seen));
            }
        }
    }
}

#[test]
fn weighted_random_draws_by_weight() {
    // The chance of each member is the number of draws that give it.
    let chances = |seen: &[Seen]| {
        let parts: Vec<u64> = open_weights(seen).iter().map(|it| it / 100).collect();
        let total: u64 = parts.iter().sum();
        let mut chances = vec![0.0; seen.len()];
        for draw in 0..total {
            chances[by_sum(&parts, draw).unwrap()] += 1.0 / total as f64;
        }
        chances
    };
    draws_by(WeightedRandom::new, chances);
}

#[test]
fn drawn_pairs_are_compared_by_requests_in_flight() {
    let chances = |seen: &[Seen]| {
        let loads = seen.iter().map(|one| one.in_flight + 1);
        two_choices(&loads.zip(open_weights(seen)).collect::<Vec<_>>())
    };
    let careless = Duration::from_secs(1);
    let drawing = || LeastRequest::new().with_failure_debt(0, careless).unwrap();
    draws_by(|| drawing().with_scan_max(0).unwrap(), chances);
    draws_by(|| Prequal::new(&PrequalReports::new()), chances);
    // No time passes, so that all costs are equal.
    draws_by(PeakEwma::new, chances);
}

/// The costs of all members, through responses, failures and changes.
#[test]
fn peak_ewma_keeps_the_costs_of_its_definition() {
    let (decay, default) = (Duration::from_secs(10), Duration::from_millis(10));
    for seed in 0..20 {
        let mut churn = Churn::new(PeakEwma::new(), 6, seed).full();
        let mut costs: HashMap<MemberId, PeakCost> = HashMap::new();
        let (mut now, mut latest) = (Timestamp::ORIGIN, Timestamp::ORIGIN);
        // Requests in flight, the oldest first: the time of the pick.
        let mut held: Vec<Timestamp> = Vec::new();
        for _ in 0..400 {
            let seen = churn.seen(&[]);
            for one in &seen {
                let new = || PeakCost::new(default, decay, latest);
                costs.entry(one.id).or_insert_with(new);
            }
            match churn.below(6) {
                0 => {
                    let by = Duration::from_millis(churn.dice.below(700));
                    churn.group.advance(by);
                    now = now + by;
                }
                1 => churn.change(),
                2 | 3 if !held.is_empty() => {
                    let outcomes = [Outcome::Cancelled, Outcome::Failure, Outcome::Success];
                    let outcome = outcomes[churn.below(3)];
                    let member = churn.group.end_oldest(outcome).unwrap();
                    let time = now.since(held.remove(0));
                    let cost = costs.get_mut(&member).unwrap();
                    latest = now;
                    // The group records the time to the head for each outcome.
                    match outcome {
                        Outcome::Failure => cost.record(time.max(Duration::from_secs(5)), now),
                        _ => cost.record(time, now),
                    }
                }
                _ => {
                    // A pick that finds no member, too.
                    latest = now;
                    let Some(at) = churn.pick(&PickRequest::new(), &seen) else {
                        continue;
                    };
                    held.push(now);
                    let kept = churn.group.scheduler().standing(seen[at].id).unwrap();
                    let expected = costs[&seen[at].id].nanos(now) / 1e3;
                    let off = (kept as f64 - expected).abs();
                    // Steps of time of a quarter of a millisecond, and 22 bits.
                    assert!(
                        off <= expected * 5e-4 + 2.0,
                        "{kept} {expected}, seed {seed}"
                    );
                }
            }
        }
        assert!(costs.len() >= 6);
    }
}

/// Costs that differ: the pairs are compared by cost and requests in flight. A request waits
/// on each member, so that the picks that are drawn change nothing.
#[test]
fn peak_ewma_compares_costs_and_requests_in_flight() {
    for seed in 0..12 {
        let mut churn = Churn::new(PeakEwma::new(), 6, seed).full();
        let mut costs: HashMap<MemberId, PeakCost> = HashMap::new();
        let (decay, default) = (Duration::from_secs(10), Duration::from_millis(10));
        let mut now = Timestamp::ORIGIN;
        let mut held = Vec::new();
        for _ in 0..40 {
            let by = Duration::from_millis(churn.dice.below(300));
            churn.group.advance(by);
            now = now + by;
            if churn.below(3) > 0 {
                held.extend(churn.group.pick(&PickRequest::new()).map(|_| now));
            } else if let Some(member) = churn.group.end_oldest(Outcome::Success) {
                let new = || PeakCost::new(default, decay, Timestamp::ORIGIN);
                let cost = costs.entry(member).or_insert_with(new);
                cost.record(now.since(held.remove(0)), now);
            }
        }
        for one in churn.seen(&[]) {
            let _ = churn.group.pick_session(&one.name);
        }
        let seen = churn.seen(&[]);
        let cost = |one: &Seen| {
            let cost = costs
                .get(&one.id)
                .map_or(1e7, |cost| cost.compared_nanos(true, now));
            // In microseconds, as whole numbers.
            u64::try_from(Duration::from_secs_f64(cost / 1e9).as_micros()).unwrap()
                * (one.in_flight + 1)
        };
        let loads: Vec<u64> = seen.iter().map(cost).collect();
        let pairs: Vec<_> = loads.into_iter().zip(open_weights(&seen)).collect();
        if let Some(counts) = drawn(&mut churn, &[], &seen, false) {
            assert_drawn(&counts, &two_choices(&pairs));
        }
    }
}

#[test]
fn zones_get_their_shares() {
    const ZONES: [&str; 3] = ["a", "b", "c"];
    for seed in 0..10 {
        let zoned = ZoneAware::new("a", WeightedRandom::new);
        let zoned = zoned.with_callers([("a", 3), ("b", 1), ("c", 2)]);
        let churn = Churn::new(zoned, 9, seed).with_zones(&ZONES);
        let mut churn = churn.without_caps().full();
        for _ in 0..6 {
            churn.change();
            let seen = churn.seen(&[]);
            let zone = |one: &Seen| {
                let label = churn
                    .group
                    .with_candidates(&PickRequest::new(), |_, all, _| {
                        all.get(one.id).unwrap().label("zone").unwrap().to_owned()
                    });
                ZONES.iter().position(|zone| **zone == *label).unwrap()
            };
            let zones: Vec<usize> = seen.iter().map(zone).collect();
            let mut loads = [(0, 3), (0, 1), (0, 2)];
            for (one, &zone) in seen.iter().zip(&zones) {
                loads[zone].0 += one.weight;
            }
            let by_zone = zone_chances(0, &loads);
            if by_zone.iter().sum::<f64>() < 0.999 {
                // No zone has capacity to spare: which one is drawn, is not defined by shares.
                continue;
            }
            let chance = |(one, &zone): (&Seen, &usize)| {
                by_zone[zone] * one.weight as f64 / loads[zone].0 as f64
            };
            let chances: Vec<f64> = seen.iter().zip(&zones).map(chance).collect();
            if let Some(counts) = drawn(&mut churn, &[], &seen, true) {
                assert_drawn(&counts, &chances);
            }
        }
    }
}
