//! A detector and its builder: [`OutlierDetector`], [`OutlierDetectorBuilder`].
//!
//! Not here: how it decides (`judge.rs`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::judge::OutlierJudge;
use super::observer::OutlierObserver;
use super::settings::OutlierSettings;
use super::signals::{FailurePercentage, SlowMembers, SuccessRate};
use crate::balancer::Balancer;
use crate::balancer::events::ObserverGuard;
use crate::member::MemberId;
use crate::random::Random;

/// Ejects members of a balancer that fail or lag far more than the others, until it is
/// dropped.
///
/// Without a detector no member is ejected, and a member in error is retried after its
/// recovery delay, as in Apache.
///
/// # What is an outlier
///
/// | signal | default | from |
/// |---|---|---|
/// | [failures in a row](OutlierDetectorBuilder::consecutive_failures) | 5 | Envoy `consecutive_5xx` |
/// | [gateway errors in a row](OutlierDetectorBuilder::consecutive_gateway_errors) | off (Envoy: 5, not enforced) | Envoy `consecutive_gateway_failure` |
/// | [failures without a response in a row](OutlierDetectorBuilder::consecutive_local_failures) | off: counted as failures (Envoy: 5) | Envoy `consecutive_local_origin_failure` |
/// | [success rate](OutlierDetectorBuilder::success_rate) below mean − 1.9 × standard deviation | on: 5 members, 100 requests each | Envoy, gRPC A50 |
/// | [percentage of failures](OutlierDetectorBuilder::failure_percentage) | off (Envoy: 85 %, 5 members, 50 requests, not enforced) | Envoy, gRPC A50 |
/// | [slow](OutlierDetectorBuilder::slow_members): median time to the response head above 3 × that of the group | off: 3 members, 20 requests, 10 ms | this crate |
///
/// # What happens to an outlier
///
/// | | default | from |
/// |---|---|---|
/// | [interval](OutlierDetectorBuilder::interval) of comparisons | 10 s | Envoy, gRPC A50 |
/// | [ejection time](OutlierDetectorBuilder::ejection_time) | 30 s × ejections, up to 300 s | Envoy, gRPC A50 |
/// | [jitter](OutlierDetectorBuilder::jitter) | none | Envoy `max_ejection_time_jitter` |
/// | [most members out](OutlierDetectorBuilder::max_ejected_percent) | 10 %, one in any case, and never the last usable one | Envoy, gRPC A50 |
/// | [panic threshold](OutlierDetectorBuilder::panic_threshold) | nothing is ejected while fewer than 50 % are healthy | Envoy `healthy_panic_threshold` |
/// | [active checks that pass](OutlierDetectorBuilder::checks_end_ejections) | end an ejection; the trial follows | Envoy `successful_active_health_check_uneject_host` |
/// | [trial](OutlierDetectorBuilder::trial) afterwards | one request at a time until one succeeds; a failure doubles the ejection | Finagle's failure accrual |
///
/// Failures in a row eject at once. All other signals are compared at the end of an
/// interval, by the first request after it; no task and no timer are needed. Without
/// requests there is nothing to compare, and after a pause of two intervals the earlier
/// counts are dropped. The balancer ends ejections: without picks,
/// [`Balancer::run_timed_changes`] does.
///
/// The share of ejected members also holds under races, and when members are removed.
/// Decisions are made under one lock; requests take it only if there is something to
/// decide.
///
/// A request reads no clock unless [slow members](OutlierDetectorBuilder::slow_members) are
/// detected. Each failure, and one in eight good responses of a member, checks whether the
/// interval is over.
///
/// # With active checks
///
/// Results of [`HealthChecks`](crate::health::HealthChecks) of the same balancer, and of
/// your own calls to [`Balancer::apply_check_results`], are taken into account:
///
/// | checks of a member | the ejection ends | then |
/// |---|---|---|
/// | had failed ([`Flag::FailedCheck`](crate::Flag::FailedCheck)), and pass | at once | it returns to full service: the checks cover what was wrong |
/// | have passed all the time | when the next [`passes`](crate::health::CheckBuilder::passes) checks in a row that began while it was ejected have passed | it is on [trial](OutlierDetectorBuilder::trial): its responses may fail although its checks pass |
///
/// Thus a member that still fails gets only one request for each such series of checks.
/// Ejections from other sources, such as [`Balancer::eject`], are not affected.
///
/// # Examples
///
/// ```
/// use equipoise::clock::ManualClock;
/// use equipoise::health::OutlierDetector;
/// use equipoise::{Balancer, Flag, MemberSpec, Outcome, PickRequest};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let balancer = Balancer::builder()
///     .clock(clock.clone())
///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let detector = OutlierDetector::new(&balancer);
///
/// let serve = |b_is_ill| {
///     let mut lease = balancer.pick(&PickRequest::new()).unwrap();
///     let is_b = lease.member().name() == "b";
///     lease.record_head(Some(if is_b && b_is_ill { 500 } else { 200 }));
///     lease.finish(Outcome::Success);
///     is_b
/// };
/// let failed = (0..300).filter(|_| serve(true)).count();
/// assert_eq!(failed, 5);
/// let health = balancer.member("b").unwrap().health();
/// assert_eq!(health.to_string(), "ejected since 0s until 30s, 5 failures in a row");
///
/// clock.advance(Duration::from_secs(30));
/// assert_eq!((0..300).filter(|_| serve(false)).count(), 100);
/// # drop(detector);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[must_use = "the members are watched until it is dropped"]
pub struct OutlierDetector {
    observing: Option<ObserverGuard>,
    judge: Arc<OutlierJudge>,
}

