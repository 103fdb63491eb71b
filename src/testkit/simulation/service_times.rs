//! How long members work on requests: [`ServiceTimes`].
//!
//! Not here: waiting in queues, and the speed of a member (`member`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand_distr::{Distribution, Exp1, LogNormal, Pareto};

use super::error::SimulationError;
use super::{nanos, whole_nanos};
use crate::random::Random;

/// The distribution of the times that a member of speed 1 works on a request.
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::simulation::{ServiceTimes, SimulatedMember, Simulation};
/// use std::time::Duration;
///
/// // 1 % of the requests take 100 times as long as the others.
/// let mean = Duration::from_millis(10);
/// let measured = Simulation::new()
///     .members(vec![SimulatedMember::new(); 10])
///     .service_times(ServiceTimes::mixed(mean, 0.01, 100.0))
///     .load(0.5)
///     .requests(10_000)
///     .run(|_| ByRequests::new())?;
/// assert!(measured.latencies().quantile(0.99) > 20 * mean);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ServiceTimes {
    mean: Duration,
    form: ServiceForm,
}

/// The form of a distribution.
#[derive(Clone)]
enum ServiceForm {
    Constant,
    Custom(Arc<dyn Fn(&Random) -> Duration + Send + Sync>),
    Exponential,
    LogNormal { sigma: f64 },
    Mixed { share: f64, factor: f64 },
    Pareto { shape: f64 },
}

impl ServiceTimes {
    /// All requests take the same time.
    #[must_use]
    pub const fn constant(time: Duration) -> Self {
        Self::new(time, ServiceForm::Constant)
    }

    /// Exponentially distributed times, as most results of queueing theory assume.
    #[must_use]
    pub const fn exponential(mean: Duration) -> Self {
        Self::new(mean, ServiceForm::Exponential)
    }

    /// Two kinds of requests: a `share` of them, between 0 and 1, takes `factor` times as
    /// long as the others, on average. Each kind is exponentially distributed; `mean` is
    /// that of all.
    #[must_use]
    pub const fn mixed(mean: Duration, share: f64, factor: f64) -> Self {
        Self::new(mean, ServiceForm::Mixed { share, factor })
    }

    /// Pareto distributed times: a heavy tail. `shape` must be above 1; from 2 down, the
    /// variance is infinite.
    #[must_use]
    pub const fn pareto(mean: Duration, shape: f64) -> Self {
        Self::new(mean, ServiceForm::Pareto { shape })
    }

    /// Log-normally distributed times, the form that real services often have; `sigma` is
    /// the standard deviation of the logarithm, such as 1.
    #[must_use]
    pub const fn log_normal(mean: Duration, sigma: f64) -> Self {
        Self::new(mean, ServiceForm::LogNormal { sigma })
    }

    /// Times from a function, for any other distribution. `mean` must be its mean: from
    /// that the rate of arrivals is computed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::random::Random;
    /// use equipoise::testkit::simulation::ServiceTimes;
    /// use std::time::Duration;
    ///
    /// // Between 1 and 5 ms.
    /// let uniform = |random: &Random| Duration::from_micros(1_000 + random.below(4_001));
    /// let times = ServiceTimes::custom(Duration::from_millis(3), uniform);
    /// assert_eq!(times.mean(), Duration::from_millis(3));
    /// ```
    #[must_use]
    pub fn custom(
        mean: Duration,
        draw: impl Fn(&Random) -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self::new(mean, ServiceForm::Custom(Arc::new(draw)))
    }

    const fn new(mean: Duration, form: ServiceForm) -> Self {
        Self { mean, form }
    }

    /// Returns the mean.
    #[must_use]
    pub const fn mean(&self) -> Duration {
        self.mean
    }

