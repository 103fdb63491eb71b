//! Two schedulers to compare with, as short as they can be: [`TwoChoices`] and [`Uniform`].
//!
//! Not here: weighted and complete ones, which are in the crate.

use std::cmp::Ordering;

use equipoise::scheduler::{Candidate, Candidates, Pick, PickContext, Scheduler};

/// Draws the index of a member below `end`.
fn draw(context: &PickContext<'_>, end: usize) -> usize {
    usize::try_from(context.random().below(end as u64)).unwrap_or(0)
}

/// Compares requests in flight per unit of weight, with the one to come.
fn by_load(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let load = |one: &Candidate<'_>, other: &Candidate<'_>| {
        u64::from(one.state().in_flight() + 1) * u64::from(other.weight().units())
    };
    load(a, b).cmp(&load(b, a))
}

/// The less busy of two random members.
#[derive(Debug)]
pub(crate) struct TwoChoices;

impl Scheduler for TwoChoices {
    fn name(&self) -> &'static str {
        "p2c"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let count = candidates.len();
        let first = draw(context, count);
        // Another one, if there is one.
        let second = (first + 1 + draw(context, count.saturating_sub(1))) % count.max(1);
        let drawn = [first, second].map(|at| candidates.at(at));
        let best = drawn.into_iter().flatten().min_by(by_load);
        candidates.claim_first(best.into_iter().chain(candidates.iter()))
    }
}

/// A random member, whatever its weight.
#[derive(Debug)]
pub(crate) struct Uniform;

impl Scheduler for Uniform {
    fn name(&self) -> &'static str {
        "random"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let drawn = candidates.at(draw(context, candidates.len()));
        candidates.claim_first(drawn.into_iter().chain(candidates.iter()))
    }
}
