//! How members are checked: a template that many of them share. [`Check`].
//!
//! What does not live here: which member has which (`handle`), and when one is due (`queue`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Probe;
use super::tally::Needed;
use crate::random::Random;

/// How members are checked: the probe, how often, how long it may take, and how many in a row
/// decide. It is cheap to clone, and any number of members share one.
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
///     .fails(3) // one lost answer is no reason
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

/// The shortest interval, which is Apache's.
const SHORTEST: Duration = Duration::from_millis(100);

impl Check {
    /// Begins one that probes members so.
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

    /// The time from the end of a check to the beginning of the next.
    pub(super) fn pause(&self, random: &Random) -> Duration {
        let jitter = u64::try_from(self.settings.jitter.as_nanos()).unwrap_or(u64::MAX);
        let more = random.below(jitter.saturating_add(1));
        self.settings.interval + Duration::from_nanos(more)
    }
}

impl CheckBuilder {
    /// Sets the time from the end of a check of a member to the beginning of its next, 30 s by
    /// default (Apache: `hcinterval`), at least 100 ms.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Adds a time from zero to `jitter` at random to each interval, so that many members, and
    /// many balancers, do not stay in step; a tenth of the interval by default.
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

    /// Sets how long a check may take, from the name of the member to the last byte that is
    /// read, 5 s by default. It may be longer than the interval, which begins when a check has
    /// ended.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how many checks in a row have to pass until a member that is out is well again, one
    /// by default (Apache: `hcpasses`); 0 is 1.
    pub fn passes(mut self, passes: u32) -> Self {
        self.needed.passes = passes;
        self
    }

    /// Sets how many checks in a row have to fail until a member is out, one by default
    /// (Apache: `hcfails`); 0 is 1.
    pub fn fails(mut self, fails: u32) -> Self {
        self.needed.fails = fails;
        self
    }

    /// Lets checks that pass also end an [ejection](crate::Balancer::eject), as Envoy's do.
    ///
    /// By default they do not: what is ejected for its answers or its time is often well by its
    /// checks, and would return at once. An ejection by an
    /// [`OutlierDetector`](crate::health::OutlierDetector) they end without this, and the member
    /// is tried with one request at first
    /// ([`checks_end_ejections`](crate::health::OutlierDetectorBuilder::checks_end_ejections));
    /// with this it serves fully at once.
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

    /// Builds it.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if the interval is below 100 ms, or the time limit is zero.
    pub fn build(self) -> Result<Check, CheckError> {
        let interval = self.interval;
        if interval < SHORTEST {
            return Err(CheckError::Interval { interval });
        }
        if self.limit.is_zero() {
            return Err(CheckError::Timeout);
        }
        let bounded = |time: Duration| time.min(LONGEST);
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

/// As good as never, and no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why there is no such [`Check`].
///
/// # Examples
///
/// ```
/// use equipoise::health::{Check, TcpProbe};
/// use std::time::Duration;
///
/// let error = Check::builder(TcpProbe::new()).interval(Duration::ZERO).build().unwrap_err();
/// assert_eq!(error.to_string(), "an interval of 0ns is shorter than 100ms");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The interval is below 100 ms.
    #[error("an interval of {interval:?} is shorter than 100ms")]
    Interval {
        /// What was asked for.
        interval: Duration,
    },
    /// The time limit is zero.
    #[error("a check needs time")]
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
    fn a_check_that_cannot_be_is_refused_and_no_time_overflows() {
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