    /// Returns what draws times, if the parameters are valid.
    pub(super) fn sampler(&self) -> Result<ServiceSampler, SimulationError> {
        let mean = nanos(self.mean) as f64;
        let invalid = || SimulationError::ServiceTimes;
        if mean < 1.0 {
            return Err(invalid());
        }
        Ok(match &self.form {
            ServiceForm::Constant => ServiceSampler::Constant(nanos(self.mean)),
            ServiceForm::Custom(draw) => ServiceSampler::Custom(draw.clone()),
            ServiceForm::Exponential => ServiceSampler::Exponential(mean),
            &ServiceForm::LogNormal { sigma } => {
                let law = LogNormal::new(mean.ln() - sigma * sigma / 2.0, sigma);
                ServiceSampler::LogNormal(law.map_err(|_| invalid())?)
            }
            &ServiceForm::Mixed { share, factor } => {
                if !(0.0..=1.0).contains(&share) || factor.is_nan() || factor <= 0.0 {
                    return Err(invalid());
                }
                let short = mean / (1.0 - share + share * factor);
                ServiceSampler::Mixed {
                    // As a share of all 64-bit numbers.
                    long_below: whole_nanos(share * 2_f64.powi(64)),
                    short,
                    long: short * factor,
                }
            }
            &ServiceForm::Pareto { shape } => {
                // Also false for a NaN.
                if shape.partial_cmp(&1.0) != Some(std::cmp::Ordering::Greater) {
                    return Err(invalid());
                }
                let law = Pareto::new(mean * (shape - 1.0) / shape, shape);
                ServiceSampler::Pareto(law.map_err(|_| invalid())?)
            }
        })
    }
}

impl fmt::Debug for ServiceTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.form {
            ServiceForm::Constant => "constant",
            ServiceForm::Custom(_) => "custom",
            ServiceForm::Exponential => "exponential",
            ServiceForm::LogNormal { .. } => "log-normal",
            ServiceForm::Mixed { .. } => "mixed",
            ServiceForm::Pareto { .. } => "pareto",
        };
        f.debug_struct("ServiceTimes")
            .field("mean", &self.mean)
            .field("form", &name)
            .finish_non_exhaustive()
    }
}

/// Draws service times, in nanoseconds.
pub(super) enum ServiceSampler {
    Constant(u64),
    Custom(Arc<dyn Fn(&Random) -> Duration + Send + Sync>),
    Exponential(f64),
    LogNormal(LogNormal<f64>),
    Mixed {
        long_below: u64,
        short: f64,
        long: f64,
    },
    Pareto(Pareto<f64>),
}

impl ServiceSampler {
    #[inline]
    pub(super) fn draw(&self, random: &Random) -> u64 {
        let mut source = random;
        match self {
            Self::Constant(time) => *time,
            Self::Custom(draw) => nanos(draw(random)),
            Self::Exponential(mean) => whole_nanos(mean * exponential(random)),
            Self::LogNormal(law) => whole_nanos(law.sample(&mut source)),
            &Self::Mixed {
                long_below,
                short,
                long,
            } => {
                let mean = if random.next_u64() < long_below {
                    long
                } else {
                    short
                };
                whole_nanos(mean * exponential(random))
            }
            Self::Pareto(law) => whole_nanos(law.sample(&mut source)),
        }
    }
}

/// Draws from the exponential distribution of mean 1.
#[inline]
pub(super) fn exponential(random: &Random) -> f64 {
    let mut source = random;
    Exp1.sample(&mut source)
}

#[cfg(test)]
mod tests {
    use super::ServiceTimes;
    use crate::random::Random;
    use std::time::Duration;

    const MEAN: Duration = Duration::from_millis(10);

    fn mean_of(times: &ServiceTimes) -> f64 {
        let sampler = times.sampler().unwrap();
        let random = Random::seeded(3);
        let sum: f64 = (0..400_000).map(|_| sampler.draw(&random) as f64).sum();
        sum / 400_000.0 / 1e7
    }

    #[test]
    fn each_distribution_has_the_mean_that_it_is_given() {
        for (times, tolerance) in [
            (ServiceTimes::constant(MEAN), 1e-9),
            (ServiceTimes::exponential(MEAN), 0.01),
            (ServiceTimes::log_normal(MEAN, 1.0), 0.02),
            (ServiceTimes::mixed(MEAN, 0.01, 100.0), 0.05),
            (ServiceTimes::pareto(MEAN, 2.5), 0.03),
            (ServiceTimes::custom(MEAN, |_| MEAN), 1e-9),
        ] {
            let mean = mean_of(&times);
            assert!((mean - 1.0).abs() < tolerance, "{times:?}: {mean}");
        }
    }

    #[test]
    fn impossible_distributions_are_refused() {
        for times in [
            ServiceTimes::exponential(Duration::ZERO),
            ServiceTimes::pareto(MEAN, 1.0),
            ServiceTimes::pareto(MEAN, f64::NAN),
            ServiceTimes::mixed(MEAN, 1.1, 2.0),
            ServiceTimes::mixed(MEAN, 0.5, 0.0),
            ServiceTimes::log_normal(MEAN, f64::NAN),
        ] {
            assert!(times.sampler().is_err(), "{times:?}");
        }
    }
}
