//! The hot–cold rule: which of the pooled reports wins ([`Contenders`]).
//!
//! Not here: the pool, and what a pick changes in it.

use std::cmp::Ordering;

use super::failures::ONE_FAILURE;
use super::pool::{PLACES, PooledReport};
use crate::member::{EffectiveWeight, MemberId, MemberState};
use crate::random::Random;

/// The units of weight 1.
const UNITS_OF_ONE: u64 = 100 * EffectiveWeight::UNITS_PER_HUNDREDTH as u64;

/// One report whose member can be picked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender<'c> {
    pub(super) report: PooledReport,
    pub(super) state: &'c MemberState,
    /// The weight that counts now.
    pub(super) weight: EffectiveWeight,
    /// The requests in flight with the one that is to be picked for, and the failed ones that
    /// still count; in units of [`ONE_FAILURE`].
    pub(super) load: u64,
    pub(super) is_hot: bool,
}

impl Contender<'_> {
    /// Compares loads for each unit of weight.
    #[inline]
    pub(super) fn compare_loads(&self, other: &Self) -> Ordering {
        // A load has 33 bits at most, and a weight 27.
        let of = |one: &Self, weight: EffectiveWeight| one.load * u64::from(weight.units());
        of(self, other.weight).cmp(&of(other, self.weight))
    }

    /// Compares by the rule; the lesser wins.
    #[inline]
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
#[inline]
pub(super) fn load(in_flight: u32, debt: u64) -> u64 {
    (u64::from(in_flight) + 1) * ONE_FAILURE + debt
}

/// Returns the load for weight 1 of a load on a member of a weight, for the threshold.
pub(super) fn by_weight(load: u64, units: u32) -> u64 {
    load * UNITS_OF_ONE / u64::from(units.max(1))
}

/// The reports whose members can be picked for one request, in the order of their places.
#[derive(Debug)]
pub(super) struct Contenders<'c> {
    all: [Option<Contender<'c>>; PLACES],
    /// One bit for each index: whether it was not left out.
    left: u32,
}

const _: () = assert!(PLACES <= u32::BITS as usize);

impl<'c> Contenders<'c> {
    pub(super) fn none() -> Self {
        Self {
            all: [None; PLACES],
            left: 0,
        }
    }

    /// Adds a report, whose place in the pool must come after those of the others.
    #[inline]
    pub(super) fn add(&mut self, contender: Contender<'c>) {
        let place = contender.report.place;
        self.all[place] = Some(contender);
        self.left |= 1 << place;
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.left.count_ones() as usize
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contender<'c>> {
        let mut left = self.left;
        std::iter::from_fn(move || {
            let one = self.all.get(left.trailing_zeros() as usize)?;
            left &= left.wrapping_sub(1);
            one.as_ref()
        })
    }

    /// Returns the report that wins: of the cold ones that with the least latency, otherwise
    /// that with the least load. One of several equal ones is drawn.
    pub(super) fn choose(&self, random: &Random) -> Option<&Contender<'c>> {
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
        best
    }

    /// Leaves out the reports of a member that cannot be claimed.
    pub(super) fn leave_out(&mut self, member: MemberId) {
        for place in 0..PLACES {
            if self.all[place].is_some_and(|it| it.report.member == member) {
                self.left &= !(1 << place);
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
