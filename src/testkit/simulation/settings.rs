//! The settings of a simulation: [`Simulation`].
//!
//! Not here: the run itself (`run`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::arrivals::Arrivals;
use super::member::SimulatedMember;
use super::service_times::ServiceTimes;

/// How many requests are simulated by default.
const REQUESTS: u64 = 100_000;

/// A simulation of requests that balancers distribute over members. It can run any number
/// of times, with different schedulers.
///
/// By default, 100 000 requests arrive independently of each other, at a load of 0.8, with
/// exponential service times of 10 ms on average, through one balancer. Members have to be
/// added.
///
/// # Examples
///
/// A scheduler of your own, beside what theory gives for it:
///
/// ```
/// use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
/// use equipoise::testkit::simulation::{SimulatedMember, Simulation, theory};
/// use std::time::Duration;
///
/// /// Any member.
/// #[derive(Debug)]
/// struct Uniform;
///
/// impl Scheduler for Uniform {
///     fn name(&self) -> &'static str {
///         "uniform"
///     }
///
///     fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
///         let drawn = context.random().below(candidates.len() as u64);
///         candidates.claim_first(candidates.at(drawn as usize))
///     }
/// }
///
/// let measured = Simulation::new()
///     .members(vec![SimulatedMember::new(); 20])
///     .load(0.5)
///     .requests(100_000)
///     .seed(3)
///     .run(|_| Uniform)?;
/// let mean = measured.latencies().mean().as_secs_f64() / 0.010;
/// assert!((mean / theory::random(0.5) - 1.0).abs() < 0.03);
/// # Ok::<(), equipoise::testkit::simulation::SimulationError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Simulation {
    pub(super) members: Vec<SimulatedMember>,
    pub(super) rate: ArrivalRate,
    pub(super) arrivals: Arrivals,
    pub(super) service_times: ServiceTimes,
    requests: Option<u64>,
    warm_up: Option<u64>,
    pub(super) balancers: usize,
    pub(super) attempts: usize,
    /// How many hash keys there are, and the exponent of their distribution.
    pub(super) hash_keys: Option<(u64, f64)>,
    /// When requests in flight are sampled; `None` is always.
    pub(super) sampled: Option<Range<Duration>>,
    pub(super) seed: u64,
    pub(super) progress: Option<ProgressHook>,
}

/// Called with the number of requests that have arrived.
pub(super) type ProgressHook = Arc<dyn Fn(u64) + Send + Sync>;

/// How many requests arrive.
#[derive(Clone, Copy, Debug)]
pub(super) enum ArrivalRate {
    Load(f64),
    PerSecond(f64),
}

impl Simulation {
    /// Creates a simulation without members.
    pub fn new() -> Self {
        Self {
            members: Vec::new(),
            rate: ArrivalRate::Load(0.8),
            arrivals: Arrivals::poisson(),
            service_times: ServiceTimes::exponential(Duration::from_millis(10)),
            requests: None,
            warm_up: None,
            balancers: 1,
            attempts: 1,
            hash_keys: None,
            sampled: None,
            seed: 0,
            progress: None,
        }
    }

    /// Sets the members. Their names are `m0`, `m1` and so on.
    pub fn members(mut self, members: impl IntoIterator<Item = SimulatedMember>) -> Self {
        self.members = members.into_iter().collect();
        self
    }

    /// Sets the load: the work that arrives, as a share of what all members can do together
    /// if none stalls or fails. From 1 on, queues grow without end. 0.8 by default; a trace
    /// has its own.
    pub fn load(mut self, load: f64) -> Self {
        self.rate = ArrivalRate::Load(load);
        self
    }

