//! How a member's weight grows after it has joined or recovered: [`Ramp`] (slow start).
//!
//! Not here: when a ramp begins (`balancer`), and how a factor scales a
//! weight (`weight.rs`).

use std::time::Duration;

use crate::clock::Timestamp;

/// Steps of all ramps lie on multiples of this time of the clock. However many members ramp
/// at once, they cause at most ten updates of the picture a second.
const GRID_NANOS: u64 = 100_000_000;

/// The steps up to the full weight.
const FULL: u32 = 16;

/// How the weight of a member grows after it has joined or recovered (slow start).
///
/// A ramp begins when a member joins a running balancer, and whenever its health is good
/// again: after an error, an ejection or a failed check. After `window` the member has its
/// full weight, exactly as configured. Until then its weight at time *t* is
///
/// * weight × *t* / window: linear, as HAProxy's [`slowstart`];
/// * weight × max(min, (*t* / window) ^ (1 / aggression)) with an
///   [aggression](Self::with_aggression): Envoy's [slow start].
///
/// Weights grow in sixteenths, rounded down but never below one, at multiples of 100 ms of
/// the balancer's clock. A window that is too short for 16 such times has fewer steps.
///
/// The members that a balancer is built with do not ramp, as in HAProxy: all of them are
/// new, and no other member could take over their share. For the same reason members that
/// recover together, as by [forced recovery](crate::balancer::Builder::forced_recovery),
/// begin their ramps together: their shares are those of their full weights. A ramp reduces
/// a member's share; it never prevents a pick.
///
/// A scheduler that does not use weights, such as
/// [`Heartbeat`](crate::scheduler::Heartbeat), ignores ramps. Sessions stay with a member
/// that ramps, and its cap is not scaled.
///
/// [`slowstart`]: https://docs.haproxy.org/3.0/configuration.html#5.2-slowstart
/// [slow start]: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start
///
/// # Examples
///
/// ```
/// use equipoise::clock::ManualClock;
/// use equipoise::member::Ramp;
/// use equipoise::{Balancer, MemberSpec, PickRequest};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let balancer = Balancer::builder()
///     .clock(clock.clone())
///     .ramp(Ramp::over(Duration::from_secs(60)))
///     .member("a", (), MemberSpec::new())
///     .build()?;
/// balancer.insert("b", (), MemberSpec::new())?;
/// clock.advance(Duration::from_secs(15));
///
/// // "b" has a quarter of its weight: it gets one request in five.
/// let pick = |_| balancer.pick(&PickRequest::new()).unwrap().member().name() == "b";
/// assert_eq!((0..50).map(pick).filter(|&b| b).count(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "slowstart")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Ramp {
    window_nanos: u64,
    /// In hundredths; 100 is linear.
    aggression: u16,
    min_percent: u8,
}

impl Ramp {
    /// No ramp: the full weight at once. It exempts a member where the balancer sets a ramp
    /// for all.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Ramp;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Ramp::NONE, Ramp::over(Duration::ZERO));
    /// ```
    pub const NONE: Self = Self {
        window_nanos: 0,
        aggression: 100,
        min_percent: 0,
    };

    /// Returns a linear ramp of this length, which starts at one sixteenth.
    pub fn over(window: Duration) -> Self {
        Self {
            window_nanos: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            ..Self::NONE
        }
    }

