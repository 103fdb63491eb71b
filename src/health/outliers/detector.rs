//! The handle of a detector, and its builder: [`OutlierDetector`], [`OutlierDetectorBuilder`].
//!
//! What does not live here: what it does (`judge.rs`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::judge::OutlierJudge;
use super::settings::OutlierSettings;
use super::signals::{FailurePercentage, SlowMembers, SuccessRate};
use super::watch::OutlierObserver;
use crate::balancer::Balancer;
use crate::balancer::events::ObserverGuard;
use crate::member::MemberId;
use crate::random::Random;

/// Ejects members of a balancer that fail or lag far more than the others, until it is dropped.
///
/// Without one nothing is ejected, and a member in error rests for its recovery delay, as in
/// Apache.
///
/// # What is an outlier
///
/// | signal | default | from |
/// |---|---|---|
/// | [failures in a row](OutlierDetectorBuilder::consecutive_failures) | 5 | Envoy `consecutive_5xx` |
/// | [gateway errors in a row](OutlierDetectorBuilder::consecutive_gateway_errors) | off (Envoy: 5, not enforced) | Envoy `consecutive_gateway_failure` |
/// | [failures without an answer in a row](OutlierDetectorBuilder::consecutive_local_failures) | off: counted as failures (Envoy: 5) | Envoy `consecutive_local_origin_failure` |
/// | [success rate](OutlierDetectorBuilder::success_rate) below mean − 1.9 × standard deviation | on: 5 members, 100 requests each | Envoy, gRPC A50 |
/// | [percentage of failures](OutlierDetectorBuilder::failure_percentage) | off (Envoy: 85 %, 5 members, 50 requests, not enforced) | Envoy, gRPC A50 |
/// | [slow](OutlierDetectorBuilder::slow_members): median time to the head × 3 of the group's | off: 3 members, 20 requests, 10 ms | this crate |
///
/// # What becomes of it
///
/// | | default | from |
/// |---|---|---|
/// | [interval](OutlierDetectorBuilder::interval) of comparisons | 10 s | Envoy, gRPC A50 |
/// | [ejection time](OutlierDetectorBuilder::ejection_time) | 30 s × ejections, up to 300 s | Envoy, gRPC A50 |
/// | [jitter](OutlierDetectorBuilder::jitter) | none | Envoy `max_ejection_time_jitter` |
/// | [most members out](OutlierDetectorBuilder::max_ejected_percent) | 10 %, one in any case, and never the last usable one | Envoy, gRPC A50 |
/// | [panic threshold](OutlierDetectorBuilder::panic_threshold) | nothing is ejected while fewer than 50 % are well | Envoy `healthy_panic_threshold` |
/// | [active checks that pass](OutlierDetectorBuilder::checks_end_ejections) | end an ejection; the trial follows | Envoy `successful_active_health_check_uneject_host` |
/// | [trial](OutlierDetectorBuilder::trial) afterwards | one request at a time until one succeeds; a failure doubles the ejection | Finagle's failure accrual |
///
/// Failures in a row eject at once; all else is compared at the end of an interval, by the
/// request that finds it over. So no task and no timer are needed: without requests there is
/// nothing to compare, and after a pause of two intervals what was counted before it is dropped.
/// The ends of ejections are the balancer's: without picks, [`Balancer::run_timed_changes`] notices them.
///
/// The share of members that are out holds also under races, and when members leave: what
/// decides has one lock, which requests take only when there is something to decide.
///
/// No clock is read for a request unless [slow members](OutlierDetectorBuilder::slow_members) are
/// looked for: each failure, and one of eight good answers of a member, looks whether the interval
/// is over.
///
/// # With active checks
///
/// [`HealthChecks`](crate::health::HealthChecks) of the same balancer, and checks of your own that
/// call [`Balancer::apply_check_results`], are noticed without further ado:
///
/// | checks of a member | the ejection ends | then |
/// |---|---|---|
/// | had failed ([`Flag::FailedCheck`](crate::Flag::FailedCheck)), and pass | at once | it serves fully: what was wrong is what they look at |
/// | have passed all the time | with the next [row of passes](crate::health::CheckBuilder::passes) that begins while it is ejected | it is on [trial](OutlierDetectorBuilder::trial): its answers may fail although its checks pass |
///
/// So one request for each row of passes finds out that such a member still fails. Ejections by
/// others, such as [`Balancer::eject`], are left alone.
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
///     lease.answered(Some(if is_b && b_is_ill { 500 } else { 200 }));
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
    /// Begins to watch a balancer, with the defaults above.
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

    /// Tells that an active check of a member has passed: if the member is out as an outlier, or
    /// on trial, it serves fully from now on, and what was counted of it is dropped.
    ///
    /// What [`HealthChecks`](crate::health::HealthChecks) find is noticed without this
    /// ([`checks_end_ejections`](OutlierDetectorBuilder::checks_end_ejections)). This is for what
    /// knows that requests of the member succeed again: no trial follows, and it ends an ejection
    /// by others, too.
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

    /// Watches for as long as the balancer lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::health::OutlierDetector;
    ///
    /// let balancer = Balancer::new([("a", ()), ("b", ())])?;
    /// OutlierDetector::new(&balancer).keep();
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn keep(mut self) {
        if let Some(observing) = self.observing.take() {
            observing.keep();
        }
    }
}

/// Members on trial serve fully from now on; ejections last for their time.
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

