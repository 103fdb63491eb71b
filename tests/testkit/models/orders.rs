//! Schedulers whose order the models know: `First`, `Rotation`, and a `Shadow`.

use equipoise::scheduler::{First, LeastRequest, PeakEwma, Rotation, Shadow};
use equipoise::testkit::Group;
use equipoise::testkit::models::{SmoothRotation, first, least_requests};
use equipoise::{ByBusyness, ByRequests, MemberSpec, PickRequest, Scheduler, Weight};

use super::churn::Churn;

#[test]
fn first_picks_the_first_member_with_room() {
    for seed in 0..20 {
        let mut churn = Churn::new(First::new(), 6, seed).full();
        for _ in 0..200 {
            match churn.below(4) {
                0 => churn.change(),
                1 => drop(churn.end()),
                _ => {
                    let tried = churn.tried();
                    let seen = churn.seen(&tried);
                    let open: Vec<bool> = seen.iter().map(|one| one.is_open).collect();
                    let picked = churn.pick(&PickRequest::new().with_tried(&tried), &seen);
                    assert_eq!(picked, first(&open));
                }
            }
        }
    }
}

#[test]
fn rotation_picks_in_tijdemans_order() {
    for seed in 0..60 {
        let dice = equipoise::random::Random::seeded(seed);
        let mut group = Group::new(Rotation::new());
        let count = 1 + dice.below(9);
        let mut weights = Vec::new();
        let ids: Vec<_> = (0..count)
            .map(|at| {
                let weight = [1, 1 + dice.below(30)][usize::from(seed % 3 > 0)];
                weights.push(weight);
                let weight = Weight::new(u32::try_from(weight).unwrap()).unwrap();
                group.insert(&format!("m{at}"), MemberSpec::new().with_weight(weight))
            })
            .collect();
        for (pick, expected) in SmoothRotation::new(&weights).take(400).enumerate() {
            let picked = group.pick(&PickRequest::new());
            assert_eq!(picked, Ok(ids[expected]), "{weights:?}, pick {pick}");
        }
    }
}

/// Without a failure debt, the loads are whole numbers.
#[test]
fn least_request_picks_one_of_the_least_loaded() {
    for seed in 0..20 {
        let careless = std::time::Duration::from_secs(1);
        let scheduler = LeastRequest::new().with_failure_debt(0, careless).unwrap();
        let mut churn = Churn::new(scheduler, 12, seed).full();
        let mut ties = 0;
        for _ in 0..300 {
            match churn.below(5) {
                0 => churn.change(),
                1 => drop(churn.end()),
                _ => {
                    let tried = churn.tried();
                    let seen = churn.seen(&tried);
                    let picked = churn.pick(&PickRequest::new().with_tried(&tried), &seen);
                    let open: Vec<usize> = (0..seen.len()).filter(|&at| seen[at].is_open).collect();
                    let facts = open.iter().map(|&at| (seen[at].in_flight, seen[at].weight));
                    let least = least_requests(&facts.collect::<Vec<_>>());
                    ties += usize::from(least.len() > 1);
                    let least: Vec<usize> = least.into_iter().map(|at| open[at]).collect();
                    assert!(picked.is_none_or(|it| least.contains(&it)), "{seen:?}");
                    assert_eq!(picked.is_none(), open.is_empty());
                }
            }
        }
        assert!(ties > 20, "{ties}");
    }
}

/// Each debt is known to within a quarter of a request, in which it is compared.
#[test]
fn a_failure_counts_as_requests_that_fade() {
    use equipoise::Outcome;
    use std::collections::HashMap;
    use std::time::Duration;
    let half_life = Duration::from_secs(4);
    for seed in 0..20 {
        let scheduler = LeastRequest::new().with_failure_debt(3, half_life).unwrap();
        let mut churn = Churn::new(scheduler, 8, seed).without_ramps().full();
        // By member: the debt, and the time for which it holds, in seconds.
        let mut debts: HashMap<_, (f64, f64)> = HashMap::new();
        let mut now = 0.0_f64;
        let left = |(debt, at): (f64, f64), now: f64| {
            debt * (-(now - at) / half_life.as_secs_f64()).exp2()
        };
        for _ in 0..300 {
            match churn.below(6) {
                0 => {
                    let millis = churn.dice.below(1_500);
                    churn.group.advance(Duration::from_millis(millis));
                    now += millis as f64 / 1e3;
                }
                1 => drop(churn.group.end_oldest(Outcome::Success)),
                2 => {
                    if let Some(id) = churn.group.end_oldest(Outcome::Failure) {
                        let debt = debts.get(&id).map_or(0.0, |&it| left(it, now));
                        debts.insert(id, (debt + 3.0, now));
                    }
                }
                3 => churn.change_health_of_any(),
                _ => {
                    let seen = churn.seen(&[]);
                    let Some(picked) = churn.pick(&PickRequest::new(), &seen) else {
                        continue;
                    };
                    // Loads with the debt rounded down, for a debt that is known nearly.
                    let load = |at: usize, off: f64| {
                        let debt = debts.get(&seen[at].id).map_or(0.0, |&it| left(it, now));
                        let quarters = ((debt + off) * 4.0).floor().max(0.0);
                        let requests = (seen[at].in_flight + 1) as f64;
                        (4.0 * requests + quarters) / seen[at].weight as f64
                    };
                    for other in (0..seen.len()).filter(|&at| seen[at].is_open) {
                        let (ours, theirs) = (load(picked, -0.002), load(other, 0.002));
                        assert!(ours <= theirs + 1e-9, "{ours} {theirs} {seen:?}");
                    }
                }
            }
        }
        assert!(!debts.is_empty());
    }
}

/// The same changes and requests for both; the shadow must change no pick.
fn shadowed_picks_are_the_active_ones<A: Scheduler, B: Scheduler>(
    active: impl Fn() -> A,
    shadow: impl Fn() -> B,
) {
    for seed in 0..15 {
        let mut plain = Churn::new(active(), 6, seed).full();
        let mut shadowed = Churn::new(Shadow::new(active(), shadow()), 6, seed).full();
        for _ in 0..200 {
            match plain.below(5) {
                0 => {
                    plain.change();
                    let _ = shadowed.below(5);
                    shadowed.change();
                }
                1 => {
                    plain.end();
                    let _ = shadowed.below(5);
                    shadowed.end();
                }
                2 => {
                    plain.advance(900);
                    let _ = shadowed.below(5);
                    shadowed.advance(900);
                }
                _ => {
                    let _ = shadowed.below(5);
                    let tried = (plain.tried(), shadowed.tried());
                    let seen = (plain.seen(&tried.0), shadowed.seen(&tried.1));
                    let key = plain.dice.next_u64();
                    assert_eq!(shadowed.dice.next_u64(), key);
                    let request = PickRequest::new().with_hash(key);
                    let expected = plain.pick(&request.with_tried(&tried.0), &seen.0);
                    let picked = shadowed.pick(&request.with_tried(&tried.1), &seen.1);
                    assert_eq!(picked, expected, "seed {seed}");
                }
            }
        }
    }
}

#[test]
fn a_shadow_changes_no_pick() {
    shadowed_picks_are_the_active_ones(Rotation::new, LeastRequest::new);
    shadowed_picks_are_the_active_ones(ByRequests::new, PeakEwma::new);
    shadowed_picks_are_the_active_ones(LeastRequest::new, ByBusyness::new);
    shadowed_picks_are_the_active_ones(PeakEwma::new, Rotation::new);
}
