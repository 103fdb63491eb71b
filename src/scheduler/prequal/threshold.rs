//! The load from which a report is hot: a quantile of the loads that were reported last
//! ([`HotThreshold`]).
//!
//! Not here: what becomes of a hot report (`choice`).

use std::array;

use crate::sync::{AtomicU64, Relaxed};

/// The number of loads whose quantile is the threshold.
const OBSERVED: usize = 128;

/// The share in units of 2^-16 that is the whole.
pub(super) const WHOLE: u64 = 1 << 16;

/// The loads of the last reports, and their quantile. All atomics are relaxed: a threshold
/// that misses a report is as good.
#[derive(Debug)]
pub(super) struct HotThreshold {
    loads: [AtomicU64; OBSERVED],
    count: AtomicU64,
    threshold: AtomicU64,
}

impl HotThreshold {
    pub(super) fn new() -> Self {
        Self {
            loads: array::from_fn(|_| AtomicU64::new(0)),
            count: AtomicU64::new(0),
            threshold: AtomicU64::new(0),
        }
    }

    /// Adds the load of a report, and computes the quantile again.
    pub(super) fn observe(&self, load: u64, quantile: u64) {
        let count = self.count.fetch_add(1, Relaxed);
        self.loads[index(count)].store(load, Relaxed);
        let mut sorted: [u64; OBSERVED] = array::from_fn(|at| self.loads[at].load(Relaxed));
        let known = usize::try_from(count).map_or(OBSERVED, |count| OBSERVED.min(count + 1));
        let known = &mut sorted[..known];
        let last = known.len() - 1;
        let at = (last as u64 * quantile.min(WHOLE)) / WHOLE;
        let at = usize::try_from(at).map_or(last, |at| at.min(last));
        let (_, threshold, _) = known.select_nth_unstable(at);
        self.threshold.store(*threshold, Relaxed);
    }

    /// Forgets all loads.
    pub(super) fn clear(&self) {
        self.count.store(0, Relaxed);
        self.threshold.store(0, Relaxed);
    }

    /// Returns the quantile; loads above it are hot.
    pub(super) fn get(&self) -> u64 {
        self.threshold.load(Relaxed)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than 128")]
fn index(count: u64) -> usize {
    (count % OBSERVED as u64) as usize
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{HotThreshold, WHOLE};

    #[test]
    fn the_threshold_is_the_quantile_of_the_last_128_loads() {
        let threshold = HotThreshold::new();
        threshold.observe(7, WHOLE / 2);
        assert_eq!(threshold.get(), 7);
        for load in 0..=1_000 {
            threshold.observe(load, WHOLE / 2);
        }
        // The loads from 873 to 1000 count.
        assert_eq!(threshold.get(), 873 + 63);
        threshold.observe(1_000, WHOLE * 84 / 100);
        assert_eq!(threshold.get(), 874 + 106);
        threshold.clear();
        assert_eq!(threshold.get(), 0);
        threshold.observe(3, WHOLE / 2);
        assert_eq!(threshold.get(), 3, "the earlier loads do not count");
    }
}
