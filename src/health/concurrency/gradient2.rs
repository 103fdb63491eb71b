//! A limit that follows the gradient of latency: [`Gradient2`].

use std::time::Duration;

use super::rule::{Bounds, LimitRule, LimitSample, whole};

/// Compares the current time to the response head with its long-term mean. If responses
/// take longer, requests are queueing, and the limit shrinks. Otherwise it grows by the
/// allowed queue.
///
/// It is `Gradient2Limit` of Netflix's [concurrency-limits] with the same defaults. After
/// each window:
///
/// ```text
/// long     = exponential mean of the times of 600 windows (the plain mean of the first 10)
/// long     = 0.95 × long                            if long > 2 × time
/// gradient = max(0.5, min(1, 1.5 × long / time))
/// limit    = 0.8 × limit + 0.2 × (limit × gradient + 4)
/// ```
///
/// The initial limit is 20, the bounds are 20 and 200. The limit does not change if fewer
/// requests than half of it were in flight.
///
/// A lasting state becomes normal: if requests queue without a pause for hundreds of
/// windows, the long-term mean follows, and the limit grows slowly. Set the largest limit
/// to what a member can bear.
///
/// [concurrency-limits]: https://github.com/Netflix/concurrency-limits
///
/// # Examples
///
/// ```
/// use equipoise::health::{Gradient2, LimitRule, LimitSample};
/// use std::time::Duration;
///
/// let mut rule = Gradient2::new().with_bounds(1, 100).with_initial(20);
/// let usual = LimitSample::new(Duration::from_millis(10)).with_in_flight(100);
/// for _ in 0..100 {
///     rule.update(usual);
/// }
/// assert_eq!(rule.limit(), 100, "nothing queues");
///
/// for _ in 0..20 {
///     rule.update(LimitSample::new(Duration::from_millis(50)).with_in_flight(100));
/// }
/// assert!(rule.limit() < 40);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Gradient2 {
    limit: f64,
    bounds: Bounds,
    queue: f64,
    smoothing: f64,
    tolerance: f64,
    long: Mean,
}

/// The number of windows in the long-term mean, and of the first ones that are averaged
/// plainly.
const LONG_WINDOW: f64 = 600.0;
const WARM_UP: u32 = 10;

impl Gradient2 {
    /// Creates the rule with its defaults.
    pub const fn new() -> Self {
        Self {
            limit: 20.0,
            bounds: Bounds::DEFAULT,
            queue: 4.0,
            smoothing: 0.2,
            tolerance: 1.5,
            long: Mean {
                value: 0.0,
                sum: 0.0,
                count: 0,
            },
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

    /// Sets how many requests may queue, 4 by default. The limit grows by this number, and
    /// does not shrink below twice this number, however long responses take.
    pub fn with_queue(mut self, requests: u32) -> Self {
        self.queue = requests.into();
        self
    }

    /// Sets the weight of a new limit in percent, from 1 to 100; 20 by default.
    pub fn with_smoothing_percent(mut self, percent: u8) -> Self {
        self.smoothing = f64::from(percent.clamp(1, 100)) / 100.0;
        self
    }

    /// Sets the tolerated time to the response head in percent of the usual time, at least
    /// 100; 150 by default.
    pub fn with_tolerance_percent(mut self, percent: u16) -> Self {
        self.tolerance = f64::from(percent.max(100)) / 100.0;
        self
    }

    /// Returns the usual time to the response head: the long-term mean.
    #[must_use]
    pub fn usual_time(&self) -> Duration {
        Duration::try_from_secs_f64(self.long.value / 1e9).unwrap_or_default()
    }
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self::new()
    }
}

impl LimitRule for Gradient2 {
    fn limit(&self) -> u32 {
        whole(self.limit)
    }