    /// Sets how fast the weight grows at first: above 1 faster than later, below 1 slower
    /// (Envoy: `aggression`). It is stored in hundredths.
    ///
    /// # Errors
    ///
    /// [`RampError`] if it is not from 0.01 to 100.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Ramp;
    /// use std::time::Duration;
    ///
    /// let ramp = Ramp::over(Duration::from_secs(60)).with_aggression(2.0)?.with_min_percent(10);
    /// assert_eq!(ramp.aggression(), 2.0);
    /// assert!(ramp.with_aggression(0.0).is_err());
    /// # Ok::<(), equipoise::member::RampError>(())
    /// ```
    pub fn with_aggression(mut self, aggression: f64) -> Result<Self, RampError> {
        if !(0.01..=100.0).contains(&aggression) {
            return Err(RampError(()));
        }
        let hundredths = (aggression * 100.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number within the range, checked above"
        )]
        let hundredths = hundredths as u16;
        self.aggression = hundredths;
        Ok(self)
    }

    /// Sets the initial weight, in percent of the full weight (Envoy: `min_weight_percent`,
    /// there 10 by default); values above 100 count as 100.
    pub const fn with_min_percent(mut self, percent: u8) -> Self {
        self.min_percent = if percent > 100 { 100 } else { percent };
        self
    }

    /// Returns the length of the ramp.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Ramp;
    /// use std::time::Duration;
    ///
    /// let ramp = Ramp::over(Duration::from_secs(60));
    /// assert_eq!(ramp.window(), Duration::from_secs(60));
    /// assert_eq!((ramp.aggression(), ramp.min_percent()), (1.0, 0));
    /// ```
    #[must_use]
    pub const fn window(self) -> Duration {
        Duration::from_nanos(self.window_nanos)
    }

    /// Returns the aggression; 1 is linear.
    #[must_use]
    pub fn aggression(self) -> f64 {
        f64::from(self.aggression) / 100.0
    }

    /// Returns the initial weight, in percent of the full weight.
    #[must_use]
    pub const fn min_percent(self) -> u8 {
        self.min_percent
    }

    /// Returns the stage at `now` of a ramp that began at `since`.
    pub(crate) fn at(self, since: Timestamp, now: Timestamp) -> RampStage {
        let now = now.as_nanos() / GRID_NANOS * GRID_NANOS;
        let elapsed = now.saturating_sub(since.as_nanos());
        let least = (u32::from(self.min_percent) * FULL / 100).max(1);
        let mut sixteenths = self.guess(elapsed).clamp(1, FULL);
        // An estimate that rounding has moved is corrected by the times of its neighbours.
        while sixteenths > 1 && self.time_of(sixteenths) > elapsed {
            sixteenths -= 1;
        }
        while sixteenths < FULL && self.time_of(sixteenths + 1) <= elapsed {
            sixteenths += 1;
        }
        let sixteenths = sixteenths.max(least);
        let next = (sixteenths < FULL).then(|| {
            let exact = since
                .as_nanos()
                .saturating_add(self.time_of(sixteenths + 1));
            let on_grid = exact.div_ceil(GRID_NANOS).saturating_mul(GRID_NANOS);
            Timestamp::from_nanos(on_grid)
        });
        RampStage { sixteenths, next }
    }

    /// Returns the step at `elapsed`, at most one off.
    fn guess(self, elapsed: u64) -> u32 {
        if elapsed >= self.window_nanos {
            return FULL;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "from 0 to 16, and set right by the caller"
        )]
        if self.aggression == 100 {
            (u128::from(elapsed) * u128::from(FULL) / u128::from(self.window_nanos)) as u32
        } else {
            let share = elapsed as f64 / self.window_nanos as f64;
            (share.powf(1.0 / self.aggression()) * f64::from(FULL)) as u32
        }
    }

    /// Returns the time, in nanoseconds, after which a step is reached.
    fn time_of(self, sixteenths: u32) -> u64 {
        if sixteenths >= FULL {
            return self.window_nanos;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of the window, which is a u64"
        )]
        if self.aggression == 100 {
            let nanos = u128::from(self.window_nanos) * u128::from(sixteenths);
            nanos.div_ceil(u128::from(FULL)) as u64
        } else {
            let share = (f64::from(sixteenths) / f64::from(FULL)).powf(self.aggression());
            (share * self.window_nanos as f64).ceil() as u64
        }
    }
}

/// The stage of a ramp at a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RampStage {
    /// The sixteenths of the full weight; 16 once the ramp is over.
    pub(crate) sixteenths: u32,
    /// When the next step is due.
    pub(crate) next: Option<Timestamp>,
}

/// The error for a number that cannot be the aggression of a [`Ramp`].
///
/// # Examples
///
/// ```
/// use equipoise::member::Ramp;
///
/// let error = Ramp::NONE.with_aggression(f64::NAN).unwrap_err();
/// assert_eq!(error.to_string(), "an aggression must be from 0.01 to 100; 1 is linear");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an aggression must be from 0.01 to 100; 1 is linear")]
pub struct RampError(());

