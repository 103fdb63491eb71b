//! What a limit is changed by: [`LimitRule`] and the windows that it is told.
//!
//! What does not live here: the rules themselves (`aimd.rs`, `gradient2.rs`).

use std::fmt;
use std::time::Duration;

/// What happened to one member's requests in a window of time.
///
/// # Examples
///
/// ```
/// use equipoise::health::LimitSample;
/// use std::time::Duration;
///
/// let sample = LimitSample::new(Duration::from_millis(20)).with_in_flight(8).with_dropped(true);
/// assert_eq!((sample.time(), sample.in_flight()), (Duration::from_millis(20), 8));
/// assert!(sample.is_dropped());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct LimitSample {
    time: Duration,
    in_flight: u32,
    dropped: bool,
}

impl LimitSample {
    /// A window with this mean time to the head, with nothing in flight and nothing dropped.
    pub const fn new(time: Duration) -> Self {
        Self {
            time,
            in_flight: 0,
            dropped: false,
        }
    }

    /// Sets the most requests that were in flight at once.
    pub const fn with_in_flight(mut self, in_flight: u32) -> Self {
        self.in_flight = in_flight;
        self
    }

    /// Sets whether a request was refused or timed out: a sign of overload.
    pub const fn with_dropped(mut self, dropped: bool) -> Self {
        self.dropped = dropped;
        self
    }

    /// Returns the mean time to the head of its answers; zero if there was none.
    #[must_use]
    pub const fn time(self) -> Duration {
        self.time
    }

    /// Returns the most requests that were in flight at once.
    #[must_use]
    pub const fn in_flight(self) -> u32 {
        self.in_flight
    }

    /// Returns whether a request was refused or timed out.
    #[must_use]
    pub const fn is_dropped(self) -> bool {
        self.dropped
    }
}

/// Finds the limit of one member from what happens to its requests.
///
/// # Contract
///
/// It is pure: the same samples give the same limits. It does not panic, whatever the sample,
/// and is called under a lock, so it must be quick.
///
/// # Examples
///
/// ```
/// use equipoise::health::{LimitRule, LimitSample};
///
/// /// As many as a table says for the hour, say.
/// #[derive(Debug)]
/// struct Fixed(u32);
///
/// impl LimitRule for Fixed {
///     fn limit(&self) -> u32 {
///         self.0
///     }
///
///     fn update(&mut self, _: LimitSample) {}
/// }
/// # let _ = Fixed(3).limit();
/// ```
pub trait LimitRule: fmt::Debug + Send + 'static {
    /// Returns the limit now; 0 is taken as 1.
    fn limit(&self) -> u32;

    /// Takes a window into account.
    fn update(&mut self, sample: LimitSample);
}

const _: Option<&dyn LimitRule> = None;

/// The bounds of a limit, which are in order and never zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    min: u32,
    max: u32,
}

impl Bounds {
    /// Those of concurrency-limits.
    pub(super) const DEFAULT: Self = Self { min: 20, max: 200 };

    pub(super) fn new(min: u32, max: u32) -> Self {
        let min = min.max(1);
        Self {
            min,
            max: max.max(min),
        }
    }

    pub(super) fn clamp(self, limit: f64) -> f64 {
        if limit.is_nan() {
            return f64::from(self.min);
        }
        limit.clamp(self.min.into(), self.max.into())
    }
}

/// The whole part of a limit that is within its bounds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 1 to u32::MAX"
)]
pub(super) fn whole(limit: f64) -> u32 {
    limit as u32
}