impl OutlierDetector {
    /// Starts to watch a balancer, with the defaults above.
    pub fn new<W>(balancer: &Balancer<W>) -> Self
    where
        W: Send + Sync + 'static,
    {
        Self::builder().watch(balancer)
    }

    /// Returns a builder.
    pub const fn builder() -> OutlierDetectorBuilder {
        OutlierDetectorBuilder::new()
    }

    fn begin<W>(balancer: &Balancer<W>, settings: OutlierSettings, random: Random) -> Self
    where
        W: Send + Sync + 'static,
    {
        let group = Box::new(balancer.downgrade());
        let judge = Arc::new(OutlierJudge::new(settings, balancer.clock(), group, random));
        let observing = Some(balancer.observe(OutlierObserver(judge.clone())));
        Self { observing, judge }
    }

    /// Reports a passed active check of a member: a member that is ejected as an outlier,
    /// or on trial, returns to full service, and its counts are dropped.
    ///
    /// Results of [`HealthChecks`](crate::health::HealthChecks) need no call to this method
    /// ([`checks_end_ejections`](OutlierDetectorBuilder::checks_end_ejections)). Call it if
    /// you know that requests to the member succeed again: no trial follows, and it also
    /// ends ejections from other sources.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::health::OutlierDetector;
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let detector = OutlierDetector::new(&balancer);
    /// let member = balancer.member("a").unwrap();
    /// detector.check_passed(member.id());
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn check_passed(&self, member: MemberId) {
        self.judge.passed_check(member);
    }

    /// Compares the members now if an interval is over, as the next request would.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::health::OutlierDetector;
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// let detector = OutlierDetector::new(&balancer);
    /// detector.evaluate(); // by a timer of your own
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn evaluate(&self) {
        self.judge.evaluate(self.judge.clock.now());
    }

    /// Keeps watching for as long as the balancer lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::health::OutlierDetector;
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// OutlierDetector::new(&balancer).detach();
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn detach(mut self) {
        if let Some(observing) = self.observing.take() {
            observing.detach();
        }
    }
}

