//! How long an error lasts: [`Backoff`].
//!
//! Not here: which errors count as consecutive (`health.rs`), and when an
//! error ends (`balancer/agenda.rs`).

use std::time::Duration;

/// How long a member stays in error, computed from its recovery delay and the number of
/// consecutive errors; set by [`Builder::backoff`](crate::balancer::Builder::backoff).
///
/// An error is consecutive unless the member was healthy before it for at least as long as
/// the previous error was to last. An operator who ends an error
/// ([`recover`](crate::Balancer::recover), [`clear_flag`](crate::Balancer::clear_flag))
/// also resets the count. A further error of a member that is in error already, from
/// another request that was under way, is not counted: it only restarts the delay.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{ManualClock, Timestamp};
/// use equipoise::member::Backoff;
/// use equipoise::{Balancer, MemberSpec, PickRequest};
/// use std::time::Duration;
///
/// let second = Duration::from_secs(1);
/// let clock = ManualClock::new();
/// let balancer = Balancer::builder()
///     .clock(clock.clone())
///     .forced_recovery(false)
///     .backoff(Backoff::exponential(second * 60))
///     .member("a", (), MemberSpec::new().with_recovery_delay(second))
///     .build()?;
/// for rest in [1, 2, 4, 8] {
///     balancer.pick(&PickRequest::new())?.put_in_error();
///     clock.advance(second * rest - Duration::from_millis(1));
///     assert!(balancer.pick(&PickRequest::new()).is_err());
///     clock.advance(Duration::from_millis(1));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[must_use]
pub struct Backoff {
    /// `None` if every error lasts as long as the first.
    max: Option<Duration>,
}

impl Backoff {
    /// Returns the backoff in which each error lasts for the member's recovery delay, as in
    /// Apache. The default.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Backoff;
    ///
    /// assert_eq!(Backoff::default(), Backoff::constant());
    /// ```
    pub const fn constant() -> Self {
        Self { max: None }
    }

    /// Returns a backoff in which the first error lasts for the member's recovery delay and
    /// each consecutive error twice as long as the one before, up to `max`. A recovery
    /// delay above `max` is used unchanged.
    pub const fn exponential(max: Duration) -> Self {
        Self { max: Some(max) }
    }

    /// Returns how long the last of `errors` consecutive errors lasts.
    pub(crate) fn delay(self, recovery_delay: Duration, errors: u32) -> Duration {
        let Some(max) = self.max else {
            return recovery_delay;
        };
        let doublings = errors.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let delay = recovery_delay.checked_mul(factor);
        delay.unwrap_or(Duration::MAX).min(max).max(recovery_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_greatest() {
        let backoff = Backoff::exponential(SECOND * 300);
        let delays = [0, 1, 2, 3, 4, 5, 6, 33, u32::MAX].map(|n| backoff.delay(SECOND * 30, n));
        let seconds = [30, 30, 60, 120, 240, 300, 300, 300, 300];
        assert_eq!(delays, seconds.map(|n| SECOND * n));
        assert_eq!(Backoff::constant().delay(SECOND, 9), SECOND);
    }

    #[test]
    fn a_delay_is_never_shorter_than_the_members_own() {
        assert_eq!(
            Backoff::exponential(SECOND).delay(SECOND * 9, 2),
            SECOND * 9
        );
        let backoff = Backoff::exponential(Duration::MAX);
        assert_eq!(backoff.delay(Duration::MAX, 2), Duration::MAX);
        assert_eq!(backoff.delay(Duration::ZERO, 40), Duration::ZERO);
        assert_eq!(backoff.delay(SECOND, 40), SECOND * u32::MAX);
    }
}
