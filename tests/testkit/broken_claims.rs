//! Schedulers that claim wrongly: they drop a claim, or ask for more than one.

use equipoise::scheduler::{ClaimError, Pick};
use equipoise::testkit::laws;

use crate::broken::{Plain, assert_report};

#[test]
fn a_claim_that_is_not_returned_is_found() {
    let forgetful = || {
        Plain("forgetful", |candidates, _| {
            drop(candidates.claim_first(candidates.iter()));
            Pick::NoneUsable
        })
    };
    assert_report(
        laws::picks_candidates_only(forgetful),
        "\
`forgetful` breaks a law: a pick claims one of the candidates
members (seed 3):
  m0: weight 1
steps:
  1. pick -> a claim that was not returned
expected: m0: eligible, untried and below its cap
found: a claim that was not returned",
    );
}

/// A second claim is refused, so the pick returns the first one, though it means the last.
#[test]
fn a_second_claim_is_found() {
    let greedy = || {
        Plain("greedy", |candidates, _| {
            let mut last = Pick::NoneUsable;
            for one in candidates.iter() {
                match (candidates.claim(one.id()), &last) {
                    (Ok(claim), _) => last = Pick::Claimed(claim),
                    (Err(ClaimError::AtCapacity), Pick::NoneUsable) => last = Pick::AtCapacity,
                    _ => {}
                }
            }
            last
        })
    };
    assert_report(
        laws::picks_candidates_only(greedy),
        "\
`greedy` breaks a law: a pick claims one of the candidates
members (seed 4):
  m0: weight 1
steps:
  1. insert m2: weight 1
  2. pick -> a claim after one that succeeded
expected: m0 or m2: eligible, untried and below its cap
found: a claim after one that succeeded",
    );
    laws::honours_tried(greedy).unwrap_err();
    laws::respects_caps(greedy).unwrap_err();
    laws::survives_churn(greedy).unwrap_err();
}

#[test]
fn a_claim_that_is_made_before_the_order_is_known_is_found() {
    let hasty = || {
        Plain("hasty", |candidates, _| {
            let hasty = candidates.at(0).map(|one| candidates.claim(one.id()));
            match (hasty, candidates.claim_first(candidates.iter())) {
                (Some(Ok(claim)), _) => Pick::Claimed(claim),
                (_, pick) => pick,
            }
        })
    };
    let violation = laws::check_all(hasty).unwrap_err();
    assert_eq!(violation.found(), "a claim after one that succeeded");
}
