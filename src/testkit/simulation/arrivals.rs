//! When requests arrive: [`Arrivals`].
//!
//! Not here: the rate, which the load determines (`settings`), and reading a trace from an
//! access log (`access_log`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::SimulationError;
use super::service_times::exponential;
use super::{nanos, whole_nanos};
use crate::random::Random;

/// The times between requests; their rate is set by
/// [`Simulation::load`](super::Simulation::load) or
/// [`Simulation::rate`](super::Simulation::rate).
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::simulation::{Arrivals, SimulatedMember, Simulation};
/// use std::time::Duration;
///
/// let steady = Simulation::new()
///     .members(vec![SimulatedMember::new(); 10])
///     .load(0.5)
///     .requests(20_000);
/// // The same load, but it arrives in bursts: four times the rate, for a second in ten.
/// let (burst, calm) = (Duration::from_secs(1), Duration::from_secs(9));
/// let bursts = steady.clone().arrivals(Arrivals::bursts(4.0, burst, calm));
/// let p99 = |simulation: &Simulation| {
///     simulation.run(|_| ByRequests::new()).map(|it| it.latencies().quantile(0.99))
/// };
/// assert!(p99(&bursts)? > 2 * p99(&steady)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Arrivals(ArrivalForm);

#[derive(Clone)]
enum ArrivalForm {
    Bursts {
        factor: f64,
        burst: Duration,
        calm: Duration,
    },
    Poisson,
    Regular,
    Trace(Trace),
}

/// Starts the trace anew for each run.
type Trace = Arc<dyn Fn() -> TraceIter + Send + Sync>;
type TraceIter = Box<dyn Iterator<Item = TracedRequest>>;

/// A request of a trace.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::TracedRequest;
/// use std::time::Duration;
///
/// let second = TracedRequest::new(Duration::from_millis(250));
/// assert_eq!(second.service_time, None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TracedRequest {
    /// When it arrives, from the start of the trace.
    pub at: Duration,
    /// How long a member of speed 1 works on it; if it is not known, a time is drawn.
    pub service_time: Option<Duration>,
    /// Its hash key, for schedulers that hash; if it has none, it gets one by
    /// [`Simulation::hash_keys`](super::Simulation::hash_keys).
    pub hash: Option<u64>,
}

impl TracedRequest {
    /// Creates a request whose service time is drawn.
    #[must_use]
    pub const fn new(at: Duration) -> Self {
        Self {
            at,
            service_time: None,
            hash: None,
        }
    }

    /// Sets how long a member of speed 1 works on it.
    #[must_use]
    pub const fn with_service_time(mut self, time: Duration) -> Self {
        self.service_time = Some(time);
        self
    }

    /// Sets its hash key, such as the hash of the client's address.
    #[must_use]
    pub const fn with_hash(mut self, hash: u64) -> Self {
        self.hash = Some(hash);
        self
    }
}

impl Arrivals {
    /// Requests arrive independently of each other (a Poisson process).
    #[must_use]
    pub const fn poisson() -> Self {
        Self(ArrivalForm::Poisson)
    }

    /// Requests arrive at equal intervals.
    #[must_use]
    pub const fn regular() -> Self {
        Self(ArrivalForm::Regular)
    }

    /// Bursts, in which the rate is `factor` times that of the calm in between. Bursts and
    /// calms last `burst` and `calm` on average, exponentially distributed; the load is that
    /// of both together.
    #[must_use]
    pub const fn bursts(factor: f64, burst: Duration, calm: Duration) -> Self {
        Self(ArrivalForm::Bursts {
            factor,
            burst,
            calm,
        })
    }

    /// Requests at the times of a trace. Each run calls `trace` once and then reads its
    /// iterator as it goes, so that a trace may be larger than the memory. A request that is
    /// earlier than the one before it arrives together with that one.
    ///
    /// The simulation ends with the trace, or after
    /// [`Simulation::requests`](super::Simulation::requests). Its rate and load do not apply.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::ByRequests;
    /// use equipoise::testkit::simulation::{Arrivals, SimulatedMember, Simulation, TracedRequest};
    /// use std::time::Duration;
    ///
    /// // Two requests at once, each second for a minute; each takes 100 ms.
    /// let trace = || {
    ///     (0..120).map(|number| {
    ///         let at = Duration::from_secs(number / 2);
    ///         TracedRequest::new(at).with_service_time(Duration::from_millis(100))
    ///     })
    /// };
    /// let simulation = Simulation::new().arrivals(Arrivals::trace(trace)).warm_up(0);
    /// let one = simulation.clone().members(vec![SimulatedMember::new()]);
    /// let slowest = one.run(|_| ByRequests::new())?.latencies().max();
    /// assert_eq!(slowest, Duration::from_millis(200));
    /// let two = simulation.members(vec![SimulatedMember::new(); 2]);
    /// assert_eq!(two.run(|_| ByRequests::new())?.latencies().max(), Duration::from_millis(100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trace<I>(trace: impl Fn() -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item = TracedRequest>,
        I::IntoIter: 'static,
    {
        let start = move || -> TraceIter { Box::new(trace().into_iter()) };
        Self(ArrivalForm::Trace(Arc::new(start)))
    }

