//! What a simulated member is like: [`SimulatedMember`].
//!
//! Not here: its queue while the simulation runs (`member_queue`).

use std::ops::Range;
use std::time::Duration;

use super::error::SimulationError;
use crate::member::MemberSpec;

/// A simulated member: a queue in front of servers. It also has the settings that balancers
/// have of it, such as the weight.
///
/// # Examples
///
/// A member that is twice as fast as the other, and has twice its weight, gets twice as
/// many requests:
///
/// ```
/// use equipoise::testkit::simulation::{SimulatedMember, Simulation};
/// use equipoise::{ByRequests, MemberSpec, Weight};
///
/// let fast = SimulatedMember::new()
///     .with_speed(2.0)
///     .with_spec(MemberSpec::new().with_weight(Weight::new(2)?));
/// let measured = Simulation::new()
///     .members([SimulatedMember::new(), fast])
///     .load(0.7)
///     .requests(3_000)
///     .warm_up(0)
///     .run(|_| ByRequests::new())?;
/// assert_eq!(measured.members()[0].picks(), 1_000);
/// assert_eq!(measured.members()[1].picks(), 2_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedMember {
    pub(super) spec: MemberSpec,
    pub(super) speed: f64,
    pub(super) servers: u32,
    /// Whether all requests share the servers.
    pub(super) is_shared: bool,
    pub(super) stalls: Option<Stalls>,
    pub(super) failing: Option<FailingTimes>,
}

/// Pauses of a member; both times are means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stalls {
    pub(super) every: Duration,
    pub(super) lasting: Duration,
}

/// A time in which a member fails all requests.
#[derive(Clone, Debug)]
pub(super) struct FailingTimes {
    pub(super) during: Range<Duration>,
    pub(super) after: Duration,
}

impl SimulatedMember {
    /// Creates a member of speed 1 with one server, that never stalls or fails.
    #[must_use]
    pub fn new() -> Self {
        Self {
            spec: MemberSpec::new(),
            speed: 1.0,
            servers: 1,
            is_shared: false,
            stalls: None,
            failing: None,
        }
    }

    /// Sets what balancers know of the member: its weight, limit on requests in flight,
    /// labels. The speed is not part of it.
    #[must_use]
    pub fn with_spec(mut self, spec: MemberSpec) -> Self {
        self.spec = spec;
        self
    }

    /// Sets how fast it works: a member of speed 0.25 takes four times as long for a request
    /// as one of speed 1. It must be above 0.
    #[must_use]
    pub const fn with_speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Sets how many requests it works on at a time, each at its full speed; 1 by default.
    #[must_use]
    pub const fn with_servers(mut self, servers: u32) -> Self {
        self.servers = servers;
        self
    }

    /// Lets it work on all its requests at once (processor sharing), as a program with many
    /// threads or tasks does: they share the time of its servers equally, and none has more
    /// than one server. By default, requests wait for a server, first come, first served.
    ///
    /// # Examples
    ///
    /// A short request does not wait for a long one:
    ///
    /// ```
    /// use equipoise::ByRequests;
    /// use equipoise::testkit::simulation::{Arrivals, SimulatedMember, Simulation, TracedRequest};
    /// use std::time::Duration;
    ///
    /// let long = TracedRequest::new(Duration::ZERO).with_service_time(Duration::from_secs(9));
    /// let short = TracedRequest::new(Duration::ZERO).with_service_time(Duration::from_secs(1));
    /// let simulation = Simulation::new().arrivals(Arrivals::trace(move || [long, short]));
    /// let fastest = |member: SimulatedMember| {
    ///     let measured = simulation.clone().members([member]).run(|_| ByRequests::new());
    ///     measured.map(|it| it.latencies().quantile(0.5).as_secs_f64().round())
    /// };
    /// assert_eq!(fastest(SimulatedMember::new())?, 9.0);
    /// assert_eq!(fastest(SimulatedMember::new().with_shared_servers())?, 2.0);
    /// # Ok::<(), equipoise::testkit::simulation::SimulationError>(())
    /// ```
    #[must_use]
    pub const fn with_shared_servers(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Lets it pause, as a garbage collector does: all its work stands still for `lasting`
    /// on average, with `every` on average from the end of one pause to the next. Both are
    /// exponentially distributed.
    #[must_use]
    pub const fn with_stalls(mut self, every: Duration, lasting: Duration) -> Self {
        self.stalls = Some(Stalls { every, lasting });
        self
    }

    /// Lets it fail: a request that is sent to it `during` that time, from the start of the
    /// simulation, gets an error with status 503 `after` that delay, without waiting in the
    /// queue. Requests that it has already continue.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::ByRequests;
    /// use equipoise::testkit::simulation::{SimulatedMember, Simulation};
    /// use std::time::Duration;
    ///
    /// let always = Duration::ZERO..Duration::MAX;
    /// let broken = SimulatedMember::new().with_failures(always, Duration::from_micros(100));
    /// let mut members = vec![SimulatedMember::new(); 4];
    /// members.push(broken);
    /// let simulation = Simulation::new().members(members).load(0.5).requests(5_000).warm_up(0);
    /// let measured = simulation.run(|_| ByRequests::new())?;
    /// assert_eq!((measured.answered(), measured.failed()), (4_000, 1_000));
    ///
    /// // With a second attempt on another member:
    /// let measured = simulation.attempts(2).run(|_| ByRequests::new())?;
    /// assert_eq!((measured.answered(), measured.failed()), (5_000, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_failures(mut self, during: Range<Duration>, after: Duration) -> Self {
        self.failing = Some(FailingTimes { during, after });
        self
    }

    /// Returns how many requests of the mean service time it can serve in that time.
    pub(super) fn capacity(&self) -> f64 {
        self.speed * f64::from(self.servers)
    }

    pub(super) fn check(&self) -> Result<(), SimulationError> {
        let valid = self.speed.is_finite() && self.speed > 0.0 && self.servers > 0;
        let stalls = self.stalls.is_none_or(|it| !it.every.is_zero());
        (valid && stalls)
            .then_some(())
            .ok_or(SimulationError::Member)
    }
}

impl Default for SimulatedMember {
    fn default() -> Self {
        Self::new()
    }
}
