//! Clocks: the trait [`Clock`], its [`Timestamp`]s, the real [`SystemClock`], and the
//! [`ManualClock`] that tests set themselves.
//!
//! Nothing here waits, and nothing outside this file reads the time of the machine.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Relaxed};

/// A point in time on one [`Clock`]: nanoseconds since the origin of that clock.
///
/// Timestamps of different clocks must not be compared. The range is about 584 years.
///
/// # Examples
///
/// ```
/// use equipoise::clock::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::ORIGIN;
/// let later = start + Duration::from_secs(2);
/// assert_eq!(later.since(start), Duration::from_secs(2));
/// assert_eq!(start.since(later), Duration::ZERO, "never negative");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of every clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, ManualClock, Timestamp};
    ///
    /// assert_eq!(ManualClock::new().now(), Timestamp::ORIGIN);
    /// ```
    pub const ORIGIN: Self = Self(0);

    /// Creates a timestamp from nanoseconds since the clock's origin.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Timestamp::from_nanos(1_500), Timestamp::ORIGIN + Duration::from_nanos(1_500));
    /// ```
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the clock's origin.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// let later = Timestamp::ORIGIN + Duration::from_micros(3);
    /// assert_eq!(later.as_nanos(), 3_000);
    /// ```
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time that has passed since `earlier`; zero if `earlier` is later.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, SystemClock};
    /// use std::time::Duration;
    ///
    /// let clock = SystemClock::new();
    /// let start = clock.now();
    /// assert!(clock.now().since(start) < Duration::from_secs(3_600));
    /// ```
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Adds a duration; saturates at the end of the range.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::Timestamp;
    /// use std::time::Duration;
    ///
    /// let end = Timestamp::from_nanos(u64::MAX);
    /// assert_eq!(end + Duration::from_secs(1), end);
    /// ```
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Gives a balancer the time.
///
/// # Contract
///
/// Readings should not go backwards. A clock that goes backwards or stands still does no
/// harm: members recover later, and elapsed times are zero.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{Clock, Timestamp};
///
/// #[derive(Debug)]
/// struct Stopped;
///
/// impl Clock for Stopped {
///     fn now(&self) -> Timestamp {
///         Timestamp::ORIGIN
///     }
/// }
/// let balancer = equipoise::Balancer::<&str>::builder().clock(Stopped).build()?;
/// # assert!(balancer.is_empty());
/// # Ok::<(), equipoise::BuildError>(())
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time now.
    fn now(&self) -> Timestamp;
}

const _: Option<&dyn Clock> = None;

/// The machine's monotonic clock; its origin is the time of its creation.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{Clock, SystemClock};
///
/// let clock = SystemClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Creates a clock whose origin is now.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, SystemClock};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let clock = SystemClock::new(); // kept, to read the balancer's time
    /// let balancer = Balancer::builder().clock(clock).member("a", (), MemberSpec::new()).build()?;
    /// assert!(balancer.pick(&PickRequest::new().with_now(clock.now())).is_ok());
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where time enters")]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(nanos(self.origin.elapsed()))
    }
}

/// A clock that changes only when told to, so that tests need no sleep.
///
/// Clones share one time.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(before), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    // Relaxed: a reading; code that needs an order with other data establishes it by other
    // means.
    now: Arc<AtomicU64>,
}

impl ManualClock {
    /// Creates a clock at its origin.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// assert_eq!(clock.now(), clock.now(), "it stands still");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, ManualClock};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let shared = clock.clone();
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(shared.now().as_nanos(), 1_000_000_000);
    /// ```
    pub fn advance(&self, by: Duration) {
        let later = |now| Some((Timestamp(now) + by).0);
        let _ = self.now.fetch_update(Relaxed, Relaxed, later);
    }

    /// Sets the clock to `now`, also backwards.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, ManualClock, Timestamp};
    ///
    /// let clock = ManualClock::new();
    /// clock.set(Timestamp::from_nanos(5));
    /// clock.set(Timestamp::from_nanos(3));
    /// assert_eq!(clock.now(), Timestamp::from_nanos(3));
    /// ```
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.0, Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Relaxed))
    }
}