/// Members on trial return to full service; ejections last for their time.
impl Drop for OutlierDetector {
    fn drop(&mut self) {
        if let Some(observing) = self.observing.take() {
            drop(observing);
            self.judge.stop();
        }
    }
}

impl fmt::Debug for OutlierDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutlierDetector")
            .field("is_busy", &self.judge.is_busy())
            .finish_non_exhaustive()
    }
}

/// Builds an [`OutlierDetector`].
///
/// The defaults are Envoy's; see the table at [`OutlierDetector`].
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::health::{OutlierDetector, SlowMembers};
/// use std::time::Duration;
///
/// let balancer = Balancer::new([("a", ()), ("b", ()), ("c", ())])?;
/// let detector = OutlierDetector::builder()
///     .consecutive_failures(7)
///     .success_rate(None)
///     .slow_members(SlowMembers::new())
///     .interval(Duration::from_secs(1))
///     .ejection_time(Duration::from_secs(5), Duration::from_secs(300))
///     .watch(&balancer);
/// # drop(detector);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct OutlierDetectorBuilder {
    settings: OutlierSettings,
    seed: Option<u64>,
}

impl OutlierDetectorBuilder {
    const fn new() -> Self {
        Self {
            settings: OutlierSettings::new(),
            seed: None,
        }
    }

    /// Sets how many failures in a row eject a member, 5 by default; `None` turns it off,
    /// and 0 counts as 1.
    ///
    /// A failure is a response with a status of 500 or above
    /// ([`failure_statuses`](Self::failure_statuses)), a request that ended as
    /// [`Outcome::Failure`](crate::Outcome::Failure), or a response that ended early.
    /// Requests that the client cancelled are not counted.
    pub fn consecutive_failures(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.settings.runs.failures = at_least_one(failures.into());
        self
    }

    /// Sets how many gateway errors in a row (502, 503, 504) eject a member; `None`, the
    /// default, turns it off, and 0 counts as 1. Failures without a response are gateway
    /// errors, too, unless they are [counted separately](Self::consecutive_local_failures).
    pub fn consecutive_gateway_errors(mut self, errors: impl Into<Option<u32>>) -> Self {
        self.settings.runs.gateway_errors = at_least_one(errors.into());
        self
    }

    /// Counts failures without a response separately, and sets how many in a row eject a
    /// member; `None`, the default, counts them as any other failure; 0 counts as 1.
    ///
    /// These are: connection refused, TLS handshake failed, no address, connection broken
    /// before the response head, time limit exceeded before the response head (Envoy:
    /// `split_external_local_origin_errors`). Success rates and percentages are then
    /// computed separately for responses and for connections.
    pub fn consecutive_local_failures(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.settings.runs.local = at_least_one(failures.into());
        self
    }

    /// Sets how success rates are compared at the end of each interval; `None` turns it
    /// off.
    pub fn success_rate(mut self, rate: impl Into<Option<SuccessRate>>) -> Self {
        self.settings.success_rate = rate.into();
        self
    }

    /// Sets the percentage of failures that ejects a member at the end of each interval;
    /// `None`, the default, turns it off.
    pub fn failure_percentage(mut self, percentage: impl Into<Option<FailurePercentage>>) -> Self {
        self.settings.failure_percentage = percentage.into();
        self
    }

    /// Sets which members are too slow at the end of each interval; `None`, the default,
    /// turns it off.
    pub fn slow_members(mut self, slow: impl Into<Option<SlowMembers>>) -> Self {
        self.settings.slow_members = slow.into();
        self
    }

    /// Sets which statuses are failures; by default 500 and above.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::OutlierDetector;
    ///
    /// // "Not implemented" is as good a response as any.
    /// let builder = OutlierDetector::builder()
    ///     .failure_statuses(|status| status >= 500 && status != 501);
    /// # let _ = builder;
    /// ```
    pub fn failure_statuses(
        mut self,
        is_failure: impl Fn(u16) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.is_failure = Some(Arc::new(is_failure));
        self
    }

