//! The laws of bounded loads: no member is above its bound, and keys move only when one is
//! reached.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "numbers are small, and clippy does not know helpers of tests"
)]

use std::sync::Arc;
use std::thread;

use super::BoundedLoad;
use crate::balancer::{Balancer, Lease, PickError, PickRequest};
use crate::member::{Ended, Flag, MemberId, MemberSpec, MemberState, Weight};
use crate::random::Random;
use crate::scheduler::{
    Candidates, GroupChange, HashScheduler, Maglev, Needs, Pick, PickContext, PickDetails, Plan,
    PlanMembers, Rendezvous, Scheduler,
};
use crate::stable_hash::hash_bytes;

/// A scheduler that a test keeps a handle of.
#[derive(Debug)]
struct Handle<S>(Arc<BoundedLoad<S>>);

impl<S: HashScheduler> Scheduler for Handle<S> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        self.0.pick(candidates, context)
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        self.0.peek(candidates, context)
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        self.0.explain(candidates, context)
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.0.on_session_pick(candidates, member);
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        self.0.on_ended(member, ended);
    }

    fn on_room(&self, member: &MemberState) {
        self.0.on_room(member);
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        self.0.on_group_change(group);
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        self.0.plan(members)
    }

    fn needs(&self) -> Needs {
        self.0.needs()
    }
}

fn spec(weight: u32) -> MemberSpec {
    MemberSpec::new().with_weight(Weight::from_hundredths(weight).unwrap())
}

fn members(weights: &[u32]) -> impl Iterator<Item = (String, (), MemberSpec)> {
    let members = weights.iter().enumerate();
    members.map(|(at, &weight)| (format!("m{at}"), (), spec(weight)))
}

fn build(weights: &[u32], scheduler: impl Scheduler) -> Balancer<()> {
    let builder = Balancer::builder().scheduler(scheduler).seed(7);
    let builder = builder.forced_recovery(false).members(members(weights));
    builder.build().unwrap()
}

fn bounded<S: HashScheduler>(
    weights: &[u32],
    percent: u32,
    inner: S,
) -> (Balancer<()>, Arc<BoundedLoad<S>>) {
    let bounded = Arc::new(BoundedLoad::new(inner).with_percent(percent).unwrap());
    (build(weights, Handle(bounded.clone())), bounded)
}

fn key(number: u64) -> u64 {
    hash_bytes(&number.to_le_bytes())
}

/// The eligible members: (requests in flight, weight).
fn group(balancer: &Balancer<()>) -> Vec<(String, u64, u64)> {
    let explained = balancer.explain(&PickRequest::new());
    let eligible = explained.members().iter().filter(|one| {
        let other = Flag::Disabled;
        !one.status.contains(other) && !one.status.contains(Flag::Draining)
    });
    let fact = |one: &crate::balancer::MemberExplanation| {
        let units = u64::from(one.effective_weight.units());
        (one.name.to_string(), u64::from(one.in_flight), units)
    };
    eligible.map(fact).collect()
}

/// The bound of a member for one more request, as the documentation defines it.
fn bound(group: &[(String, u64, u64)], percent: u64, weight: u64) -> u64 {
    let active: u64 = group.iter().map(|(_, in_flight, _)| in_flight).sum();
    let all: u64 = group.iter().map(|(_, _, weight)| weight).sum();
    let total = ((active + 1) * percent).div_ceil(100);
    (total * weight).div_ceil(all).max(1)
}

