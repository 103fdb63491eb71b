//! The pick while there are too few reports: the less busy of two drawn members.
//!
//! Not here: how members are drawn (`lots`).

use super::choice::compare_loads;
use crate::random::Random;
use crate::scheduler::lots::Lots;
use crate::scheduler::{Candidate, Candidates};

/// Two members drawn in proportion to their weights.
///
/// Source: Mitzenmacher, *The power of two choices in randomized load balancing* (2001).
#[derive(Clone, Copy, Debug)]
pub(super) struct DrawnPair<'c> {
    pub(super) winner: Candidate<'c>,
    /// In the order of the draws; one if there is no other.
    drawn: [Option<Candidate<'c>>; 2],
}

impl<'c> DrawnPair<'c> {
    /// Draws two different members that are untried and have room, and compares their loads
    /// for each unit of weight; the first one wins a tie.
    pub(super) fn draw(
        candidates: &Candidates<'c>,
        random: &Random,
        load: impl Fn(&Candidate<'c>) -> u64,
    ) -> Option<Self> {
        let lots = candidates.plan::<Lots>();
        let first = Lots::draw(lots, candidates, random)?;
        let differs = |one: &Candidate<'c>| one.id() != first.id();
        let second = Lots::draw_if(lots, candidates, random, differs);
        let side = |one: &Candidate<'c>| (load(one), one.weight());
        let has_less = |second: &Candidate<'c>| compare_loads(side(&first), side(second)).is_gt();
        Some(Self {
            winner: second.filter(has_less).unwrap_or(first),
            drawn: [Some(first), second],
        })
    }

    pub(super) fn drawn(&self) -> impl Iterator<Item = Candidate<'c>> + use<'c> {
        self.drawn.into_iter().flatten()
    }
}