/// Says what is an outlier, before a detector begins to watch.
///
/// Its defaults are Envoy's; the table is at [`OutlierDetector`].
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

    /// Sets after how many failures in a row a member is ejected, 5 by default; `None` switches
    /// it off, 0 is 1.
    ///
    /// A failure is an answer with a status of 500 or above
    /// ([`failure_statuses`](Self::failure_statuses)), a request that ended as
    /// [`Outcome::Failure`](crate::Outcome::Failure), and an answer that broke off. What the
    /// client cancelled counts neither way.
    pub fn consecutive_failures(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.settings.runs.failures = at_least_one(failures.into());
        self
    }

    /// Sets after how many gateway errors in a row (502, 503, 504) a member is ejected; `None`,
    /// the default, switches it off, 0 is 1. Failures without an answer are gateway errors, too,
    /// unless they are [told apart](Self::consecutive_local_failures).
    pub fn consecutive_gateway_errors(mut self, errors: impl Into<Option<u32>>) -> Self {
        self.settings.runs.gateway_errors = at_least_one(errors.into());
        self
    }

    /// Tells failures without an answer apart, and sets after how many in a row a member is
    /// ejected; `None`, the default, counts them as any other failure; 0 is 1.
    ///
    /// These are: connection refused, TLS handshake failed, no address, connection broken before
    /// the head, time limit over before the head (Envoy: `split_external_local_origin_errors`).
    /// Success rates and percentages are then taken twice, of answers and of connections.
    pub fn consecutive_local_failures(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.settings.runs.local = at_least_one(failures.into());
        self
    }

    /// Sets how success rates are compared, at the end of each interval; `None` switches it
    /// off.
    pub fn success_rate(mut self, rate: impl Into<Option<SuccessRate>>) -> Self {
        self.settings.success_rate = rate.into();
        self
    }

    /// Sets which share of failures is too large, at the end of each interval; `None`, the
    /// default, switches it off.
    pub fn failure_percentage(mut self, percentage: impl Into<Option<FailurePercentage>>) -> Self {
        self.settings.failure_percentage = percentage.into();
        self
    }

    /// Sets which members are too slow, at the end of each interval; `None`, the default,
    /// switches it off.
    pub fn slow_members(mut self, slow: impl Into<Option<SlowMembers>>) -> Self {
        self.settings.slow_members = slow.into();
        self
    }

    /// Sets which statuses are failures; by default those of 500 and above.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::OutlierDetector;
    ///
    /// // "Not implemented" is as good an answer as any.
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

    /// Sets how often members are compared, 10 s by default, 1 ms at least.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets how long the first ejection of a member lasts, 30 s by default, and the longest,
    /// 300 s by default.
    ///
    /// Each ejection lasts one `base` longer than the one before; after a failed
    /// [trial](Self::trial) twice as long. Each interval in which the member serves takes one
    /// `base` off again. A `max` below `base` is `base`.
    pub fn ejection_time(mut self, base: Duration, max: Duration) -> Self {
        self.settings.terms.base = base;
        self.settings.terms.max = max;
        self
    }

    /// Sets by how much an ejection lasts longer at random, at most, so that members that were
    /// ejected together are not back together; zero by default.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.settings.jitter = most;
        self
    }

    /// Sets how many of a hundred members may be out, 10 by default; one may be in any case.
    ///
    /// Members that are disabled, draining or stopped are not counted.
    pub fn max_ejected_percent(mut self, percent: u8) -> Self {
        self.settings.terms.max_percent = percent.min(100);
        self
    }

    /// Sets how many of a hundred members have to be well, 50 by default; while fewer are,
    /// nothing is ejected, and those that are out are back. 0 switches it off.
    ///
    /// Well is a member that is usable and has no run of failures of half the length that ejects
    /// (or, for ejections to be ended, the whole).
    pub fn panic_threshold(mut self, percent: u8) -> Self {
        self.settings.terms.panic_percent = percent.min(100);
        self
    }

    /// Sets whether a member is tried first when its ejection is over, as by default.
    ///
    /// It then gets one request at a time until one has succeeded, and serves fully from then on;
    /// a failure ejects it again, for twice as long. A request that is cancelled decides nothing:
    /// the next one does. Requests that began before the ejection decide nothing either, and do
    /// not keep it from being tried while they last, as WebSockets do: its limit is one more than
    /// there are of them. A trial that takes longer than the ejection took (and an
    /// [interval](Self::interval)) lets another request try as well.
    ///
    /// Members that would be picked without it stand in meanwhile: spares, and standbys or the
    /// next tier if no other of its tier serves.
    ///
    /// An ejection that ends early, by forced recovery, an operator or the end of a failed check,
    /// is followed by no trial; and a trial ends when no other member is usable.
    pub fn trial(mut self, trial: bool) -> Self {
        self.settings.terms.trial = trial;
        self
    }

    /// Sets whether active checks of a member that pass end its ejection, as by default (Envoy:
    /// `successful_active_health_check_uneject_host`, on by default, too); what follows is told
    /// at [`OutlierDetector`]. Without it an ejection lasts for its time, whatever checks find.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::health::OutlierDetector;
    ///
    /// // Checks that only connect tell nothing of errors.
    /// let builder = OutlierDetector::builder().checks_end_ejections(false);
    /// # let _ = builder;
    /// ```
    pub fn checks_end_ejections(mut self, end: bool) -> Self {
        self.settings.checks_end_ejections = end;
        self
    }

    /// Makes jitter repeat itself for the same seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Begins to watch a balancer.
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
