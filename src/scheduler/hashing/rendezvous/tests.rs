//! The laws of rendezvous hashing: which member has a key, and which keys move.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "numbers are small, and clippy does not know helpers of tests"
)]

use std::time::Duration;

use super::Rendezvous;
use crate::balancer::{Balancer, PickError, PickRequest};
use crate::clock::ManualClock;
use crate::member::{Flag, MemberSpec, Ramp, Weight};
use crate::scheduler::hashing::{Score, hash_of, lower};
use crate::scheduler::{Candidates, Pick, PickContext, Scheduler};
use crate::stable_hash::hash_bytes;

const KEYS: u64 = 2_000;

fn spec(weight: u32) -> MemberSpec {
    MemberSpec::new().with_weight(Weight::from_hundredths(weight).unwrap())
}

fn balancer_of(weights: &[u32], scheduler: impl Scheduler) -> Balancer<()> {
    let members = weights.iter().enumerate();
    let members = members.map(|(at, &weight)| (format!("m{at}"), (), spec(weight)));
    let builder = Balancer::builder().scheduler(scheduler).seed(7);
    let builder = builder.forced_recovery(false).members(members);
    builder.build().unwrap()
}

fn balancer(weights: &[u32]) -> Balancer<()> {
    balancer_of(weights, Rendezvous::new())
}

fn key(number: u64) -> u64 {
    hash_bytes(&number.to_le_bytes())
}

fn owners(balancer: &Balancer<()>) -> Vec<String> {
    let request = |number| PickRequest::new().with_hash(key(number));
    (0..KEYS)
        .map(|number| {
            balancer
                .pick(&request(number))
                .unwrap()
                .member()
                .name()
                .to_owned()
        })
        .collect()
}

/// Pairs of the owners of each key that has moved.
fn moved<'o>(before: &'o [String], after: &'o [String]) -> Vec<(&'o str, &'o str)> {
    let pairs = before.iter().zip(after);
    let moved = pairs.filter(|(before, after)| before != after);
    moved.map(|(before, after)| (&**before, &**after)).collect()
}

/// As picks find the scheduler before its plan is made.
#[derive(Debug)]
struct WithoutPlan;

impl Scheduler for WithoutPlan {
    fn name(&self) -> &'static str {
        "without plan"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        Rendezvous::new().pick(candidates, context)
    }
}

#[test]
fn the_member_with_the_least_score_is_picked() {
    let weights = [100, 250, 1, 6_553_500, 100, 100, 33];
    let weights = weights.repeat(6);
    let balancer = balancer(&weights);
    let score = |at: usize, number| {
        let member = lower(hash_of(&format!("m{at}")));
        let weight = Weight::from_hundredths(weights[at]).unwrap();
        Score::new(key(number), member, weight.into())
    };
    for (number, owner) in (0..KEYS).zip(owners(&balancer)) {
        let best = (0..weights.len()).min_by(|&a, &b| score(a, number).cmp(score(b, number)));
        assert_eq!(owner, format!("m{}", best.unwrap()));
    }
}

#[test]
fn picks_without_a_plan_are_the_same() {
    let weights = [100, 200, 300, 50];
    assert_eq!(
        owners(&balancer(&weights)),
        owners(&balancer_of(&weights, WithoutPlan))
    );
}

#[test]
fn names_and_weights_alone_decide() {
    let one = balancer(&[100, 200, 300]);
    let other = balancer(&[700; 5]);
    let members = [(2, 300), (0, 100), (1, 200)];
    let members = members.map(|(at, weight)| (format!("m{at}"), (), spec(weight)));
    other.replace_all(members).unwrap();
    assert_eq!(owners(&one), owners(&other));
}

#[test]
fn members_have_keys_in_proportion_to_their_weights() {
    let owners = owners(&balancer(&[100, 200, 500, 1_200]));
    for (at, expected) in [100, 200, 500, 1_200_usize].into_iter().enumerate() {
        let name = format!("m{at}");
        let count = owners.iter().filter(|&owner| *owner == name).count();
        assert!(
            count.abs_diff(expected) < 90,
            "{name}: {count} of {expected}"
        );
    }
}

