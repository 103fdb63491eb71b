//! Requests in flight over time: [`InFlightSample`].

use std::ops::Range;
use std::time::Duration;

/// How many samples are kept at most; as many as a plot has use for.
const MOST: usize = 512;

/// How many requests are in flight at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InFlightSample {
    /// The time, from the start of the simulation.
    pub at: Duration,
    /// The requests in flight on all members together.
    pub total: u64,
    /// The requests in flight on the member that has most.
    pub longest: u32,
}

/// Takes samples at equal intervals, without knowing how long the simulation takes: when
/// there are too many, it drops every second one and doubles the interval.
#[derive(Debug)]
pub(super) struct SampleSeries {
    /// All times are in nanoseconds.
    every: u64,
    next: u64,
    end: u64,
    samples: Vec<InFlightSample>,
}

impl SampleSeries {
    /// `every` is the first interval.
    pub(super) fn new(every: u64) -> Self {
        Self {
            every: every.max(1),
            next: 0,
            end: u64::MAX,
            samples: Vec::with_capacity(MOST),
        }
    }

    /// Takes samples of a part of the time only.
    pub(super) fn within(during: Range<u64>) -> Self {
        let length = during.end.saturating_sub(during.start);
        Self {
            next: during.start,
            end: during.end,
            ..Self::new(length / MOST as u64 + 1)
        }
    }

    /// Takes the samples that are due before `now`, when something changes.
    #[inline]
    pub(super) fn advance(&mut self, now: u64, state: impl FnOnce() -> (u64, u32)) {
        if self.next < now.min(self.end) {
            self.sample(now, state());
        }
    }

    #[cold]
    fn sample(&mut self, now: u64, (total, longest): (u64, u32)) {
        while self.next < now.min(self.end) {
            if self.samples.len() == MOST {
                let mut odd = true;
                self.samples.retain(|_| {
                    odd = !odd;
                    !odd
                });
                // The last one that is kept was two intervals ago.
                self.every = self.every.saturating_mul(2);
                continue;
            }
            let at = Duration::from_nanos(self.next);
            self.samples.push(InFlightSample { at, total, longest });
            self.next = self.next.saturating_add(self.every);
        }
    }

    pub(super) fn into_samples(self) -> Vec<InFlightSample> {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, SampleSeries};

    #[test]
    fn samples_stay_evenly_spaced_however_long_it_takes() {
        let mut series = SampleSeries::new(1);
        for now in 1..100_000 {
            series.advance(now, || (now, 0));
        }
        let samples = series.into_samples();
        assert!((MOST / 2..=MOST).contains(&samples.len()));
        let gaps: Vec<_> = samples
            .windows(2)
            .map(|two| two[1].at - two[0].at)
            .collect();
        assert!(gaps.iter().all(|gap| *gap == gaps[0]), "{gaps:?}");
        for sample in &samples {
            assert_eq!(u128::from(sample.total), sample.at.as_nanos() + 1);
        }
    }

    #[test]
    fn a_part_of_the_time_is_sampled_finely() {
        let mut series = SampleSeries::within(1_000..2_000);
        for now in 1..100_000 {
            series.advance(now, || (now, 0));
        }
        let samples = series.into_samples();
        assert!((MOST / 2..=MOST).contains(&samples.len()));
        let ends = [samples[0], samples[samples.len() - 1]].map(|it| it.at.as_nanos());
        assert!(
            ends[0] == 1_000 && (1_990..2_000).contains(&ends[1]),
            "{ends:?}"
        );
    }

    #[test]
    fn a_long_pause_is_sampled_with_what_was_before() {
        let mut series = SampleSeries::new(10);
        series.advance(1_000_000, || (7, 3));
        let samples = series.into_samples();
        assert!(samples.iter().all(|it| (it.total, it.longest) == (7, 3)));
    }
}