    /// Sets how many requests arrive per second, in place of the load.
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = ArrivalRate::PerSecond(per_second);
        self
    }

    /// Sets how requests arrive; [`Arrivals::poisson`] by default.
    pub fn arrivals(mut self, arrivals: Arrivals) -> Self {
        self.arrivals = arrivals;
        self
    }

    /// Sets how long requests take; [`ServiceTimes::exponential`] of 10 ms by default.
    pub fn service_times(mut self, times: ServiceTimes) -> Self {
        self.service_times = times;
        self
    }

    /// Sets after how many requests the simulation ends; those in flight then are still
    /// answered. 100 000 by default, or the whole trace.
    pub fn requests(mut self, requests: u64) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Sets how many requests are not counted at the start, when queues are still empty; a
    /// tenth of the requests by default, and none of a trace.
    pub fn warm_up(mut self, requests: u64) -> Self {
        self.warm_up = Some(requests);
        self
    }

    /// Sets the number of independent balancers over the same members, 1 by default; each
    /// request goes to a random one. Each balancer only counts its own requests.
    ///
    /// If there are several, each makes a random number of picks before the start, and gives
    /// them back. Otherwise all balancers that pick in turn would begin with the same member,
    /// and stay in step for a long time.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::ByBusyness;
    /// use equipoise::testkit::simulation::{SimulatedMember, Simulation};
    ///
    /// let simulation = Simulation::new()
    ///     .members(vec![SimulatedMember::new(); 20])
    ///     .load(0.9)
    ///     .requests(40_000);
    /// let mean = |simulation: &Simulation| {
    ///     simulation.run(|_| ByBusyness::new()).map(|it| it.latencies().mean())
    /// };
    /// let (one, many) = (mean(&simulation)?, mean(&simulation.balancers(20))?);
    /// assert!(many > 2 * one, "each balancer counts a twentieth of the requests");
    /// # Ok::<(), equipoise::testkit::simulation::SimulationError>(())
    /// ```
    pub fn balancers(mut self, balancers: usize) -> Self {
        self.balancers = balancers.max(1);
        self
    }

    /// Sets how many members a request is tried on if they fail it; 1 by default. The next
    /// attempt follows at once, through the same balancer.
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Gives each request one of so many hash keys, for schedulers that hash. By default
    /// requests have none.
    ///
    /// Key number k occurs in proportion to `1 / k^exponent` (Zipf's law): with 0, all keys
    /// are equally frequent; near 1, few keys make up most of the requests.
    pub fn hash_keys(mut self, keys: u64, exponent: f64) -> Self {
        self.hash_keys = Some((keys, exponent));
        self
    }

    /// Sets for which part of the time [`Measured::in_flight`](super::Measured::in_flight) has
    /// samples, to see it in detail; by default the whole.
    pub fn sampled(mut self, during: Range<Duration>) -> Self {
        self.sampled = Some(during);
        self
    }

    /// Sets the seed of all random numbers, 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets a function that is called with the number of requests that have arrived, once
    /// for some thousand requests and at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::ByRequests;
    /// use equipoise::testkit::simulation::{SimulatedMember, Simulation};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// let done = Arc::new(AtomicU64::new(0));
    /// let shown = done.clone();
    /// Simulation::new()
    ///     .members(vec![SimulatedMember::new(); 2])
    ///     .requests(20_000)
    ///     .progress(move |arrived| shown.store(arrived, Ordering::Relaxed))
    ///     .run(|_| ByRequests::new())?;
    /// assert_eq!(done.load(Ordering::Relaxed), 20_000);
    /// # Ok::<(), equipoise::testkit::simulation::SimulationError>(())
    /// ```
    pub fn progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Returns how many requests arrive at most.
    pub(super) fn most_requests(&self) -> u64 {
        match self.requests {
            Some(requests) => requests,
            None if self.arrivals.is_trace() => u64::MAX,
            None => REQUESTS,
        }
    }

    /// Returns how many requests are not counted.
    pub(super) fn uncounted(&self) -> u64 {
        match self.warm_up {
            Some(requests) => requests,
            None if self.arrivals.is_trace() => 0,
            None => self.most_requests() / 10,
        }
    }
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("members", &self.members.len())
            .field("rate", &self.rate)
            .field("arrivals", &self.arrivals)
            .field("service_times", &self.service_times)
            .field("requests", &self.requests)
            .field("balancers", &self.balancers)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
