//! Shares of the requests, drawn from a source that repeats itself.

use equipoise::proxy::{Rule, StaticResponse};
use equipoise::random::Random;
use http::Request;

use crate::{ask, builder};

async fn drawn(rule: Rule, of: usize, seed: u64) -> usize {
    let router = builder()
        .respond(rule, StaticResponse::text("drawn"))
        .random(Random::seeded(seed))
        .build()
        .unwrap();
    let mut drawn = 0;
    for _ in 0..of {
        drawn += usize::from(ask(&router, Request::get("/")).await.1 == "drawn");
    }
    drawn
}

#[tokio::test]
async fn a_share_is_what_it_says_within_what_chance_allows() {
    for (percent, seed) in [(10.0, 1), (5.0, 2), (50.0, 3), (0.5, 4)] {
        let share: f64 = percent / 100.0;
        let expected = 10_000.0 * share;
        // Five standard deviations of a binomial distribution.
        let slack = 5.0 * (expected * (1.0 - share)).sqrt();
        let drawn = drawn(Rule::new().percent(percent), 10_000, seed).await;
        let off = (f64::from(u32::try_from(drawn).unwrap()) - expected).abs();
        assert!(off <= slack, "{percent} %: {drawn}");
    }
}

#[tokio::test]
async fn nothing_and_everything_are_shares() {
    assert_eq!(drawn(Rule::new().percent(0.0), 1_000, 7).await, 0);
    assert_eq!(drawn(Rule::new().percent(100.0), 1_000, 7).await, 1_000);
    let none = Rule::new().unless(Rule::new().percent(100.0));
    assert_eq!(drawn(none, 1_000, 7).await, 0);
}

#[tokio::test]
async fn one_seed_draws_one_sequence() {
    let rule = || Rule::new().percent(30.0);
    assert_eq!(drawn(rule(), 100, 7).await, drawn(rule(), 100, 7).await);
}

#[tokio::test]
async fn nothing_is_drawn_for_a_request_that_is_not_meant() {
    let rules = |before: &str| {
        // The share is said first, and drawn last.
        let other = Rule::new().percent(50.0).path(before);
        builder()
            .respond(other, StaticResponse::text("other"))
            .respond(Rule::new().percent(50.0), StaticResponse::text("drawn"))
            .random(Random::seeded(7))
            .build()
            .unwrap()
    };
    let alone = builder()
        .respond(Rule::new().percent(50.0), StaticResponse::text("drawn"))
        .random(Random::seeded(7))
        .build()
        .unwrap();
    let behind = rules("/elsewhere");
    for _ in 0..100 {
        let asked = ask(&behind, Request::get("/")).await.1;
        assert_eq!(asked, ask(&alone, Request::get("/")).await.1);
    }
}
