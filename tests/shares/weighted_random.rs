//! Shares of random picks.

use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::member::Ramp;
use equipoise::scheduler::WeightedRandom;
use equipoise::{Balancer, Flag, MemberSpec};

use crate::support::{assert_near, balancer, counts, picked, weight};

#[test]
fn shares_are_the_weights() {
    let weights = [1, 2, 3, 10, 34, 50];
    let balancer = balancer(WeightedRandom::new(), weights.map(weight).into());
    let counts = counts(&balancer, 100_000);
    for (count, weight) in counts.into_iter().zip(weights) {
        assert_near(count, 1_000.0 * f64::from(weight), 0.08);
    }
}

#[test]
fn shares_are_those_of_the_eligible_members_even_if_they_are_few_of_many() {
    let balancer = balancer(
        WeightedRandom::new(),
        (0..200).map(|at| weight(1 + at % 2)).collect(),
    );
    for at in 0..196 {
        balancer
            .set_flag(&format!("m{at}"), Flag::Disabled)
            .unwrap();
    }
    let counts = counts(&balancer, 30_000);
    assert!(counts[..196].iter().all(|&count| count == 0));
    for (count, weight) in counts[196..].iter().zip([1.0, 2.0, 1.0, 2.0]) {
        assert_near(*count, 5_000.0 * weight, 0.06);
    }
}

#[test]
fn a_member_that_ramps_up_has_the_share_of_its_present_weight() {
    let clock = ManualClock::new();
    let balancer = Balancer::builder()
        .scheduler(WeightedRandom::new())
        .seed(7)
        .clock(clock.clone())
        .ramp(Ramp::over(Duration::from_secs(16)))
        .members((0..3).map(|at| (format!("m{at}"), at, MemberSpec::new())))
        .build()
        .unwrap();
    balancer.insert("m3", 3, MemberSpec::new()).unwrap();
    clock.advance(Duration::from_secs(8));
    drop(balancer.pick(&equipoise::PickRequest::new()));
    let explained = balancer.explain(&equipoise::PickRequest::new());
    let units = explained.members()[3].effective_weight.units();
    assert!((700..900).contains(&units), "about half: {units}");
    let share = f64::from(units) / f64::from(3 * 1_600 + units);
    assert_near(counts(&balancer, 40_000)[3], 40_000.0 * share, 0.06);
    clock.advance(Duration::from_secs(20));
    picked(&balancer);
    assert_near(counts(&balancer, 40_000)[3], 10_000.0, 0.06);
}