#[cfg(test)]
mod tests {
    use super::{FULL, GRID_NANOS, Ramp};
    use crate::clock::Timestamp;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::ORIGIN + Duration::from_millis(millis)
    }

    #[test]
    fn a_linear_ramp_reaches_each_sixteenth_in_its_time() {
        let ramp = Ramp::over(SECOND * 16);
        for step in 1..=16_u64 {
            let stage = ramp.at(at(700), at(700 + step * 1000));
            assert_eq!(u64::from(stage.sixteenths), step);
            let just_before = ramp.at(at(700), at(699 + step * 1000));
            assert_eq!(u64::from(just_before.sixteenths), (step - 1).max(1));
        }
    }

    #[test]
    fn every_step_is_where_the_formula_says_on_the_grid() {
        for aggression in [0.25, 0.5, 1.0, 1.5, 2.0, 10.0] {
            for min in [0, 10, 50, 100] {
                let ramp = Ramp::over(SECOND * 30).with_aggression(aggression).unwrap();
                let ramp = ramp.with_min_percent(min);
                let since = at(1_234);
                for millis in (0..40_000).step_by(50) {
                    let now = at(millis);
                    let grid = now.as_nanos() / GRID_NANOS * GRID_NANOS;
                    let elapsed = grid.saturating_sub(since.as_nanos());
                    #[expect(clippy::cast_precision_loss, reason = "a test's")]
                    let share = (elapsed as f64 / 30e9).min(1.0).powf(1.0 / aggression);
                    let wanted = share.max(f64::from(min) / 100.0) * 16.0;
                    let found = f64::from(ramp.at(since, now).sixteenths);
                    let fits = found <= wanted + 1e-6 || found == 1.0;
                    assert!(fits && found > wanted - 1.0 - 1e-6, "{found} for {wanted}");
                }
            }
        }
    }

    #[test]
    fn the_next_step_is_due_when_it_is_taken_and_not_before() {
        for aggression in [0.3, 1.0, 2.5] {
            let ramp = Ramp::over(SECOND * 7).with_aggression(aggression).unwrap();
            let (mut now, mut steps) = (at(77), 0);
            loop {
                let stage = ramp.at(at(77), now);
                let Some(next) = stage.next else {
                    assert_eq!(stage.sixteenths, FULL);
                    break;
                };
                assert_eq!(next.as_nanos() % GRID_NANOS, 0);
                let before = Timestamp::from_nanos(next.as_nanos() - 1);
                assert_eq!(ramp.at(at(77), before).sixteenths, stage.sixteenths);
                assert!(ramp.at(at(77), next).sixteenths > stage.sixteenths);
                now = next;
                steps += 1;
            }
            assert!(steps <= 15);
            assert!(now.since(at(77)) < SECOND * 7 + Duration::from_nanos(GRID_NANOS));
        }
    }

    #[test]
    fn no_ramp_is_over_at_once_and_one_without_end_never() {
        assert_eq!(Ramp::NONE.at(at(5), at(5)).sixteenths, FULL);
        assert_eq!(Ramp::NONE.at(at(5), at(0)).sixteenths, FULL);
        let endless = Ramp::over(Duration::MAX);
        let stage = endless.at(at(0), at(1_000_000));
        assert_eq!(stage.sixteenths, 1);
        assert!(stage.next.is_some_and(|next| next > at(1_000_000)));
    }

    #[test]
    fn a_clock_that_jumps_back_begins_the_ramp_again_and_a_low_aggression_is_slow_at_first() {
        let ramp = Ramp::over(SECOND * 10);
        assert_eq!(ramp.at(at(5_000), at(9_999)).sixteenths, 7);
        assert_eq!(ramp.at(at(5_000), at(0)).sixteenths, 1);
        for beyond in [0.009, 0.0, -1.0, 100.4, f64::NAN, f64::INFINITY] {
            assert!(ramp.with_aggression(beyond).is_err(), "{beyond}");
        }
        assert!(ramp.with_aggression(0.01).is_ok() && ramp.with_aggression(100.0).is_ok());
        let slow = ramp.with_aggression(0.5).unwrap();
        let fast = ramp.with_aggression(2.0).unwrap();
        let half = |ramp: Ramp| ramp.at(at(0), at(5_000)).sixteenths;
        assert_eq!((half(slow), half(ramp), half(fast)), (4, 8, 11));
    }
}
