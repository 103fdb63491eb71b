//! Additive increase, multiplicative decrease: [`Aimd`].

use std::time::Duration;

use super::rule::{Bounds, LimitRule, LimitSample, whole};

/// Adds one to the limit after a window that used at least half of it; takes a tenth off
/// after a window with a dropped request, or one that was too slow.
///
/// It is `AIMDLimit` of Netflix's [concurrency-limits] with the same defaults: an initial
/// limit of 20, bounds of 20 and 200, a backoff of 0.9, and 5 s as too slow.
///
/// The rule is that of congestion avoidance: Chiu, Jain, *Analysis of the increase and
/// decrease algorithms for congestion avoidance in computer networks* (1989).
///
/// [concurrency-limits]: https://github.com/Netflix/concurrency-limits
///
/// # Examples
///
/// ```
/// use equipoise::health::{Aimd, LimitRule, LimitSample};
/// use std::time::Duration;
///
/// let mut rule = Aimd::new().with_bounds(1, 100).with_initial(10);
/// let busy = LimitSample::new(Duration::from_millis(5)).with_in_flight(5);
/// rule.update(busy);
/// assert_eq!(rule.limit(), 11);
/// rule.update(busy.with_dropped(true));
/// assert_eq!(rule.limit(), 9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Aimd {
    limit: f64,
    bounds: Bounds,
    backoff: f64,
    too_slow: Duration,
}

impl Aimd {
    /// Creates the rule with its defaults.
    pub const fn new() -> Self {
        Self {
            limit: 20.0,
            bounds: Bounds::DEFAULT,
            backoff: 0.9,
            too_slow: Duration::from_secs(5),
        }
    }

    /// Sets the initial limit, which is clamped to the bounds.
    pub fn with_initial(mut self, limit: u32) -> Self {
        self.limit = self.bounds.clamp(limit.into());
        self
    }

    /// Sets the smallest and the largest limit; the smallest is at least 1.
    pub fn with_bounds(mut self, min: u32, max: u32) -> Self {
        self.bounds = Bounds::new(min, max);
        self.limit = self.bounds.clamp(self.limit);
        self
    }

    /// Sets what remains of the limit after a drop, in percent, from 1 to 99; 90 by
    /// default.
    pub fn with_backoff_percent(mut self, percent: u8) -> Self {
        self.backoff = f64::from(percent.clamp(1, 99)) / 100.0;
        self
    }

    /// Sets the mean time to the response head that counts as a drop; 5 s by default.
    pub const fn with_timeout(mut self, time: Duration) -> Self {
        self.too_slow = time;
        self
    }
}

impl Default for Aimd {
    fn default() -> Self {
        Self::new()
    }
}

impl LimitRule for Aimd {
    fn limit(&self) -> u32 {
        whole(self.limit)
    }

    fn update(&mut self, sample: LimitSample) {
        let next = if sample.is_dropped() || sample.time() > self.too_slow {
            (self.limit * self.backoff).floor()
        } else if f64::from(sample.in_flight()) * 2.0 >= self.limit {
            self.limit + 1.0
        } else {
            self.limit
        };
        self.limit = self.bounds.clamp(next);
    }
}

#[cfg(test)]
mod tests {
    use super::{Aimd, LimitRule, LimitSample};
    use std::time::Duration;

    const FAST: LimitSample = LimitSample::new(Duration::from_millis(1));

    #[test]
    fn it_grows_by_one_only_while_half_of_it_is_used() {
        let mut rule = Aimd::new();
        rule.update(FAST.with_in_flight(9));
        assert_eq!(rule.limit(), 20, "9 of 20 are no reason to grow");
        let used = [10, 10, 11, 11, 12].map(|in_flight| {
            rule.update(FAST.with_in_flight(in_flight));
            rule.limit()
        });
        assert_eq!(used, [21, 21, 22, 23, 24].map(|it| it));
    }

    #[test]
    fn it_shrinks_by_a_tenth_and_stays_within_its_bounds() {
        let mut rule = Aimd::new().with_bounds(5, 30).with_initial(100);
        let mut limits = Vec::new();
        for _ in 0..20 {
            limits.push(rule.limit());
            rule.update(FAST.with_dropped(true));
        }
        assert_eq!(limits[..7], [30, 27, 24, 21, 18, 16, 14]);
        assert_eq!(rule.limit(), 5);
        for _ in 0..99 {
            rule.update(FAST.with_in_flight(u32::MAX));
        }
        assert_eq!(rule.limit(), 30);
        rule.update(LimitSample::new(Duration::from_secs(6)));
        assert_eq!(rule.limit(), 27);
    }
}
