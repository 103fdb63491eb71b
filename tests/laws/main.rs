//! The laws of a balancer, held to under random lives of it.
//!
//! `model` says what a balancer does, as plainly as possible, with the elections of
//! `equipoise::testkit::models`; `ops` dreams up what may happen to one; `twins` lets a balancer and its model live through it
//! side by side. Set `PROPTEST_CASES` to try more lives than a quick run does.

#![allow(clippy::unwrap_used, reason = "a panic is how a law is found broken")]
#![allow(clippy::expect_used, reason = "a panic is how a law is found broken")]

mod fairness;
mod found;
mod long_runs;
mod maglev;
mod many_weights;
mod member;
mod methods;
mod model;
mod operator;
mod ops;
mod threads;
mod twins;

use methods::Method;
use ops::{World, hundredths};
use proptest::prelude::*;
use proptest::sample::select;
use twins::Twins;

const ALL: [Method; 5] = [
    Method::Busyness,
    Method::WeightedBusyness,
    Method::Requests,
    Method::Traffic,
    Method::TrafficCatchingUp,
];

/// `cases` lives, or as many as `PROPTEST_CASES` asks for.
fn lives(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 5_000,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}

/// A few members, and every kind of change.
fn small(weights: BoxedStrategy<equipoise::Weight>) -> World {
    World {
        names: 6,
        weights,
        methods: ALL.to_vec(),
        picks: 12,
    }
}

proptest! {
    #![proptest_config(lives(128))]

    #[test]
    fn members_of_equal_weight_live_by_the_model(
        scenario in small(hundredths(Just(100))).scenario(0..=6, 0..=200)
    ) {
        Twins::live(&scenario);
    }

    #[test]
    fn members_of_few_weights_live_by_the_model(
        scenario in small(hundredths(select(vec![100, 150, 200, 500, 700]))).scenario(0..=6, 0..=200)
    ) {
        Twins::live(&scenario);
    }

    #[test]
    fn members_of_extreme_weights_live_by_the_model(
        scenario in small(hundredths(select(vec![1, 2, 6_553_499, 6_553_500]))).scenario(0..=6, 0..=200)
    ) {
        Twins::live(&scenario);
    }

    #[test]
    fn members_that_are_few_and_then_many_live_by_the_model(
        scenario in World {
            names: 22,
            picks: 25,
            ..small(hundredths(select(vec![100, 100, 300])))
        }
        .scenario(13..=22, 0..=200)
    ) {
        Twins::live(&scenario);
    }

    #[test]
    fn members_of_any_weight_live_by_the_model(
        scenario in small(hundredths(1..=10_000_u32)).scenario(0..=6, 0..=200)
    ) {
        Twins::live(&scenario);
    }
}