/// Picks, ends and changes of members at random; checks each pick.
fn live<S: HashScheduler + Clone>(weights: &[u32], percent: u32, inner: &S, seed: u64) {
    let (balancer, bounded) = bounded(weights, percent, inner.clone());
    // Its picks end at once: they are those of the plain scheduler.
    let plain = build(weights, inner.clone());
    let random = Random::seeded(seed);
    let mut held: Vec<Lease<()>> = Vec::new();
    let mut moved = 0;
    for step in 0..600 {
        match random.below(20) {
            0 => {
                let name = format!("m{}", random.below(weights.len() as u64));
                let flag = [Flag::Disabled, Flag::Draining][random.below(2) as usize];
                let others = group(&balancer).iter().filter(|one| one.0 != name).count();
                for balancer in [&balancer, &plain] {
                    let state = balancer.member(&name).unwrap();
                    if state.status().contains(flag) {
                        balancer.clear_flag(&name, flag).unwrap();
                    } else if others > 1 {
                        balancer.set_flag(&name, flag).unwrap();
                    }
                }
            }
            1 => {
                let name = format!("m{}", random.below(weights.len() as u64));
                let weight = 50 + u32::try_from(random.below(300)).unwrap();
                for balancer in [&balancer, &plain] {
                    balancer
                        .update(&name, |spec| {
                            spec.with_weight(Weight::from_hundredths(weight).unwrap())
                        })
                        .unwrap();
                }
            }
            2..9 if !held.is_empty() => {
                drop(held.swap_remove(random.below(held.len() as u64) as usize));
            }
            _ => {
                // Few keys, so that some are frequent.
                let number = random.below(1 + random.below(40));
                let request = PickRequest::new().with_hash(key(number));
                let group = group(&balancer);
                let sum: u64 = group.iter().map(|(_, in_flight, _)| in_flight).sum();
                assert_eq!(bounded.load.in_flight(), sum, "{step}");
                let peeked = balancer.explain(&request).picked().unwrap().name.clone();
                let lease = balancer.pick(&request).unwrap();
                assert_eq!(*lease.member().name(), *peeked);
                let find = |name: &str| group.iter().find(|one| one.0 == name).unwrap();
                let (name, before, weight) = find(lease.member().name());
                let most = bound(&group, percent.into(), *weight);
                assert!(*before < most, "{step}: {name} had {before} of {most}");
                let owner = plain.pick(&request).unwrap();
                let (owner, in_flight, weight) = find(owner.member().name());
                if owner != name {
                    moved += 1;
                    let most = bound(&group, percent.into(), *weight);
                    assert!(*in_flight >= most, "{step}: {owner} had room for its key");
                }
                held.push(lease);
            }
        }
    }
    assert!(moved > 0, "no bound was reached");
    drop(held);
    assert_eq!(bounded.load.in_flight(), 0);
}

#[test]
fn no_member_is_above_its_bound_and_keys_move_only_when_one_is_reached() {
    for (seed, percent) in [100, 125, 200].into_iter().enumerate() {
        let seed = seed as u64;
        let maglev = Maglev::with_table_size(1_009).unwrap();
        live(&[100; 6], percent, &maglev, seed);
        live(&[100, 300, 50, 100, 700], percent, &maglev, 10 + seed);
        live(
            &[100, 300, 50, 100, 700, 100, 100],
            percent,
            &Rendezvous::new(),
            20 + seed,
        );
        live(&[100; 40], percent, &Rendezvous::new(), 30 + seed);
    }
}

#[test]
fn with_one_hot_key_the_load_is_the_bound_and_not_more() {
    for (percent, expected) in [(100, 20), (125, 25), (200, 40)] {
        let (balancer, _) = bounded(&[100; 10], percent, Maglev::new());
        let request = PickRequest::new().with_hash(7);
        let held: Vec<_> = (0..200).map(|_| balancer.pick(&request).unwrap()).collect();
        let loads = balancer.members().into_iter().map(|one| one.in_flight());
        assert_eq!(loads.max(), Some(expected), "{percent}");
        drop(held);
    }
}

#[test]
fn the_wrapped_scheduler_may_be_chosen_at_run_time() {
    let inner: Box<dyn HashScheduler> = Box::new(Rendezvous::new());
    let (balancer, _) = bounded(&[100; 4], 100, inner);
    let request = PickRequest::new().with_hash(7);
    let held: Vec<_> = (0..8).map(|_| balancer.pick(&request).unwrap()).collect();
    let mut loads = balancer.members().into_iter().map(|one| one.in_flight());
    assert!(loads.all(|load| load == 2));
    drop(held);
}

#[test]
fn keys_that_are_passed_on_go_to_all_other_members() {
    let (balancer, _) = bounded(&[100; 20], 100, Maglev::new());
    let mut counts = [0_usize; 20];
    let index = |lease: &Lease<()>| lease.member().name()[1..].parse::<usize>().unwrap();
    for round in 0..200_u64 {
        // 10 requests of one key, on ten members.
        let request = PickRequest::new().with_hash(key(round));
        let held: Vec<_> = (0..10).map(|_| balancer.pick(&request).unwrap()).collect();
        held.iter().for_each(|lease| counts[index(lease)] += 1);
    }
    assert!(
        counts.iter().all(|count| count.abs_diff(100) < 40),
        "{counts:?}"
    );
}

