//! Models of schedulers that draw two members and compare their loads: [`two_choices`] and
//! [`PeakCost`].
//!
//! Not here: a comparison of all members ([`least_requests`](super::least_requests)).

use std::time::Duration;

use crate::clock::Timestamp;

/// Returns the chance of each member if two different ones are drawn in proportion to their
/// weights, and the one with the less load for each unit of weight is picked; the first one
/// drawn on a tie. Each member is given by its load and its weight; one with the weight 0 is
/// not drawn.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::two_choices;
///
/// // The idle member is picked whenever it is drawn, and the busiest one never.
/// let chances = two_choices(&[(0, 1), (5, 1), (9, 1)]);
/// let expected = [2.0 / 3.0, 1.0 / 3.0, 0.0];
/// assert!(chances.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-9));
/// ```
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "weights below 2^53")]
pub fn two_choices(members: &[(u64, u64)]) -> Vec<f64> {
    let total: u64 = members.iter().map(|&(_, weight)| weight).sum();
    let mut chances = vec![0.0; members.len()];
    for (first, &(load, weight)) in members.iter().enumerate() {
        if weight == 0 {
            continue;
        }
        let chance = weight as f64 / total as f64;
        let rest = total - weight;
        if rest == 0 {
            chances[first] += chance;
            continue;
        }
        for (second, &(other_load, other_weight)) in members.iter().enumerate() {
            if second == first {
                continue;
            }
            let ours = u128::from(load) * u128::from(other_weight);
            let theirs = u128::from(other_load) * u128::from(weight);
            let winner = if theirs < ours { second } else { first };
            chances[winner] += chance * other_weight as f64 / rest as f64;
        }
    }
    chances
}

/// The cost of one member, as [`PeakEwma`](crate::scheduler::PeakEwma) keeps it: a time that
/// is longer than the average replaces it, and a shorter one lowers it exponentially. While
/// a request waits for the head of its response, the cost of the last record is compared.
///
/// The exponential is the platform's, so a comparison with the scheduler must allow for
/// rounding. The scheduler keeps times in steps of a quarter of a millisecond.
///
/// Source: Finagle's `PeakEwma`.
///
/// # Examples
///
/// ```
/// use equipoise::clock::Timestamp;
/// use equipoise::testkit::models::PeakCost;
/// use std::time::Duration;
///
/// let start = Timestamp::ORIGIN;
/// let decay = Duration::from_secs(10);
/// let mut cost = PeakCost::new(Duration::from_millis(10), decay, start);
/// cost.record(Duration::from_millis(200), start);
/// assert_eq!(cost.nanos(start), 2e8, "a peak");
/// let later = start + decay;
/// assert!((cost.nanos(later) - 2e8 / std::f64::consts::E).abs() < 1.0);
/// assert_eq!(cost.compared_nanos(true, later), 2e8, "a request waits");
/// cost.record(Duration::from_millis(100), later);
/// assert!((cost.nanos(later) - 1e8 - 1e8 / std::f64::consts::E).abs() < 1.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PeakCost {
    nanos: f64,
    at: Timestamp,
    decay: Duration,
}

impl PeakCost {
    /// Creates the cost of a new member. `decay` is the time in which a cost decays to 1/e.
    #[must_use]
    pub fn new(cost: Duration, decay: Duration, at: Timestamp) -> Self {
        Self {
            nanos: in_nanos(cost),
            at,
            decay,
        }
    }

    /// Returns the share of the stored cost that is left at `now`.
    fn left(&self, now: Timestamp) -> f64 {
        (-now.since(self.at).as_secs_f64() / self.decay.as_secs_f64()).exp()
    }

    /// Returns the cost at `now`, in nanoseconds.
    #[must_use]
    pub fn nanos(&self, now: Timestamp) -> f64 {
        self.nanos * self.left(now)
    }

    /// Returns the cost that is compared at `now`, in nanoseconds: that of the last record, if
    /// a request was picked after the last head of a response and is in flight.
    #[must_use]
    pub fn compared_nanos(&self, awaits_head: bool, now: Timestamp) -> f64 {
        if awaits_head {
            self.nanos
        } else {
            self.nanos(now)
        }
    }

    /// Records the time of a response.
    pub fn record(&mut self, time: Duration, now: Timestamp) {
        let (time, left) = (in_nanos(time), self.left(now));
        self.nanos = if time >= self.nanos {
            time
        } else {
            time * (1.0 - left) + self.nanos * left
        };
        self.at = self.at.max(now);
    }

    /// Records the time of a request that was cancelled before the head of its response:
    /// only if it is longer than the cost at `now`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use equipoise::testkit::models::PeakCost;
    /// use std::time::Duration;
    ///
    /// let (millis, start) = (Duration::from_millis, Timestamp::ORIGIN);
    /// let mut cost = PeakCost::new(millis(10), millis(10_000), start);
    /// cost.record_cancelled(millis(9), start);
    /// assert_eq!(cost.nanos(start), 1e7);
    /// cost.record_cancelled(millis(11), start);
    /// assert_eq!(cost.nanos(start), 1.1e7);
    /// ```
    pub fn record_cancelled(&mut self, time: Duration, now: Timestamp) {
        if in_nanos(time) > self.nanos(now) {
            self.nanos = in_nanos(time);
            self.at = self.at.max(now);
        }
    }
}

fn in_nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}