    /// Returns whether the times are those of a trace.
    pub(super) fn is_trace(&self) -> bool {
        matches!(self.0, ArrivalForm::Trace(_))
    }

    /// Starts the arrivals; `gap` is the mean time between them, in nanoseconds.
    pub(super) fn start(&self, gap: f64, random: Random) -> Result<ArrivalStream, SimulationError> {
        let form = match &self.0 {
            &ArrivalForm::Bursts {
                factor,
                burst,
                calm,
            } => {
                let (burst, calm) = (nanos(burst) as f64, nanos(calm) as f64);
                let valid = factor.is_finite() && factor > 0.0 && burst >= 1.0 && calm >= 1.0;
                if !valid {
                    return Err(SimulationError::Bursts);
                }
                // The rate of a calm, as a multiple of the mean rate.
                let slow = (burst + calm) / (burst * factor + calm);
                StreamForm::Bursts(BurstState {
                    gaps: [gap / slow, gap / (slow * factor)],
                    lengths: [calm, burst],
                    phase: 0,
                    phase_end: calm * exponential(&random),
                })
            }
            ArrivalForm::Poisson => StreamForm::Poisson(gap),
            ArrivalForm::Regular => StreamForm::Regular(gap),
            ArrivalForm::Trace(trace) => StreamForm::Trace(trace()),
        };
        Ok(ArrivalStream {
            form,
            random,
            now: 0.0,
        })
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::poisson()
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ArrivalForm::Bursts { .. } => "Arrivals(bursts)",
            ArrivalForm::Poisson => "Arrivals(poisson)",
            ArrivalForm::Regular => "Arrivals(regular)",
            ArrivalForm::Trace(_) => "Arrivals(trace)",
        })
    }
}

/// A request that is going to arrive; times are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextArrival {
    pub(super) at: u64,
    /// Its service time, if that is known.
    pub(super) work: Option<u64>,
    pub(super) hash: Option<u64>,
}

/// The arrivals of one run.
pub(super) struct ArrivalStream {
    form: StreamForm,
    random: Random,
    /// In nanoseconds, with a fraction, so that rounding does not add up.
    now: f64,
}

enum StreamForm {
    Bursts(BurstState),
    Poisson(f64),
    Regular(f64),
    Trace(TraceIter),
}

/// Calm is 0, and a burst is 1.
struct BurstState {
    gaps: [f64; 2],
    lengths: [f64; 2],
    phase: usize,
    phase_end: f64,
}

impl ArrivalStream {
    /// Returns the next arrival.
    #[inline]
    pub(super) fn next(&mut self) -> Option<NextArrival> {
        match &mut self.form {
            StreamForm::Bursts(state) => self.now = state.next(self.now, &self.random),
            StreamForm::Poisson(gap) => self.now += *gap * exponential(&self.random),
            StreamForm::Regular(gap) => self.now += *gap,
            StreamForm::Trace(trace) => {
                let request = trace.next()?;
                let at = nanos(request.at).max(whole_nanos(self.now));
                self.now = at as f64;
                return Some(NextArrival {
                    at,
                    work: request.service_time.map(nanos),
                    hash: request.hash,
                });
            }
        }
        Some(NextArrival {
            at: whole_nanos(self.now),
            work: None,
            hash: None,
        })
    }
}

impl BurstState {
    fn next(&mut self, mut now: f64, random: &Random) -> f64 {
        loop {
            let next = now + self.gaps[self.phase] * exponential(random);
            if next <= self.phase_end {
                return next;
            }
            // Exponential times have no memory: the gap is drawn anew from here.
            now = self.phase_end;
            self.phase = 1 - self.phase;
            self.phase_end = now + self.lengths[self.phase] * exponential(random);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, TracedRequest};
    use crate::random::Random;
    use std::time::Duration;

    #[test]
    fn arrivals_keep_the_rate_that_is_asked_for() {
        let (burst, calm) = (Duration::from_micros(200), Duration::from_micros(800));
        for arrivals in [
            Arrivals::poisson(),
            Arrivals::regular(),
            Arrivals::bursts(5.0, burst, calm),
        ] {
            let mut stream = arrivals.start(1_000.0, Random::seeded(5)).unwrap();
            let last = (0..1_000_000).filter_map(|_| stream.next()).last();
            let gap = last.unwrap().at as f64 / 1e6;
            assert!((gap / 1_000.0 - 1.0).abs() < 0.02, "{arrivals:?}: {gap}");
        }
    }

    #[test]
    fn a_trace_never_goes_backwards() {
        let times = [3, 5, 4, 6].map(|at| TracedRequest::new(Duration::from_nanos(at)));
        let arrivals = Arrivals::trace(move || times);
        let mut stream = arrivals.start(1.0, Random::seeded(5)).unwrap();
        let at = std::iter::from_fn(|| stream.next()).map(|it| it.at);
        assert_eq!(at.collect::<Vec<_>>(), [3, 5, 5, 6]);
    }

    #[test]
    fn impossible_bursts_are_refused() {
        let second = Duration::from_secs(1);
        for arrivals in [
            Arrivals::bursts(0.0, second, second),
            Arrivals::bursts(f64::NAN, second, second),
            Arrivals::bursts(2.0, Duration::ZERO, second),
        ] {
            assert!(arrivals.start(1.0, Random::seeded(1)).is_err());
        }
    }
}
