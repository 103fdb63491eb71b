//! How many requests in flight members get, and how much an idle one attracts.

use equipoise::random::Random;
use equipoise::scheduler::{LeastRequest, WeightedRandom};
use equipoise::{Flag, Lease, MemberSpec, PickRequest, Scheduler};

use crate::support::{Indexed, assert_near, balancer, counts, pick, weight};

fn drawing(choices: usize) -> LeastRequest {
    let scheduler = LeastRequest::new().with_scan_max(0).unwrap();
    scheduler.with_choices(choices).unwrap()
}

/// Holds so many requests on each member but the first.
fn occupied(balancer: &Indexed, requests: usize) -> Vec<Lease<usize>> {
    let mut held = Vec::new();
    for at in 1..balancer.len() {
        let name = format!("m{at}");
        for _ in 0..requests {
            let request = PickRequest::new().with_session_member(Some(&name));
            held.push(balancer.pick(&request).unwrap());
        }
    }
    held
}

#[test]
fn an_idle_member_gets_at_most_one_pick_for_each_draw_of_it() {
    for choices in [2, 3, 10] {
        let balancer = balancer(drawing(choices), vec![MemberSpec::new(); 40]);
        let _held = occupied(&balancer, 5);
        let count = counts(&balancer, 20_000)[0];
        assert_near(count, 20_000.0 * choices as f64 / 40.0, 0.06);
    }
}

/// The bound of the documentation: the sum of `w / (W - S)`.
#[test]
fn an_idle_member_of_any_weight_gets_no_more_than_its_bound() {
    let weights: Vec<u32> = (1..=40).collect();
    for idle in [1_usize, 20, 40] {
        let mut weights = weights.clone();
        weights.swap(0, idle - 1);
        let total: u32 = weights.iter().sum();
        let heaviest = weights[1..].iter().max().unwrap();
        let balancer = balancer(drawing(2), weights.iter().copied().map(weight).collect());
        let _held = occupied(&balancer, 60);
        let share = f64::from(weights[0]) / f64::from(total);
        let bound = share + f64::from(weights[0]) / f64::from(total - heaviest);
        let count = counts(&balancer, 40_000)[0];
        assert!(
            (count as f64) < 40_000.0 * bound * 1.06,
            "{idle}: {count}, {bound}"
        );
        assert!((count as f64) > 40_000.0 * share * 1.8, "{idle}: {count}");
    }
}

/// A member with nearly all of the weight is drawn with others only now and then: the time of
/// a pick stays constant.
#[test]
fn a_member_with_most_of_the_weight_does_not_prevent_choices() {
    let mut specs = vec![MemberSpec::new(); 100];
    specs[0] = weight(900);
    let balancer = balancer(drawing(2), specs);
    let held: Vec<_> = (0..3_000).map(|_| pick(&balancer)).collect();
    let heavy = held.iter().filter(|lease| ***lease == 0).count();
    // Nine tenths of them, as the weights say.
    assert_near(heavy, 2_703.0, 0.05);
}

#[test]
fn few_members_are_all_compared_and_chance_settles_ties() {
    let balancer = balancer(LeastRequest::new(), vec![MemberSpec::new(); 16]);
    for count in counts(&balancer, 16_000) {
        assert_near(count, 1_000.0, 0.12);
    }
    let held: Vec<_> = (0..160).map(|_| pick(&balancer)).collect();
    let members = balancer.members();
    assert!(members.iter().all(|member| member.in_flight() == 10));
    drop(held);
}

#[test]
fn requests_in_flight_are_in_proportion_to_weights() {
    let weights = [1, 2, 3, 4];
    for scheduler in [LeastRequest::new(), drawing(3)] {
        let scans = format!("{scheduler:?}");
        let balancer = balancer(scheduler, weights.map(weight).into());
        let _held: Vec<_> = (0..1_000).map(|_| pick(&balancer)).collect();
        for (member, weight) in balancer.members().iter().zip(weights) {
            let off = member.in_flight().abs_diff(100 * weight);
            assert!(
                off <= 4,
                "{scans}: {} of weight {weight}",
                member.in_flight()
            );
        }
    }
}

/// Balls into bins: the fullest of n bins has about ln n / ln ln n of n balls by one choice,
/// and ln ln n / ln 2 by the better of two.
#[test]
fn the_better_of_two_choices_keeps_the_longest_queue_short() {
    fn longest(scheduler: impl Scheduler) -> u32 {
        let balancer = balancer(scheduler, vec![MemberSpec::new(); 2_000]);
        let _held: Vec<_> = (0..2_000).map(|_| pick(&balancer)).collect();
        let members = balancer.members();
        members.iter().map(|one| one.in_flight()).max().unwrap()
    }
    assert!(longest(WeightedRandom::new()) >= 5);
    assert!((2..=4).contains(&longest(drawing(2))));
    assert!((2..=3).contains(&longest(drawing(10))));
}

/// With requests that end in random order, at 90 % of what the members serve.
#[test]
fn long_queues_are_rare() {
    let balancer = balancer(drawing(2), vec![MemberSpec::new(); 50]);
    let random = Random::seeded(1);
    let mut held: Vec<Lease<usize>> = Vec::new();
    let (mut long, mut rounds) = (0, 0);
    for round in 0..20_000 {
        held.push(pick(&balancer));
        if held.len() > 100 {
            let at = usize::try_from(random.below(held.len() as u64)).unwrap();
            drop(held.swap_remove(at));
        }
        if round > 1_000 && round % 100 == 0 {
            rounds += 1;
            let members = balancer.members();
            long += members.iter().filter(|one| one.in_flight() > 5).count();
        }
    }
    // Two requests a member on average. By random picks, 1.7 % of the members have more than 5.
    let share = long as f64 / (50 * rounds) as f64;
    assert!(share < 0.002, "{share}");
}

/// How often each member is the second one drawn, over so many picks.
fn second_draws(balancer: &Indexed, picks: usize) -> Vec<usize> {
    let mut counts = vec![0; balancer.len()];
    for _ in 0..picks {
        let explanation = balancer.explain(&PickRequest::new());
        let samples = &explanation.details().samples;
        assert_eq!(samples.len(), 2, "{explanation}");
        assert_ne!(samples[0], samples[1]);
        let members = balancer.members();
        let second = members.iter().find(|it| it.id() == samples[1]).unwrap();
        counts[second.name()[1..].parse::<usize>().unwrap()] += 1;
        drop(pick(balancer));
    }
    counts
}

#[test]
fn two_members_are_drawn_though_one_has_nearly_all_the_weight() {
    let drawing = LeastRequest::new().with_scan_max(0).unwrap();
    let specs = [1_000, 6, 3, 1].map(weight);
    let counts = second_draws(&balancer(drawing, specs.into()), 3_000);
    assert_near(counts[1], 1_800.0, 0.1);
    assert_near(counts[2], 900.0, 0.1);
}

#[test]
fn two_members_are_drawn_though_most_cannot_be_picked() {
    let drawing = LeastRequest::new().with_scan_max(0).unwrap();
    let balancer = balancer(drawing, vec![MemberSpec::new(); 50]);
    for at in 2..50 {
        balancer
            .set_flag(&format!("m{at}"), Flag::Disabled)
            .unwrap();
    }
    let counts = second_draws(&balancer, 500);
    assert_near(counts[0], 250.0, 0.2);
}