    fn update(&mut self, sample: LimitSample) {
        if sample.time() == Duration::ZERO {
            // There was no response.
            return;
        }
        let time = sample.time().as_secs_f64() * 1e9;
        self.long.add(time);
        if self.long.value > 2.0 * time {
            self.long.value *= 0.95;
        }
        if f64::from(sample.in_flight()) < self.limit / 2.0 {
            return;
        }
        let gradient = (self.tolerance * self.long.value / time).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + self.queue;
        let next = self.limit * (1.0 - self.smoothing) + wanted * self.smoothing;
        self.limit = self.bounds.clamp(next);
    }
}

/// A mean that is plain at first and exponential later.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mean {
    value: f64,
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, sample: f64) {
        if self.count < WARM_UP {
            self.count += 1;
            self.sum += sample;
            self.value = self.sum / f64::from(self.count);
        } else {
            let share = 2.0 / (LONG_WINDOW + 1.0);
            self.value = self.value * (1.0 - share) + sample * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gradient2, LimitRule, LimitSample, Mean};
    use proptest::prelude::{any, prop, prop_assert, proptest};
    use std::time::Duration;

    fn window(millis: u64, in_flight: u32) -> LimitSample {
        LimitSample::new(Duration::from_millis(millis)).with_in_flight(in_flight)
    }

    #[test]
    fn a_mean_is_plain_for_ten_windows_and_exponential_then() {
        let mut mean = Mean {
            value: 0.0,
            sum: 0.0,
            count: 0,
        };
        for sample in 1..=10 {
            mean.add(f64::from(sample));
        }
        assert!((mean.value - 5.5).abs() < 1e-9);
        mean.add(606.5);
        assert!((mean.value - (5.5 + 601.0 * 2.0 / 601.0)).abs() < 1e-9);
    }

    #[test]
    fn each_step_is_the_formulas() {
        let mut rule = Gradient2::new();
        rule.update(window(10, 20));
        // A gradient of 1: 20 × 0.8 + 24 × 0.2.
        assert!((rule.limit - 20.8).abs() < 1e-9);
        rule.update(window(70, 20));
        // The mean is 40 ms; 1.5 × 40 / 70.
        let wanted = 20.8 * (60.0 / 70.0) + 4.0;
        assert!((rule.limit - (20.8 * 0.8 + wanted * 0.2)).abs() < 1e-9);
    }

    #[test]
    fn the_limit_stays_if_less_than_half_is_in_flight_or_there_is_no_response() {
        let mut rule = Gradient2::new();
        let before = rule;
        rule.update(LimitSample::new(Duration::ZERO).with_in_flight(99));
        assert_eq!(rule, before);
        for _ in 0..50 {
            rule.update(window(10, 9));
        }
        assert_eq!(rule.limit(), 20);
        assert_eq!(rule.usual_time(), Duration::from_millis(10));
    }

    #[test]
    fn it_stays_near_the_capacity_of_a_member_that_queues() {
        // A member with 8 workers of 10 ms: more in flight than that wait.
        let mut rule = Gradient2::new().with_bounds(1, 1_000).with_initial(4);
        for _ in 0..100 {
            let in_flight = rule.limit();
            let time = 10 * u64::from(in_flight.max(8)) / 8;
            rule.update(window(time, in_flight));
        }
        // 8 work, 8 × 0.5 are tolerated, and some queue.
        assert!((12..=24).contains(&rule.limit()), "{}", rule.limit());
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds_and_never_halves_at_once(
            samples in prop::collection::vec((any::<u64>(), any::<u32>()), 0..200),
            min in 0_u32..50,
            max in 0_u32..500,
        ) {
            let mut rule = Gradient2::new().with_bounds(min, max);
            for (nanos, in_flight) in samples {
                let before = rule.limit;
                rule.update(LimitSample::new(Duration::from_nanos(nanos)).with_in_flight(in_flight));
                let limit = rule.limit();
                prop_assert!(limit >= min.max(1) && limit <= max.max(min).max(1));
                prop_assert!(rule.limit >= before * 0.9 - 1e-9 && rule.limit <= before + 0.8 + 1e-9);
            }
        }
    }
}