#[test]
fn the_greatest_share_exceeds_the_mean_by_chance_only() {
    const MANY: u32 = 65_537;
    for members in [10_u32, 100] {
        let hashes: Vec<u64> = (0..members)
            .map(|at| lower(hash_of(&format!("m{at}"))))
            .collect();
        let mut counts = vec![0_u32; hashes.len()];
        for number in 0..MANY {
            let key = key(number.into());
            let mut best: Option<(usize, Score)> = None;
            for (at, &member) in hashes.iter().enumerate() {
                let limit = best.map(|(_, score)| score);
                let score = Score::within(limit, key, member, Weight::ONE.into());
                let wins = |score: &Score| limit.is_none_or(|limit| score.cmp(limit).is_lt());
                best = score.filter(wins).map(|score| (at, score)).or(best);
            }
            counts[best.unwrap().0] += 1;
        }
        let (n, mean) = (f64::from(members), f64::from(MANY) / f64::from(members));
        let most = f64::from(*counts.iter().max().unwrap()) / mean;
        let bound = 1.0 + 1.2 * (2.0 * n * n.ln() / f64::from(MANY)).sqrt();
        assert!(most < bound, "{members}: {most} of {bound}");
    }
}

#[test]
fn a_member_that_leaves_moves_its_own_keys_only_and_gets_them_back() {
    let balancer = balancer(&[100, 100, 300, 50, 100]);
    let at_first = owners(&balancer);
    for flag in [Flag::Disabled, Flag::Draining, Flag::InError] {
        balancer.set_flag("m2", flag).unwrap();
        let after = owners(&balancer);
        let moved = moved(&at_first, &after);
        assert!(moved.iter().all(|&(from, to)| from == "m2" && to != "m2"));
        assert!(!moved.is_empty() && !after.contains(&"m2".to_owned()));
        balancer.clear_flag("m2", flag).unwrap();
    }
    balancer.remove("m2").unwrap();
    let without = owners(&balancer);
    assert!(
        moved(&at_first, &without)
            .iter()
            .all(|&(from, _)| from == "m2")
    );
    balancer.insert("m2", (), spec(300)).unwrap();
    assert_eq!(owners(&balancer), at_first);
}

#[test]
fn a_greater_weight_only_gains_keys() {
    let balancer = balancer(&[100, 100, 100, 100]);
    let mut before = owners(&balancer);
    for weight in [150, 200, 400, 6_000] {
        balancer.update("m1", |_| spec(weight)).unwrap();
        let after = owners(&balancer);
        let moved = moved(&before, &after);
        assert!(!moved.is_empty());
        assert!(
            moved.iter().all(|&(_, to)| to == "m1"),
            "{weight}: {moved:?}"
        );
        before = after;
    }
}

#[test]
fn a_member_that_ramps_up_only_gains_keys() {
    let clock = ManualClock::new();
    let members = ["a", "b", "c"].map(|name| (name, (), MemberSpec::new()));
    let balancer = Balancer::builder()
        .scheduler(Rendezvous::new())
        .clock(clock.clone())
        .ramp(Ramp::over(Duration::from_secs(16)))
        .members(members)
        .build()
        .unwrap();
    balancer.insert("d", (), MemberSpec::new()).unwrap();
    let mut before = owners(&balancer);
    for _ in 0..17 {
        clock.advance(Duration::from_secs(1));
        let after = owners(&balancer);
        assert!(moved(&before, &after).iter().all(|&(_, to)| to == "d"));
        before = after;
    }
    let own = before.iter().filter(|&owner| owner == "d").count();
    assert!(own.abs_diff(500) < 80, "{own}");
}

