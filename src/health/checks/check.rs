//! How members are checked: [`Check`], a template that many members can share.
//!
//! Not here: which member has which check (`handle`), and when a check is
//! due (`queue`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Probe;
use super::tally::Needed;
use crate::random::Random;

/// How members are checked: the probe, the interval, the time limit, and how many results
/// in a row change a member's state. It is cheap to clone; any number of members can share
/// one.
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, HttpProbe};
/// use std::time::Duration;
///
/// let check = Check::builder(HttpProbe::get("/status").build()?)
///     .interval(Duration::from_secs(5))
///     .timeout(Duration::from_secs(1))
///     .fails(3) // one lost response is not enough
///     .passes(2)
///     .build()?;
/// assert_eq!(check.interval(), Duration::from_secs(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Check {
    settings: Arc<CheckOptions>,
}

struct CheckOptions {
    probe: Box<dyn Probe>,
    interval: Duration,
    jitter: Duration,
    limit: Duration,
    needed: Needed,
}

/// Builds a [`Check`].
#[must_use]
pub struct CheckBuilder {
    probe: Box<dyn Probe>,
    interval: Duration,
    jitter: Option<Duration>,
    limit: Duration,
    needed: Needed,
}

/// The shortest interval, as in Apache.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

impl Check {
    /// Returns a builder of a check that uses this probe.
    pub fn builder(probe: impl Probe) -> CheckBuilder {
        CheckBuilder {
            probe: Box::new(probe),
            interval: Duration::from_secs(30),
            jitter: None,
            limit: Duration::from_secs(5),
            needed: Needed {
                passes: 1,
                fails: 1,
                ends_ejections: false,
            },
        }
    }

    /// Returns the interval.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.settings.interval
    }

    pub(super) fn probe(&self) -> &dyn Probe {
        &*self.settings.probe
    }

    pub(super) fn limit(&self) -> Duration {
        self.settings.limit
    }

    pub(super) fn needed(&self) -> Needed {
        self.settings.needed
    }

    /// Returns the time from the end of a check to the start of the next.
    pub(super) fn pause(&self, random: &Random) -> Duration {
        let jitter = u64::try_from(self.settings.jitter.as_nanos()).unwrap_or(u64::MAX);
        let more = random.below(jitter.saturating_add(1));
        self.settings.interval + Duration::from_nanos(more)
    }
}

impl CheckBuilder {
    /// Sets the time from the end of a check of a member to the start of its next check, 30
    /// s by default (Apache: `hcinterval`), at least 100 ms.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Adds a random time from zero to `jitter` to each interval, a tenth of the interval
    /// by default. This keeps the checks of many members, and of many balancers, from
    /// running in step.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::{Check, TcpProbe};
    /// use std::time::Duration;
    ///
    /// let every_30_s = Check::builder(TcpProbe::new()).jitter(Duration::ZERO).build()?;
    /// # let _ = every_30_s;
    /// # Ok::<(), equipoise::health::CheckError>(())
    /// ```
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// Sets the time limit of a check, 5 s by default. It covers everything from the lookup
    /// of the member's name to the last byte read. It may be longer than the interval,
    /// which starts when a check has ended.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how many checks in a row must pass before a member that is out returns to
    /// service, 1 by default (Apache: `hcpasses`); 0 counts as 1.
    pub fn passes(mut self, passes: u32) -> Self {
        self.needed.passes = passes;
        self
    }

    /// Sets how many checks in a row must fail before a member is taken out, 1 by default
    /// (Apache: `hcfails`); 0 counts as 1.
    pub fn fails(mut self, fails: u32) -> Self {
        self.needed.fails = fails;
        self
    }

    /// Lets passing checks also end an [ejection](crate::Balancer::eject), as in Envoy.
    ///
    /// By default they do not: a member that is ejected for its responses or its latency
    /// often passes its checks, and would return at once. Ejections by an
    /// [`OutlierDetector`](crate::health::OutlierDetector) are ended without this setting,
    /// and the member is first tried with one request
    /// ([`checks_end_ejections`](crate::health::OutlierDetectorBuilder::checks_end_ejections)).
    /// With this setting, the member returns to full service at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::{Check, TcpProbe};
    ///
    /// let check = Check::builder(TcpProbe::new()).passes(3).end_ejections().build()?;
    /// # let _ = check;
    /// # Ok::<(), equipoise::health::CheckError>(())
    /// ```
    pub fn end_ejections(mut self) -> Self {
        self.needed.ends_ejections = true;
        self
    }

    /// Builds the check.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if the interval is below 100 ms, or the time limit is zero.
    pub fn build(self) -> Result<Check, CheckError> {
        let interval = self.interval;
        if interval < MIN_INTERVAL {
            return Err(CheckError::Interval { interval });
        }
        if self.limit.is_zero() {
            return Err(CheckError::Timeout);
        }
        let bounded = |time: Duration| time.min(MAX_DURATION);
        let settings = CheckOptions {
            probe: self.probe,
            interval: bounded(interval),
            jitter: bounded(self.jitter.unwrap_or(interval / 10)),
            limit: bounded(self.limit),
            needed: self.needed,
        };
        Ok(Check {
            settings: Arc::new(settings),
        })
    }
}

/// As good as never, and short enough that no time overflows.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why a [`Check`] cannot be built.
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, TcpProbe};
/// use std::time::Duration;
///
/// let error = Check::builder(TcpProbe::new()).interval(Duration::ZERO).build().unwrap_err();
/// assert_eq!(error.to_string(), "the check interval 0ns is shorter than 100ms: use 100ms or more");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The interval is below 100 ms.
    #[error("the check interval {interval:?} is shorter than 100ms: use 100ms or more")]
    Interval {
        /// The interval that was given.
        interval: Duration,
    },
    /// The time limit is zero.
    #[error("the time limit of a check is zero: give it more than 0s")]
    Timeout,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        f.debug_struct("Check")
            .field("probe", &settings.probe.name())
            .field("interval", &settings.interval)
            .field("jitter", &settings.jitter)
            .field("timeout", &settings.limit)
            .field("needed", &settings.needed)
            .finish()
    }
}

impl fmt::Debug for CheckBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckBuilder")
            .field("probe", &self.probe.name())
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, CheckError};
    use crate::health::TcpProbe;
    use crate::random::Random;
    use std::time::Duration;

    #[test]
    fn pauses_are_between_the_interval_and_the_jitter_more() {
        let interval = Duration::from_secs(1);
        let check = Check::builder(TcpProbe::new())
            .interval(interval)
            .build()
            .unwrap();
        let random = Random::seeded(1);
        let pauses: Vec<_> = (0..1_000).map(|_| check.pause(&random)).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*least >= interval && *most <= interval * 11 / 10);
        assert!(*most - *least > interval * 9 / 100, "they are spread");
    }

    #[test]
    fn an_invalid_check_is_refused_and_no_time_overflows() {
        let built = |interval, limit| {
            let builder = Check::builder(TcpProbe::new()).interval(interval);
            builder.timeout(limit).build().map(drop)
        };
        let (second, max) = (Duration::from_secs(1), Duration::MAX);
        let interval = Duration::from_millis(99);
        assert_eq!(
            built(interval, second),
            Err(CheckError::Interval { interval })
        );
        assert_eq!(built(second, Duration::ZERO), Err(CheckError::Timeout));
        assert_eq!(built(Duration::from_millis(100), max), Ok(()));
        let endless = Check::builder(TcpProbe::new()).interval(max).jitter(max);
        let _ = endless.build().unwrap().pause(&Random::seeded(1));
    }
}
