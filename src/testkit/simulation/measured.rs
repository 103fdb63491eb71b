//! What a simulation has measured: [`Measured`].
//!
//! Not here: the distribution of latencies (`latencies`), and counting (`engine`).

use std::time::Duration;

use super::latencies::Latencies;
use super::samples::InFlightSample;

/// The result of a simulation. Requests of the
/// [`warm_up`](super::Simulation::warm_up) are not counted, except in
/// [`in_flight`](Self::in_flight).
///
/// # Examples
///
/// ```
/// use equipoise::ByRequests;
/// use equipoise::testkit::simulation::{SimulatedMember, Simulation};
///
/// let measured = Simulation::new()
///     .members(vec![SimulatedMember::new(); 4])
///     .load(0.5)
///     .requests(4_000)
///     .warm_up(1_000)
///     .run(|_| ByRequests::new())?;
/// assert_eq!(measured.scheduler(), "byrequests");
/// assert_eq!((measured.answered(), measured.failed(), measured.refused()), (3_000, 0, 0));
/// assert!(measured.latencies().quantile(0.5) < measured.latencies().quantile(0.99));
/// let shares = measured.members().iter().map(|member| member.share());
/// assert_eq!(shares.collect::<Vec<_>>(), [0.25; 4]);
/// # Ok::<(), equipoise::testkit::simulation::SimulationError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Measured {
    pub(super) scheduler: &'static str,
    pub(super) latencies: Latencies,
    pub(super) failed: u64,
    pub(super) refused: u64,
    pub(super) longest_queue: u32,
    pub(super) members: Vec<MeasuredMember>,
    pub(super) in_flight: Vec<InFlightSample>,
    pub(super) lasted: Duration,
}

impl Measured {
    /// Returns the name of the scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &'static str {
        self.scheduler
    }

    /// Returns the latencies of the answered requests: from arrival to answer, with failed
    /// attempts before.
    #[must_use]
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Returns how many requests were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.latencies.count()
    }

    /// Returns how many requests failed, in all their attempts.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns for how many requests there was no member: all were full, tried or out of
    /// service.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns the most requests that one member had at a time, waiting and worked on.
    #[must_use]
    pub fn longest_queue(&self) -> u32 {
        self.longest_queue
    }

    /// Returns the members, in the order of the simulation.
    #[must_use]
    pub fn members(&self) -> &[MeasuredMember] {
        &self.members
    }

    /// Returns requests in flight over time, at equal intervals, until the last request
    /// arrives: 256 to 512 samples of a long simulation. See
    /// [`Simulation::sampled`](super::Simulation::sampled).
    #[must_use]
    pub fn in_flight(&self) -> &[InFlightSample] {
        &self.in_flight
    }

    /// Returns how long the simulation lasted, on its own clock.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.lasted
    }
}

/// What a simulation has measured of one member.
#[derive(Clone, Debug)]
pub struct MeasuredMember {
    pub(super) name: String,
    pub(super) hundredths: u32,
    pub(super) picks: u64,
    pub(super) failed: u64,
    pub(super) share: f64,
    pub(super) weight_share: f64,
}

impl MeasuredMember {
    /// Returns its name, `m` with its index.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its weight.
    #[must_use]
    pub fn weight(&self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }

    /// Returns how often it was picked, over all balancers and attempts.
    #[must_use]
    pub fn picks(&self) -> u64 {
        self.picks
    }

    /// Returns how many attempts it failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns its share of all picks, between 0 and 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Returns its share of the sum of all weights, between 0 and 1.
    #[must_use]
    pub fn weight_share(&self) -> f64 {
        self.weight_share
    }
}
