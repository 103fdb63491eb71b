//! The handle of the probes and their builder: [`PrequalProbes`],
//! [`PrequalProbesBuilder`].
//!
//! Not here: the future that asks (`driver`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::driver::{AskMember, ProbeCounts, ProbeDriver, ProbeSettings};
use crate::balancer::Balancer;
use crate::random::Random;
use crate::scheduler::{PrequalReports, PrequalTarget, ProbeReport};
use crate::sync::Relaxed;
use crate::timer::{Timer, TokioTimer};

/// Asks members for their load until it is dropped, for a balancer with the scheduler
/// [`Prequal`](crate::scheduler::Prequal).
///
/// * Each pick makes some members due, 3 by default
///   ([`with_probes_per_pick`](crate::scheduler::Prequal::with_probes_per_pick)). They are
///   drawn at random, and asked beside the request, which does not wait. Without requests no
///   member is asked.
/// * A probe is your own closure: it gets the member and its payload, and returns a future.
///   The future resolves with the member's report, or with `None` if there is no answer.
/// * At most 32 probes run at a time ([`concurrency`](PrequalProbesBuilder::concurrency)).
///   Up to 64 members are due at a time; more are not asked.
/// * A probe that takes longer than 3 ms ([`time_limit`](PrequalProbesBuilder::time_limit))
///   is dropped. A member that does not answer has no report, and gets only the few picks
///   that do not use reports
///   ([`with_exploration`](crate::scheduler::Prequal::with_exploration)).
/// * A probe that panics has no answer.
///
/// It does not keep the balancer alive, and ends with it. It observes the picks of the
/// balancer, which makes each pick a little slower.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::PrequalProbes;
/// use equipoise::scheduler::{Prequal, PrequalReports, ProbeReport};
/// use equipoise::{Balancer, MemberSpec, PickRequest};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// /// Asks a server over your own protocol.
/// async fn ask(address: Arc<&str>) -> Option<ProbeReport> {
///     let in_flight = if *address == "10.0.0.1:80" { 7 } else { 2 };
///     Some(ProbeReport { in_flight, latency: Duration::from_millis(5) })
/// }
///
/// let reports = PrequalReports::new();
/// let balancer = Balancer::builder()
///     .scheduler(Prequal::new(&reports))
///     .seed(1)
///     .member("a", "10.0.0.1:80", MemberSpec::new())
///     .member("b", "10.0.0.2:80", MemberSpec::new())
///     .build()?;
/// let probes = PrequalProbes::new(&balancer, &reports, |_, address| ask(address));
///
/// drop(balancer.pick(&PickRequest::new())?); // makes members due
/// while probes.answered() < 2 {
///     tokio::task::yield_now().await;
/// }
/// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
/// # Ok(())
/// # }
/// ```
#[must_use = "the probes stop when it is dropped"]
pub struct PrequalProbes {
    /// `None` once [`detach`](Self::detach) was called.
    task: Option<AbortHandle>,
    counts: Arc<ProbeCounts>,
}

impl PrequalProbes {
    /// Starts to ask the members of a balancer, with the default limits. `reports` must be
    /// those of the balancer's scheduler.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn new<W, P, F>(balancer: &Balancer<W>, reports: &PrequalReports, probe: P) -> Self
    where
        W: Send + Sync + 'static,
        P: Fn(PrequalTarget, Arc<W>) -> F + Send + Sync + 'static,
        F: Future<Output = Option<ProbeReport>> + Send + 'static,
    {
        Self::builder(probe).spawn(balancer, reports)
    }

    /// Returns a builder.
    pub fn builder<W, P, F>(probe: P) -> PrequalProbesBuilder<W>
    where
        P: Fn(PrequalTarget, Arc<W>) -> F + Send + Sync + 'static,
        F: Future<Output = Option<ProbeReport>> + Send + 'static,
    {
        PrequalProbesBuilder {
            ask: Box::new(move |target, payload| Box::pin(probe(target, payload))),
            concurrency: 32,
            time_limit: Duration::from_millis(3),
            timer: Box::new(TokioTimer::new()),
            random: Random::from_entropy(),
        }
    }

    /// Returns the number of probes that were started.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.counts.asked.load(Relaxed)
    }

    /// Returns the number of probes that returned a report in time.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.counts.answered.load(Relaxed)
    }

    /// Keeps the probes running for as long as the balancer lives.
    pub fn detach(mut self) {
        self.task = None;
    }
}

impl Drop for PrequalProbes {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for PrequalProbes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrequalProbes")
            .field("asked", &self.asked())
            .field("answered", &self.answered())
            .finish_non_exhaustive()
    }
}

/// Builds [`PrequalProbes`].
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::PrequalProbes;
/// use std::time::Duration;
///
/// let builder = PrequalProbes::builder::<&str, _, _>(|_target, _payload| async { None })
///     .concurrency(8)
///     .time_limit(Duration::from_millis(20));
/// # let _ = builder;
/// ```
#[must_use]
pub struct PrequalProbesBuilder<W> {
    ask: Box<AskMember<W>>,
    concurrency: usize,
    time_limit: Duration,
    timer: Box<dyn Timer>,
    random: Random,
}

impl<W> PrequalProbesBuilder<W> {
    /// Sets how many probes may run at the same time, 32 by default; 0 counts as 1.
    pub fn concurrency(mut self, probes: usize) -> Self {
        self.concurrency = probes.max(1);
        self
    }

    /// Sets the time after which a probe is dropped; 3 ms by default.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the timer of the time limit; that of tokio by default.
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.timer = Box::new(timer);
        self
    }

    /// Sets the seed by which members are drawn, for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Starts the probes in a task of their own.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub fn spawn(self, balancer: &Balancer<W>, reports: &PrequalReports) -> PrequalProbes
    where
        W: Send + Sync + 'static,
    {
        let (driver, counts) = self.driver(balancer, reports);
        PrequalProbes {
            task: Some(tokio::spawn(driver.run()).abort_handle()),
            counts,
        }
    }

    /// Returns a future that asks the members, for runtimes other than tokio: set a
    /// [`timer`](Self::timer) of that runtime, too. It resolves when the balancer is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the running probes; reports that were recorded stay.
    pub fn run(
        self,
        balancer: &Balancer<W>,
        reports: &PrequalReports,
    ) -> impl Future<Output = ()> + Send + use<W>
    where
        W: Send + Sync + 'static,
    {
        let (driver, _) = self.driver(balancer, reports);
        driver.run()
    }

    fn driver(
        self,
        balancer: &Balancer<W>,
        reports: &PrequalReports,
    ) -> (ProbeDriver<W>, Arc<ProbeCounts>)
    where
        W: Send + Sync + 'static,
    {
        let settings = ProbeSettings {
            ask: self.ask,
            concurrency: self.concurrency,
            time_limit: self.time_limit,
            timer: self.timer,
            random: self.random,
        };
        let counts = Arc::new(ProbeCounts::default());
        let driver = ProbeDriver::new(balancer, reports, settings, counts.clone());
        (driver, counts)
    }
}

impl<W> fmt::Debug for PrequalProbesBuilder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrequalProbesBuilder")
            .field("concurrency", &self.concurrency)
            .field("time_limit", &self.time_limit)
            .field("timer", &self.timer)
            .finish_non_exhaustive()
    }
}
