//! A pick by load: all members if they are few, otherwise some that are drawn
//! ([`Sampling`]).
//!
//! Not here: what a load is, and how members are drawn (`lots.rs`).

use std::cmp::Ordering;
use std::time::Duration;

use super::lots::{Lots, MOST_CHOICES, claim_chosen, is_open};
use super::{Candidate, Candidates, Pick, PickContext, PickDetails};
use crate::member::{EffectiveWeight, MemberId, MemberState, Weight};

/// The most members that can be scanned: one bit each.
const MOST_SCANNED: usize = u64::BITS as usize;

/// The reason why a setting of [`LeastRequest`](super::LeastRequest) or
/// [`PeakEwma`](super::PeakEwma) is refused.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{LeastRequest, SamplingError};
///
/// let error = LeastRequest::new().with_choices(1).unwrap_err();
/// assert_eq!(error, SamplingError::Choices);
/// assert_eq!(error.to_string(), "a pick draws from 2 to 10 members");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// The number of members to draw is not from 2 to 10.
    #[error("a pick draws from 2 to 10 members")]
    Choices,
    /// The time of a decay is not from 1 ms to 1 day.
    #[error("a decay takes from 1 ms to 1 day")]
    DecayTime,
    /// A failure counts as more than 1 000 requests.
    #[error("a failure counts as at most 1000 requests")]
    FailureDebt,
    /// A cost is above 1 hour.
    #[error("a cost is at most 1 hour")]
    Cost,
    /// The number of members to scan is above 64.
    #[error("a pick scans at most 64 members")]
    ScanMax,
}

/// How members are sampled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampling {
    choices: usize,
    scan_max: usize,
}

/// A load for each unit of weight; loads are compared exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadPerWeight {
    amount: u64,
    weight: EffectiveWeight,
}

impl LoadPerWeight {
    pub(super) fn new(amount: u64, weight: EffectiveWeight) -> Self {
        Self { amount, weight }
    }

    /// Returns the load for a weight of 1, to be shown.
    pub(super) fn shown(&self) -> f64 {
        let one = f64::from(EffectiveWeight::from(Weight::ONE).units());
        self.amount as f64 * one / f64::from(self.weight.units())
    }

    #[inline]
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let of = |load: &Self, weight: EffectiveWeight| {
            u128::from(load.amount) * u128::from(weight.units())
        };
        of(self, other.weight).cmp(&of(other, self.weight))
    }
}

impl Sampling {
    pub(super) const fn new(scan_max: usize) -> Self {
        Self {
            choices: 2,
            scan_max,
        }
    }

    pub(super) fn with_choices(self, choices: usize) -> Result<Self, SamplingError> {
        let is_valid = (2..=MOST_CHOICES).contains(&choices);
        let with = Self { choices, ..self };
        is_valid.then_some(with).ok_or(SamplingError::Choices)
    }

    pub(super) fn with_scan_max(self, scan_max: usize) -> Result<Self, SamplingError> {
        let is_valid = scan_max <= MOST_SCANNED;
        let with = Self { scan_max, ..self };
        is_valid.then_some(with).ok_or(SamplingError::ScanMax)
    }

    /// Picks and claims the member with the least load among those that are sampled.
    #[inline]
    pub(super) fn pick<'c>(
        self,
        candidates: &Candidates<'c>,
        context: &PickContext<'_>,
        load: impl Fn(&Candidate<'c>) -> LoadPerWeight,
    ) -> Pick<'c> {
        claim_chosen(candidates, |refused| {
            self.choose(candidates, context, refused, &load)
        })
    }

    pub(super) fn peek<'c>(
        self,
        candidates: &Candidates<'c>,
        context: &PickContext<'_>,
        load: impl Fn(&Candidate<'c>) -> LoadPerWeight,
    ) -> Option<MemberId> {
        let chosen = self.choose(candidates, context, &[], &load);
        chosen.map(MemberState::id)
    }

    /// Returns the members that a pick compares, with their loads in units of `unit`.
    pub(super) fn explain<'c>(
        self,
        candidates: &Candidates<'c>,
        context: &PickContext<'_>,
        load: impl Fn(&Candidate<'c>) -> LoadPerWeight,
        (measure, unit): (&'static str, f64),
    ) -> PickDetails {
        let score = |details: PickDetails, one: Candidate<'c>| {
            details.score(one.id(), load(&one).shown() / unit)
        };
        let details = PickDetails::comparing(measure).ignoring_hash(context);
        if self.scans(candidates) {
            let open = candidates.iter().filter(|one| is_open(candidates, one));
            return open.fold(details, score);
        }
        let mut drawn = Vec::new();
        self.draw(candidates, context, &[], |one| drawn.push(one));
        let drawn = drawn.into_iter();
        drawn.fold(details, |details, one| score(details.sample(one.id()), one))
    }

    #[inline]
    fn scans(self, candidates: &Candidates<'_>) -> bool {
        candidates.len() <= self.scan_max
    }

    #[inline]
    fn draw<'c>(
        self,
        candidates: &Candidates<'c>,
        context: &PickContext<'_>,
        refused: &[Option<MemberId>],
        each: impl FnMut(Candidate<'c>),
    ) {
        let allowed = |one: &Candidate<'c>| !is_refused(refused, one.id());
        let (lots, random) = (candidates.plan(), context.random());
        Lots::draw_several(lots, candidates, random, self.choices, allowed, each);
    }

    #[inline]
    fn choose<'c>(
        self,
        candidates: &Candidates<'c>,
        context: &PickContext<'_>,
        refused: &[Option<MemberId>],
        load: &impl Fn(&Candidate<'c>) -> LoadPerWeight,
    ) -> Option<&'c MemberState> {
        if self.scans(candidates) {
            return scan(candidates, context, refused, load);
        }
        // The first one drawn wins a tie: so ties are settled by weight.
        let mut least: Option<(LoadPerWeight, &'c MemberState)> = None;
        self.draw(candidates, context, refused, |one| {
            let load = load(&one);
            if least.is_none_or(|(least, _)| load.compare(&least).is_lt()) {
                least = Some((load, one.state()));
            }
        });
        least.map(|(_, state)| state)
    }
}