#[test]
fn a_request_that_has_tried_members_goes_to_the_least_loaded_of_the_others() {
    let (balancer, _) = bounded(&[100, 100, 300], 100, Maglev::new());
    let request = PickRequest::new().with_hash(3);
    let held: Vec<_> = (0..10).map(|_| balancer.pick(&request).unwrap()).collect();
    let id = |name| balancer.member(name).unwrap().id();
    let tried = [id("m0"), id("m2")];
    let lease = balancer.pick(&request.with_tried(&tried)).unwrap();
    assert_eq!(lease.member().name(), "m1");
    let all = [id("m0"), id("m1"), id("m2")];
    let error = balancer.pick(&request.with_tried(&all)).unwrap_err();
    assert!(matches!(error, PickError::NoneUsable { .. }), "{error:?}");
    drop(held);
}

#[test]
fn members_at_their_caps_are_skipped() {
    let (balancer, _) = bounded(&[100; 3], 125, Rendezvous::new());
    for name in ["m0", "m1"] {
        balancer
            .update(name, |spec| spec.with_max_in_flight(1))
            .unwrap();
    }
    let held: Vec<_> = (0..20)
        .map(|number| {
            balancer
                .pick(&PickRequest::new().with_hash(key(number)))
                .unwrap()
        })
        .collect();
    assert_eq!(balancer.member("m2").unwrap().in_flight(), 18);
    balancer
        .update("m2", |spec| spec.with_max_in_flight(1))
        .unwrap();
    let error = balancer.pick(&PickRequest::new().with_hash(1)).unwrap_err();
    assert_eq!(error, PickError::AtCapacity);
    drop(held);
}

#[test]
fn the_sum_is_exact_after_threads_have_picked_while_members_change() {
    let (balancer, bounded) = bounded(&[100; 24], 125, Maglev::new());
    let sum = || -> u64 {
        let group = group(&balancer).into_iter();
        group.map(|(_, in_flight, _)| in_flight).sum()
    };
    for round in 0..4_u64 {
        let held = thread::scope(|scope| {
            let pick = |thread: u64| {
                let balancer = &balancer;
                move || {
                    let random = Random::seeded(round * 10 + thread);
                    let mut held = Vec::new();
                    for _ in 0..3_000 {
                        let request = PickRequest::new().with_hash(random.below(9));
                        held.push(balancer.pick(&request).unwrap());
                        if held.len() > 30 {
                            drop(held.swap_remove(random.below(30) as usize));
                        }
                    }
                    held
                }
            };
            let threads = [scope.spawn(pick(1)), scope.spawn(pick(2))];
            for number in 0..200_u64 {
                let name = format!("m{}", number % 24);
                balancer.set_flag(&name, Flag::Disabled).unwrap();
                balancer.clear_flag(&name, Flag::Disabled).unwrap();
            }
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(bounded.load.in_flight(), sum());
        drop(held);
        assert_eq!((bounded.load.in_flight(), sum()), (0, 0));
        assert_eq!(bounded.load.units(), 24 * 1_600);
    }
}

#[test]
fn an_explanation_names_the_members_at_their_bounds() {
    let (balancer, _) = bounded(&[100; 4], 125, Maglev::new());
    let request = PickRequest::new().with_hash(7);
    let owner = balancer.pick(&request).unwrap();
    let explained = balancer.explain(&request);
    assert_ne!(&*explained.picked().unwrap().name, owner.member().name());
    let details = explained.details();
    assert!(details.position.is_some(), "that of the wrapped scheduler");
    let expected = [
        "members may have 125 % of the average load: 3 requests in flight in total, by weight"
            .to_owned(),
        format!(
            "{} is at its bound: 1 requests in flight, and at most 1 allowed",
            owner.member().name()
        ),
    ];
    assert_eq!(details.notes[..], expected);
}

#[test]
fn a_pick_allocates_nothing() {
    let (balancer, _) = bounded(&[100; 50], 100, Maglev::new());
    let request = PickRequest::new().with_hash(7);
    let held: Vec<_> = (0..120).map(|_| balancer.pick(&request).unwrap()).collect();
    let counted = allocation_counter::measure(|| {
        for number in 0..200 {
            drop(
                balancer
                    .pick(&PickRequest::new().with_hash(number))
                    .unwrap(),
            );
            drop(balancer.pick(&PickRequest::new()).unwrap());
            drop(balancer.pick(&request).unwrap());
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    drop(held);
}
