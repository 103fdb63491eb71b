//! The trait of limit rules and its samples: [`LimitRule`], [`LimitSample`].
//!
//! Not here: the rules (`aimd.rs`, `gradient2.rs`).

use std::fmt;
use std::time::Duration;

/// Measurements of one member's requests in one window.
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
    /// Creates a sample with this mean time to the response head, no requests in flight and
    /// none dropped.
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

    /// Sets whether a request was refused or timed out, which is a sign of overload.
    pub const fn with_dropped(mut self, dropped: bool) -> Self {
        self.dropped = dropped;
        self
    }

    /// Returns the mean time to the response head; zero if there was no response.
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

/// Computes the limit of one member from samples of its requests.
///
/// # Contract
///
/// It is pure: the same samples give the same limits. It does not panic for any sample. It
/// is called under a lock and must be quick.
///
/// # Examples
///
/// ```
/// use equipoise::health::{LimitRule, LimitSample};
///
/// /// A limit that does not change.
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
    /// Returns the current limit; 0 is taken as 1.
    fn limit(&self) -> u32;

    /// Updates the limit by a sample.
    fn update(&mut self, sample: LimitSample);
}

const _: Option<&dyn LimitRule> = None;

/// The bounds of a limit; they are ordered and never zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    min: u32,
    max: u32,
}

impl Bounds {
    /// The bounds of concurrency-limits.
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

/// Returns the integer part of a limit that is within its bounds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 1 to u32::MAX"
)]
pub(super) fn whole(limit: f64) -> u32 {
    limit as u32
}
