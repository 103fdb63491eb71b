//! The hot–cold rule: which of the pooled reports wins ([`Contenders`]).
//!
//! Not here: the pool, and what a pick changes in it.

use std::cmp::Ordering;

use super::failures::ONE_FAILURE;
use super::pool::{PLACES, PooledReport};
use crate::member::{EffectiveWeight, MemberId};
use crate::random::Random;
use crate::scheduler::Candidate;
use crate::scheduler::sampling::LoadPerWeight;

/// The units of weight 1.
const UNITS_OF_ONE: u64 = 100 * EffectiveWeight::UNITS_PER_HUNDREDTH as u64;

/// One report whose member can be picked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender<'c> {
    pub(super) report: PooledReport,
    pub(super) candidate: Candidate<'c>,
    /// Failed requests that still count, in units of [`ONE_FAILURE`].
    pub(super) debt: u64,
    pub(super) is_hot: bool,
}

impl Contender<'_> {
    /// Returns the requests in flight with the one that is to be picked for, and the failed
    /// ones that still count; in units of [`ONE_FAILURE`].
    pub(super) fn load(&self) -> u64 {
        load(self.report.in_flight, self.debt)
    }

    /// Compares loads for each unit of weight.
    pub(super) fn compare_loads(&self, other: &Self) -> Ordering {
        let of = |one: &Self| LoadPerWeight::new(one.load(), one.candidate.weight());
        of(self).compare(&of(other))
    }

    /// Compares by the rule; the lesser wins.
    fn compare(&self, other: &Self) -> Ordering {
        match (self.is_hot, other.is_hot) {
            (false, false) => self.report.latency.cmp(&other.report.latency),
            (true, true) => self.compare_loads(other),
            (false, true) => Ordering::Less,
            (true, false) => Ordering::Greater,
        }
    }
}

/// Returns a load with one more request, in units of [`ONE_FAILURE`].
pub(super) fn load(in_flight: u32, debt: u64) -> u64 {
    (u64::from(in_flight) + 1) * ONE_FAILURE + debt
}

/// Returns the load for weight 1 of a load on a member of a weight, for the threshold.
pub(super) fn by_weight(load: u64, units: u32) -> u64 {
    load * UNITS_OF_ONE / u64::from(units.max(1))
}

/// The reports whose members can be picked for one request.
#[derive(Debug)]
pub(super) struct Contenders<'c> {
    all: [Option<Contender<'c>>; PLACES],
    len: usize,
}

impl<'c> Contenders<'c> {
    pub(super) fn new(all: impl Iterator<Item = Contender<'c>>) -> Self {
        let mut contenders = Self {
            all: [None; PLACES],
            len: 0,
        };
        for (place, contender) in contenders.all.iter_mut().zip(all) {
            *place = Some(contender);
            contenders.len += 1;
        }
        contenders
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Contender<'c>> {
        self.all.iter().flatten()
    }

    /// Returns the report that wins: of the cold ones that with the least latency, otherwise
    /// that with the least load. One of several equal ones is drawn.
    pub(super) fn choose(&self, random: &Random) -> Option<Contender<'c>> {
        let mut best: Option<&Contender<'c>> = None;
        let mut equal = 1;
        for one in self.iter() {
            match best.map_or(Ordering::Less, |best| one.compare(best)) {
                Ordering::Less => (best, equal) = (Some(one), 1),
                Ordering::Equal => {
                    equal += 1;
                    if random.below(equal) == 0 {
                        best = Some(one);
                    }
                }
                Ordering::Greater => {}
            }
        }
        best.copied()
    }

    /// Leaves out the report of a member that cannot be claimed.
    pub(super) fn leave_out(&mut self, member: MemberId) {
        for place in &mut self.all {
            if place.is_some_and(|it| it.candidate.id() == member) {
                *place = None;
                self.len -= 1;
            }
        }
    }

    /// Returns the oldest report.
    pub(super) fn oldest(&self) -> Option<&Contender<'c>> {
        self.iter().min_by_key(|it| it.report.age_key())
    }

    /// Returns the worst report: of the hot ones that with the highest load, otherwise that
    /// with the highest latency; the oldest of several equal ones.
    pub(super) fn worst(&self) -> Option<&Contender<'c>> {
        let older = |one: &Contender<'c>, other: &Contender<'c>| {
            other.report.age_key().cmp(&one.report.age_key())
        };
        self.iter()
            .max_by(|one, other| one.compare(other).then_with(|| older(one, other)))
    }
}
