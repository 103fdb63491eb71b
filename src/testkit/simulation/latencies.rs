//! The distribution of latencies: [`Latencies`].
//!
//! Not here: which requests are counted (`engine`).

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram as Buckets;

/// Latencies of many requests, in buckets that are at most 0.1 % wide; the mean is exact.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::Latencies;
/// use std::time::Duration;
///
/// let mut latencies = Latencies::new();
/// for millis in 1..=1_000 {
///     latencies.record(Duration::from_millis(millis));
/// }
/// assert_eq!(latencies.count(), 1_000);
/// assert_eq!(latencies.mean(), Duration::from_micros(500_500));
/// assert_eq!(latencies.max(), Duration::from_secs(1));
/// assert!((latencies.quantile(0.99).as_secs_f64() - 0.99).abs() < 0.001);
/// assert!((latencies.share_above(Duration::from_millis(900)) - 0.1).abs() < 0.001);
/// ```
#[derive(Clone)]
pub struct Latencies {
    buckets: Buckets<u64>,
    sum: u128,
    max: u64,
}

impl Latencies {
    /// Creates an empty distribution.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buckets: buckets(),
            sum: 0,
            max: 0,
        }
    }

    /// Counts a latency.
    pub fn record(&mut self, latency: Duration) {
        self.record_nanos(super::nanos(latency));
    }

    #[inline]
    pub(super) fn record_nanos(&mut self, nanos: u64) {
        // The histogram grows as it has to.
        let recorded = self.buckets.record(nanos);
        debug_assert!(recorded.is_ok(), "{recorded:?}");
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// Returns how many latencies were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.len()
    }

    /// Returns the mean; zero if nothing was counted.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.sum / u128::from(self.count().max(1));
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// Returns the greatest latency; zero if nothing was counted.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// Returns the latency that the given share of requests, between 0 and 1, does not
    /// exceed: 0.5 gives the median, 0.99 the 99th percentile.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let value = self.buckets.value_at_quantile(share);
        Duration::from_nanos(value.min(self.max))
    }

    /// Returns the share of requests, between 0 and 1, whose latency is above a limit.
    #[must_use]
    pub fn share_above(&self, limit: Duration) -> f64 {
        let below = self.buckets.count_between(0, super::nanos(limit));
        1.0 - below as f64 / self.count().max(1) as f64
    }

    /// Iterates over the distribution as a curve: a latency, and the share of requests above
    /// it. The latencies ascend in steps of at least 0.1 %, the shares descend to 0.
    pub fn curve(&self) -> impl Iterator<Item = (Duration, f64)> + '_ {
        let all = self.count().max(1) as f64;
        let mut above = self.count();
        self.buckets.iter_recorded().map(move |step| {
            above -= step.count_since_last_iteration();
            let latency = step.value_iterated_to().min(self.max);
            (Duration::from_nanos(latency), above as f64 / all)
        })
    }
}

#[expect(clippy::expect_used, reason = "3 is a number of digits that it takes")]
fn buckets() -> Buckets<u64> {
    Buckets::new(3).expect("a valid number of digits")
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Latencies;
    use std::time::Duration;

    #[test]
    fn an_empty_distribution_has_zeros() {
        let empty = Latencies::new();
        assert_eq!(empty.mean(), Duration::ZERO);
        assert_eq!(empty.quantile(0.99), Duration::ZERO);
        assert_eq!(empty.curve().count(), 0);
    }

    #[test]
    fn the_curve_descends_from_all_to_none() {
        let mut latencies = Latencies::new();
        for nanos in [5, 5, 1_000_000, 3_600_000_000_000] {
            latencies.record(Duration::from_nanos(nanos));
        }
        let curve: Vec<_> = latencies.curve().map(|(_, share)| share).collect();
        assert_eq!(curve, [0.5, 0.25, 0.0]);
        assert_eq!(latencies.quantile(1.0), Duration::from_secs(3_600));
        assert_eq!(latencies.max(), Duration::from_secs(3_600));
    }
}