#[test]
fn full_and_tried_members_pass_their_keys_on() {
    let balancer = balancer(&[100; 4]);
    let at_first = owners(&balancer);
    let capped = spec(100).with_max_in_flight(1);
    for at in 0..4 {
        balancer
            .update(&format!("m{at}"), |_| capped.clone())
            .unwrap();
    }
    let request = PickRequest::new().with_hash(key(0));
    let held = balancer.pick(&request).unwrap();
    let full = held.member().name().to_owned();
    for (number, owner) in (0..100).zip(&at_first) {
        let request = PickRequest::new().with_hash(key(number));
        let lease = balancer.pick(&request).unwrap();
        assert_eq!(lease.member().name() == owner, *owner != full);
        // A failed request goes where its key goes next.
        let tried = [lease.member().id()];
        let next = balancer.pick(&request.with_tried(&tried)).unwrap();
        assert_ne!(next.member().id(), lease.member().id());
    }
    let mut leases = vec![held];
    leases.extend((1..4).map(|number| {
        let request = PickRequest::new().with_hash(key(number));
        balancer.pick(&request).unwrap()
    }));
    assert_eq!(balancer.pick(&request).unwrap_err(), PickError::AtCapacity);
}

#[test]
fn failed_requests_are_shared() {
    let balancer = balancer(&[100; 5]);
    let first = balancer.member("m0").unwrap().id();
    let tried = [first];
    let mut counts = [0_usize; 5];
    for number in 0..KEYS {
        let request = PickRequest::new().with_hash(key(number)).with_tried(&tried);
        let lease = balancer.pick(&request).unwrap();
        counts[lease.member().name()[1..].parse::<usize>().unwrap()] += 1;
    }
    assert_eq!(counts[0], 0);
    assert!(
        counts[1..].iter().all(|count| count.abs_diff(500) < 90),
        "{counts:?}"
    );
}

#[test]
fn an_explanation_shows_the_scores_and_names_the_member() {
    let balancer = balancer(&[100, 200, 300]);
    for number in 0..50 {
        let request = PickRequest::new().with_hash(key(number));
        let explained = balancer.explain(&request);
        let picked = explained.picked().unwrap();
        let scores = &explained.details().scores;
        let least = scores.iter().min_by(|a, b| a.score.total_cmp(&b.score));
        assert_eq!(least.unwrap().member, picked.id);
        let lease = balancer.pick(&request).unwrap();
        assert_eq!(lease.member().id(), picked.id);
    }
    for _ in 0..20 {
        let explained = balancer.explain(&PickRequest::new());
        let notes = &explained.details().notes;
        assert_eq!(
            notes[..],
            ["the request has no hash key: the key is random"]
        );
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().id(), explained.picked().unwrap().id);
    }
}

#[test]
fn a_pick_allocates_nothing() {
    let balancer = balancer(&[100; 50]);
    balancer.set_flag("m3", Flag::Disabled).unwrap();
    drop(balancer.pick(&PickRequest::new()).unwrap());
    let counted = allocation_counter::measure(|| {
        for number in 0..200 {
            drop(
                balancer
                    .pick(&PickRequest::new().with_hash(number))
                    .unwrap(),
            );
            drop(balancer.pick(&PickRequest::new()).unwrap());
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn one_member_changes_at_most_one_entry_of_a_subset() {
    let names: Vec<String> = (0..200).map(|at| format!("node{at}")).collect();
    let mut uses = vec![0_usize; names.len()];
    for client in 0..100 {
        let client = key(client);
        let before = Rendezvous::subset(&names, 20, client);
        assert_eq!(before.len(), 20);
        for (at, name) in names.iter().enumerate() {
            uses[at] += usize::from(before.contains(&name));
        }
        for gone in 0..names.len() {
            let others = names.iter().enumerate().filter(|&(at, _)| at != gone);
            let after = Rendezvous::subset(others.map(|(_, name)| name), 20, client);
            let kept = before.iter().filter(|name| after.contains(name)).count();
            assert_eq!(
                kept,
                if before.contains(&&names[gone]) {
                    19
                } else {
                    20
                }
            );
        }
    }
    // 100 clients, each with a tenth of the members: 10 for each member on average.
    assert!(uses.iter().all(|&uses| uses > 0 && uses < 25), "{uses:?}");
    assert_eq!(
        Rendezvous::subset(["b", "a"], 5, 1).len(),
        2,
        "all there are"
    );
}
