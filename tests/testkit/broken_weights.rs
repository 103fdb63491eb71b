//! Schedulers that share by weight, but not by every weight, and that the laws of shares find.

use std::sync::atomic::{AtomicU64, Ordering};

use equipoise::scheduler::{Candidate, Candidates, Pick, PickContext, Scheduler};
use equipoise::testkit::laws;

/// What the units of a weight count for.
type PartsFn = fn(u32) -> u64;

/// The units of the weight 1.
const ONE: u32 = 1_600;

/// Draws members by a number that is made of their weights. In turns, it spreads the draws
/// evenly.
#[derive(Debug)]
struct Draws {
    parts: PartsFn,
    in_turns: bool,
    picks: AtomicU64,
}

impl Draws {
    fn new(parts: PartsFn) -> Self {
        Self {
            parts,
            in_turns: false,
            picks: AtomicU64::new(0),
        }
    }

    fn in_turns(parts: PartsFn) -> Self {
        Self {
            in_turns: true,
            ..Self::new(parts)
        }
    }
}

impl Scheduler for Draws {
    fn name(&self) -> &'static str {
        "draws"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let parts = |one: &Candidate<'_>| (self.parts)(one.weight().units());
        let total: u64 = candidates.iter().map(|one| parts(&one)).sum();
        if total == 0 {
            return candidates.claim_first(candidates.iter());
        }
        let mut rest = if self.in_turns {
            // A step of the golden section.
            let turn = self.picks.fetch_add(1, Ordering::Relaxed);
            let part = turn.wrapping_mul(11_400_714_819_323_198_485);
            u64::try_from((u128::from(part) * u128::from(total)) >> 64).unwrap()
        } else {
            context.random().below(total)
        };
        let drawn = candidates.iter().find(|one| {
            let is_drawn = rest < parts(one);
            rest = rest.wrapping_sub(parts(one));
            is_drawn
        });
        candidates.claim_first(drawn.into_iter().chain(candidates.iter()))
    }
}

/// Faults in how a weight is kept, as functions of its units.
const FAULTS: [(&str, PartsFn); 5] = [
    ("whole", |units| u64::from(units / ONE)),
    ("at least one", |units| u64::from(units / ONE).max(1)),
    ("a byte", |units| u64::from(units / ONE) & 0xff),
    ("two bytes", |units| u64::from(units) & 0xffff),
    ("hundredths in two bytes", |units| {
        u64::from(units / 16) & 0xffff
    }),
];

#[test]
fn a_weight_that_is_kept_in_full_is_right() {
    let drawn = || Draws::new(u64::from);
    laws::shares_by_weight(drawn, 1, 0.04).unwrap();
    laws::honours_ramps(drawn, 1, 0.04).unwrap();
    laws::starves_none(drawn, 20.0).unwrap();
    laws::is_monotone_in_weight(drawn, 1, 0.04).unwrap();
    laws::is_smooth(|| Draws::in_turns(u64::from), |_| 6.0, |_| 6.0).unwrap();
}

#[test]
fn a_weight_of_which_a_part_is_lost_is_found() {
    for (fault, parts) in FAULTS {
        let drawn = || Draws::new(parts);
        laws::shares_by_weight(drawn, 1, 0.04).expect_err(fault);
        laws::honours_ramps(drawn, 1, 0.04).expect_err(fault);
        let in_turns = || Draws::in_turns(parts);
        laws::is_smooth(in_turns, |_| 6.0, |_| 6.0).expect_err(fault);
    }
}

#[test]
fn a_weight_that_counts_as_zero_starves_its_member() {
    for (fault, parts) in FAULTS {
        if fault != "at least one" {
            laws::starves_none(|| Draws::new(parts), 20.0).expect_err(fault);
        }
    }
}

#[test]
fn a_weight_that_wraps_in_two_bytes_is_not_monotone() {
    for (fault, parts) in &FAULTS[3..] {
        laws::is_monotone_in_weight(|| Draws::new(*parts), 1, 0.04).expect_err(fault);
    }
}
