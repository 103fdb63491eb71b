//! Reports of members to schedulers during a simulation: [`Feedback`].
//!
//! Not here: the picks and ends of a scheduler's own balancer, which need no reports.

use std::time::Duration;

use super::member_queue::MemberQueue;
use crate::balancer::Balancer;
use crate::clock::Timestamp;
use crate::random::Random;

/// Passes reports of members to schedulers that need them: at intervals, with each answer, or
/// before a pick.
///
/// Implement it next to the scheduler, with the same handles: it reads the members from the
/// [`Fleet`] and passes the reports on.
///
/// # Examples
///
/// Members send heartbeats every 50 ms:
///
/// ```
/// use equipoise::scheduler::{Heartbeat, HeartbeatReading, HeartbeatReadings};
/// use equipoise::testkit::simulation::{Feedback, Fleet, SimulatedMember, Simulation};
/// use std::time::Duration;
///
/// struct Heartbeats(HeartbeatReadings);
///
/// impl Feedback for Heartbeats {
///     fn interval(&self) -> Option<Duration> {
///         Some(Duration::from_millis(50))
///     }
///
///     fn on_interval(&mut self, fleet: &Fleet<'_>) {
///         for member in 0..fleet.len() {
///             let busy = fleet.in_flight(member);
///             let reading = HeartbeatReading { ready: 64_u32.saturating_sub(busy), busy };
///             let _ = self.0.report(fleet.name(member), reading, fleet.now());
///         }
///     }
/// }
///
/// let readings = HeartbeatReadings::new();
/// let mut heartbeats = Heartbeats(readings.clone());
/// let measured = Simulation::new()
///     .members(vec![SimulatedMember::new(); 8])
///     .load(0.5)
///     .requests(5_000)
///     .run_with_feedback(|_| Heartbeat::new(&readings), &mut heartbeats)?;
/// assert_eq!(measured.refused(), 0);
/// # Ok::<(), equipoise::testkit::simulation::SimulationError>(())
/// ```
pub trait Feedback {
    /// Returns the time between calls of [`on_interval`](Self::on_interval); by default there
    /// are none. It is read once, before the simulation starts.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// Called at the start and then at each [`interval`](Self::interval).
    fn on_interval(&mut self, fleet: &Fleet<'_>) {
        let _ = fleet;
    }

    /// Called before each pick, with the index of the balancer that picks: for balancers
    /// that ask members for their load.
    fn on_pick(&mut self, fleet: &Fleet<'_>, balancer: usize) {
        let _ = (fleet, balancer);
    }

    /// Called when a member has answered a request of a balancer, before the lease ends:
    /// for reports that are sent along with an answer. Failures are not reported.
    fn on_answer(&mut self, fleet: &Fleet<'_>, balancer: usize, member: usize) {
        let _ = (fleet, balancer, member);
    }
}

/// No feedback: the scheduler has what it needs from picks and ends.
impl Feedback for () {}

/// The members of a simulation, as they are at this moment; each is given by its index.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::simulation::Fleet;
///
/// /// The number of idle members.
/// fn idle(fleet: &Fleet<'_>) -> usize {
///     (0..fleet.len()).filter(|&member| fleet.in_flight(member) == 0).count()
/// }
/// ```
#[derive(Debug)]
pub struct Fleet<'f> {
    pub(super) now: u64,
    pub(super) members: &'f [MemberQueue],
    pub(super) balancers: &'f [Balancer<usize>],
    pub(super) random: &'f Random,
}

impl<'f> Fleet<'f> {
    /// Returns the time on the clock of the balancers.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.now)
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether there are no members, which is never the case in a running simulation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the name that a member has in all balancers.
    ///
    /// # Panics
    ///
    /// If there is no such member, as the other methods with an index.
    #[must_use]
    pub fn name(&self, member: usize) -> &'f str {
        self.members[member].name()
    }

    /// Returns how many requests a member has from all balancers together, waiting and
    /// worked on.
    ///
    /// # Panics
    ///
    /// If there is no such member.
    #[must_use]
    pub fn in_flight(&self, member: usize) -> u32 {
        self.members[member].in_flight()
    }

    /// Returns how many requests a member has answered so far.
    ///
    /// # Panics
    ///
    /// If there is no such member.
    #[must_use]
    pub fn answered(&self, member: usize) -> u64 {
        self.members[member].answered()
    }

    /// Returns how long the request that a member answered last was with it, the wait in its
    /// queue included.
    ///
    /// # Panics
    ///
    /// If there is no such member.
    #[must_use]
    pub fn latency(&self, member: usize) -> Option<Duration> {
        self.members[member].latency().map(Duration::from_nanos)
    }

    /// Returns the balancers; the payload of each member is its index.
    #[must_use]
    pub fn balancers(&self) -> &'f [Balancer<usize>] {
        self.balancers
    }

    /// Returns a source of randomness that is of no influence on arrivals and service times.
    #[must_use]
    pub fn random(&self) -> &'f Random {
        self.random
    }
}
