//! Times to the response head of one member, in a histogram of fixed size: [`Histogram`].
//!
//! Each octave has four steps: the error of a median is at most a quarter. What does not
//! live here: which medians are too large (`statistics.rs`).

use std::time::Duration;

use crate::sync::{AtomicU32, Relaxed};

/// Steps in an octave, as a power of two.
const STEP_BITS: u32 = 2;
const STEPS: usize = 1 << STEP_BITS;
/// Octaves of microseconds: up to 2^32 µs, more than an hour.
const BUCKETS: usize = 32 * STEPS;

/// Times to the response head since the last drain; half a kilobyte.
pub(super) struct Histogram(
    // Relaxed: sums; a time that is added during a drain counts for the next interval.
    Box<[AtomicU32]>,
);

impl Histogram {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU32::new(0)).collect())
    }

    #[inline]
    pub(super) fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.0.get(index(micros)) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    /// Moves the counts into `counts`; a concurrent addition is not lost.
    pub(super) fn drain(&self, counts: &mut HistogramCounts) {
        for (bucket, count) in self.0.iter().zip(&mut counts.0) {
            *count = match bucket.load(Relaxed) {
                0 => 0,
                _ => bucket.swap(0, Relaxed),
            };
        }
    }
}

/// The counts of a drained histogram.
#[derive(Debug)]
pub(super) struct HistogramCounts([u32; BUCKETS]);

impl HistogramCounts {
    pub(super) const fn new() -> Self {
        Self([0; BUCKETS])
    }

    /// Returns the number of times.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|&count| u64::from(count)).sum()
    }

    /// Returns the median in microseconds, in the middle of its step; `None` without times.
    pub(super) fn median(&self) -> Option<u64> {
        let total = self.total();
        let rank = total.div_ceil(2);
        let mut seen = 0;
        let bucket = self.0.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank && total > 0
        })?;
        let (low, high) = (floor_of(bucket), floor_of(bucket + 1));
        Some(low + (high - low) / 2)
    }
}

/// Returns the bucket of a time.
fn index(micros: u64) -> usize {
    let micros = micros.min(u64::from(u32::MAX)).max(1);
    let octave = micros.ilog2();
    // The two bits below the first.
    let step = if octave >= STEP_BITS {
        micros >> (octave - STEP_BITS)
    } else {
        micros << (STEP_BITS - octave)
    };
    let step = usize::try_from(step).unwrap_or(0) % STEPS;
    octave as usize * STEPS + step
}

/// Returns the smallest time of a bucket.
fn floor_of(bucket: usize) -> u64 {
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    ((STEPS + step) as u64) << octave >> STEP_BITS
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, HistogramCounts, floor_of, index};
    use std::time::Duration;

    #[test]
    fn a_time_is_in_the_bucket_whose_floor_is_below_it() {
        for micros in (0..5_000).chain([1 << 20, (1 << 31) + 7, u64::from(u32::MAX), u64::MAX]) {
            let bucket = index(micros);
            assert!(bucket < BUCKETS);
            let seen = micros.clamp(1, u32::MAX.into());
            assert!(floor_of(bucket) <= seen, "{micros}");
            assert!(seen < floor_of(bucket + 1) || floor_of(bucket + 1) == floor_of(bucket));
        }
    }

    #[test]
    fn a_median_is_at_most_a_quarter_off_and_draining_empties() {
        let histogram = Histogram::new();
        let mut counts = HistogramCounts::new();
        for median in [3_u64, 100, 999, 10_000, 1_234_567] {
            for part in 0..101 {
                histogram.add(Duration::from_micros(median * (50 + part) / 100));
            }
            histogram.drain(&mut counts);
            assert_eq!(counts.total(), 101);
            let found = counts.median().unwrap();
            assert!(found.abs_diff(median) * 4 <= median + 3, "{found} {median}");
        }
        histogram.drain(&mut counts);
        assert_eq!((counts.total(), counts.median()), (0, None));
    }
}