    /// Sets how often members are compared, 10 s by default, at least 1 ms.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets the duration of a member's first ejection, 30 s by default, and the longest
    /// duration, 300 s by default.
    ///
    /// Each ejection lasts one `base` longer than the one before; after a failed
    /// [trial](Self::trial) it lasts twice as long. Each interval in which the member
    /// serves takes one `base` off again. If `max` is below `base`, `base` is used.
    pub fn ejection_time(mut self, base: Duration, max: Duration) -> Self {
        self.settings.terms.base = base;
        self.settings.terms.max = max;
        self
    }

    /// Sets the largest random addition to the duration of an ejection; zero by default. It
    /// keeps members that were ejected together from returning together.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.settings.jitter = most;
        self
    }

    /// Sets the largest percentage of members that may be ejected, 10 by default; one may
    /// always be.
    ///
    /// Members that are disabled, draining or stopped are not counted.
    pub fn max_ejected_percent(mut self, percent: u8) -> Self {
        self.settings.terms.max_percent = percent.min(100);
        self
    }

    /// Sets the percentage of members that must be healthy, 50 by default. While fewer are,
    /// nothing is ejected, and ejected members return. 0 turns it off.
    ///
    /// A member is healthy if it is usable and its current run of failures is shorter than
    /// half of the run that ejects. For ending ejections, the whole run counts.
    pub fn panic_threshold(mut self, percent: u8) -> Self {
        self.settings.terms.panic_percent = percent.min(100);
        self
    }

    /// Sets whether a member is on trial when its ejection is over; on by default.
    ///
    /// On trial, it gets one request at a time until one succeeds, and then returns to full
    /// service. A failure ejects it again, for twice as long. A cancelled request does not
    /// decide; the next one does. Requests that began before the ejection, such as
    /// WebSockets, do not decide either, and do not delay the trial: the limit is one more
    /// than their number. If a trial takes longer than the ejection did (and an
    /// [interval](Self::interval)), one more request may try.
    ///
    /// Members that would be picked without it substitute for it meanwhile: spares, and
    /// standbys or the next tier if no other member of its tier serves.
    ///
    /// No trial follows an ejection that ends early because of forced recovery, an operator
    /// or the end of a failed check. A trial also ends when no other member is usable.
    pub fn trial(mut self, trial: bool) -> Self {
        self.settings.terms.trial = trial;
        self
    }

    /// Sets whether passing active checks of a member end its ejection, on by default (as
    /// in Envoy: `successful_active_health_check_uneject_host`); [`OutlierDetector`]
    /// describes what follows. If off, an ejection lasts for its time, whatever the results
    /// of checks are.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::OutlierDetector;
    ///
    /// // Checks that only connect do not detect errors.
    /// let builder = OutlierDetector::builder().checks_end_ejections(false);
    /// # let _ = builder;
    /// ```
    pub fn checks_end_ejections(mut self, end: bool) -> Self {
        self.settings.checks_end_ejections = end;
        self
    }

    /// Makes jitter reproducible by a seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts to watch a balancer.
    pub fn watch<W>(self, balancer: &Balancer<W>) -> OutlierDetector
    where
        W: Send + Sync + 'static,
    {
        let random = self.seed.map_or_else(Random::from_entropy, Random::seeded);
        OutlierDetector::begin(balancer, self.settings, random)
    }
}

fn at_least_one(threshold: Option<u32>) -> Option<u32> {
    threshold.map(|threshold| threshold.max(1))
}

impl fmt::Debug for OutlierDetectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        f.debug_struct("OutlierDetectorBuilder")
            .field("interval", &settings.interval)
            .field("jitter", &settings.jitter)
            .field("terms", &settings.terms)
            .field("runs", &settings.runs)
            .field("success_rate", &settings.success_rate)
            .field("failure_percentage", &settings.failure_percentage)
            .field("slow_members", &settings.slow_members)
            .finish_non_exhaustive()
    }
}