#[inline]
fn is_refused(refused: &[Option<MemberId>], member: MemberId) -> bool {
    // Hardly ever is there one.
    !refused.is_empty() && refused.contains(&Some(member))
}

/// Returns the member with the least load of all; chance settles ties.
fn scan<'c>(
    candidates: &Candidates<'c>,
    context: &PickContext<'_>,
    refused: &[Option<MemberId>],
    load: &impl Fn(&Candidate<'c>) -> LoadPerWeight,
) -> Option<&'c MemberState> {
    let mut least: Option<LoadPerWeight> = None;
    // One bit for each member that has the least load.
    let mut tied = 0_u64;
    for index in 0..candidates.len().min(MOST_SCANNED) {
        let Some(one) = candidates.at(index) else {
            break;
        };
        if !is_open(candidates, &one) || is_refused(refused, one.id()) {
            continue;
        }
        let load = load(&one);
        match least.map_or(Ordering::Less, |least| load.compare(&least)) {
            Ordering::Less => (least, tied) = (Some(load), 1 << index),
            Ordering::Equal => tied |= 1 << index,
            Ordering::Greater => {}
        }
    }
    if tied.count_ones() > 1 {
        for _ in 0..context.random().below(tied.count_ones().into()) {
            tied &= tied - 1;
        }
    }
    let first = candidates.at(tied.trailing_zeros() as usize);
    first.filter(|_| tied != 0).map(|one| one.state())
}

/// Returns a time within which a value may decay.
pub(super) fn checked_decay(time: Duration) -> Result<Duration, SamplingError> {
    let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
    let is_valid = range.contains(&time);
    is_valid.then_some(time).ok_or(SamplingError::DecayTime)
}

#[cfg(test)]
mod tests {
    use super::{LoadPerWeight, Sampling, SamplingError};
    use crate::member::{EffectiveWeight, Weight};

    #[test]
    fn loads_are_compared_per_weight_and_exactly() {
        let load = |amount, hundredths| {
            let weight = Weight::from_hundredths(hundredths).unwrap();
            LoadPerWeight::new(amount, EffectiveWeight::from(weight))
        };
        assert!(load(2, 200).compare(&load(1, 100)).is_eq());
        assert!(load(1, 300).compare(&load(1, 299)).is_lt());
        let most = u64::MAX;
        assert!(
            load(most, 6_553_500)
                .compare(&load(most, 6_553_499))
                .is_lt()
        );
        assert!(
            load(most - 1, 6_553_500)
                .compare(&load(most, 6_553_500))
                .is_lt()
        );
        assert_eq!(load(3, 200).shown(), 1.5);
    }

    #[test]
    fn settings_outside_their_range_are_refused() {
        let sampling = Sampling::new(16);
        for choices in [0, 1, 11, usize::MAX] {
            let refused = sampling.with_choices(choices).unwrap_err();
            assert_eq!(refused, SamplingError::Choices);
        }
        assert!(sampling.with_choices(2).is_ok() && sampling.with_choices(10).is_ok());
        assert_eq!(
            sampling.with_scan_max(65).unwrap_err(),
            SamplingError::ScanMax
        );
        assert!(sampling.with_scan_max(0).is_ok() && sampling.with_scan_max(64).is_ok());
    }
}
