//! Picks the member with the lower expected latency of two that are drawn.

use std::time::Duration;

use super::by_slot::ByMember;
use super::decay::{Decay, Decaying, LatestTime, scaled};
use super::lots::Lots;
use super::sampling::{LoadPerWeight, Sampling, checked_decay};
use super::{
    Candidate, Candidates, GroupChange, Needs, Pick, PickContext, PickDetails, Plan, PlanMembers,
    SamplingError, Scheduler,
};
use crate::clock::Timestamp;
use crate::member::{Ended, MemberId, MemberState, Outcome};

/// Draws two members and picks the one with the lower expected latency: its recent peak
/// latency, times its requests in flight.
///
/// Use it if members differ in speed, or if their speed changes: a member that becomes slow
/// gets fewer requests after its first slow response. If all members are equally fast,
/// [`LeastRequest`](super::LeastRequest) keeps the queues a little shorter.
///
/// Each member has a *cost*: an average of the time from the pick to the head of its
/// responses ([`record_head`](crate::Lease::record_head)), or to the end if no head was
/// recorded. A slower response replaces the average at once; faster ones lower it
/// exponentially, by a factor of e in 10 s ([`with_decay`](Self::with_decay)). A cost also
/// decays while no response arrives, so that a slow member is tried again. The load is
/// `cost * (requests in flight + 1) / weight`.
///
/// While a request that was picked after the member's last head waits for its own, the cost
/// before the decay is compared. So a member that stops answering does not attract the
/// requests of those that answer, and a slow member is tried by one request at a time. A long
/// download, or an old request that waits while later ones were answered, does not stop the
/// decay. A member without a cost, because the default is zero, is picked while it is idle;
/// then all others are preferred until one of its requests has a head or has ended.
///
/// | end of a request | what is recorded |
/// |---|---|
/// | success | the time to the head |
/// | failure, or status 429 or 5xx | 5 s ([`with_failure_penalty`](Self::with_failure_penalty)), or the time it took, if longer |
/// | cancelled before the head arrived | the time so far, if it is longer than the average |
///
/// A new member starts with a cost of 10 ms ([`with_default_cost`](Self::with_default_cost)).
///
/// It always draws two different members, also if there are few, in proportion to their
/// weights: so a member whose cost is low, right or wrong, gets at most `2 / n` of the
/// requests among `n` members of equal weight. [`with_choices`](Self::with_choices) draws
/// more.
///
/// Source: Finagle's `PeakEwma`, as in tower and Linkerd, where a cost also decays while
/// requests wait; the penalty for failures is that of Linkerd. Cost: a pick takes no lock and
/// constant time, unless members with most of the tier's weight cannot be picked or ramp up:
/// then it may read all members. It reads the clock at each pick, head and end. The table for
/// the draws is computed when members or weights change ([`Scheduler::plan`]). All arithmetic
/// is on integers: with one seed and one clock, the picks are the same on every machine.
///
/// # Examples
///
/// ```
/// use equipoise::clock::ManualClock;
/// use equipoise::scheduler::PeakEwma;
/// use equipoise::{Balancer, MemberSpec, Outcome, PickRequest};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let balancer = Balancer::builder()
///     .scheduler(PeakEwma::new())
///     .clock(clock.clone())
///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let mut slow = balancer.pick(&PickRequest::new())?;
/// let name = slow.member().name().to_owned();
/// clock.advance(Duration::from_millis(200));
/// slow.record_head(Some(200));
/// slow.finish(Outcome::Success);
/// let next = balancer.pick(&PickRequest::new())?;
/// assert_ne!(next.member().name(), name);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PeakEwma {
    sampling: Sampling,
    decay: Decay,
    /// In nanoseconds, as all costs.
    default_cost: u64,
    failure_penalty: u64,
    costs: ByMember<Decaying>,
    latest: LatestTime,
}

/// The cost of a member that has none while a request waits: longer than any latency.
const UNKNOWN: u64 = 1 << 47;

const NANOS_PER_MILLI: f64 = 1e6;

impl PeakEwma {
    /// Creates a scheduler with a decay of 10 s, a default cost of 10 ms, and a failure
    /// penalty of 5 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Scheduler;
    /// use equipoise::scheduler::PeakEwma;
    ///
    /// assert_eq!(PeakEwma::new().name(), "peakewma");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            // All picks draw: a scan would send all requests to a member whose cost has
            // decayed, until it ends one.
            sampling: Sampling::new(0),
            decay: Decay::with_time_constant(Duration::from_secs(10)),
            default_cost: 10_000_000,
            failure_penalty: 5_000_000_000,
            costs: ByMember::new(),
            latest: LatestTime::default(),
        }
    }

    /// Sets how many members are drawn and compared.
    ///
    /// # Errors
    ///
    /// [`SamplingError::Choices`] if `choices` is not from 2 to 10.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::PeakEwma;
    ///
    /// assert!(PeakEwma::new().with_choices(3).is_ok());
    /// ```
    pub fn with_choices(mut self, choices: usize) -> Result<Self, SamplingError> {
        self.sampling = self.sampling.with_choices(choices)?;
        Ok(self)
    }

    /// Sets the time in which a cost decays to 1/e, about 37 %.
    ///
    /// # Errors
    ///
    /// [`SamplingError::DecayTime`] if `time` is not from 1 ms to 1 day.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::PeakEwma;
    /// use std::time::Duration;
    ///
    /// assert!(PeakEwma::new().with_decay(Duration::from_secs(1)).is_ok());
    /// assert!(PeakEwma::new().with_decay(Duration::ZERO).is_err());
    /// ```
    pub fn with_decay(mut self, time: Duration) -> Result<Self, SamplingError> {
        self.decay = Decay::with_time_constant(checked_decay(time)?);
        Ok(self)
    }

    /// Sets the cost with which a new member starts.
    ///
    /// With a cost above that of the other members, a new member gets few requests at
    /// first, and more as the cost decays.
    ///
    /// # Errors
    ///
    /// [`SamplingError::Cost`] if `cost` is above 1 hour.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::PeakEwma;
    /// use std::time::Duration;
    ///
    /// assert!(PeakEwma::new().with_default_cost(Duration::from_secs(1)).is_ok());
    /// ```
    pub fn with_default_cost(mut self, cost: Duration) -> Result<Self, SamplingError> {
        self.default_cost = checked_cost(cost)?;
        Ok(self)
    }

    /// Sets the least time that a failure counts for.
    ///
    /// # Errors
    ///
    /// [`SamplingError::Cost`] if `penalty` is above 1 hour.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::PeakEwma;
    /// use std::time::Duration;
    ///
    /// assert!(PeakEwma::new().with_failure_penalty(Duration::from_secs(1)).is_ok());
    /// ```
    pub fn with_failure_penalty(mut self, penalty: Duration) -> Result<Self, SamplingError> {
        self.failure_penalty = checked_cost(penalty)?;
        Ok(self)
    }

    fn cost(&self, member: MemberId, now: Timestamp) -> u64 {
        let cost = self.costs.get(member);
        cost.map_or(self.default_cost, |cost| cost.at(now, self.decay))
    }

    /// Returns the load of a member if it gets one more request, in nanoseconds.
    #[inline]
    fn load(&self, one: &Candidate<'_>, now: Timestamp) -> LoadPerWeight {
        let pending = one.state().in_flight();
        let cost = if one.state().awaits_head() {
            let cost = self.costs.get(one.id());
            let cost = cost.map_or(self.default_cost, Decaying::stored);
            if cost == 0 { UNKNOWN } else { cost }
        } else {
            self.cost(one.id(), now)
        };
        // It is as good as infinite where it does not fit.
        let amount = cost.saturating_mul(u64::from(pending) + 1);
        LoadPerWeight::new(amount, one.weight())
    }

    /// Records a time, as a peak or as part of the average.
    fn record(&self, member: MemberId, now: Timestamp, time: u64) {
        self.change(member, now, |cost, left| {
            Some(if time >= cost {
                time
            } else {
                time + scaled(cost - time, left)
            })
        });
    }

    /// Records a time only if it is longer than the average.
    fn record_at_least(&self, member: MemberId, now: Timestamp, time: u64) {
        self.change(member, now, |cost, left| {
            (time > scaled(cost, left)).then_some(time)
        });
    }

    fn change(&self, member: MemberId, now: Timestamp, change: impl Fn(u64, u64) -> Option<u64>) {
        if let Some(cost) = self.costs.get(member) {
            cost.update(now, self.decay, change);
        }
    }

    fn now(&self, context: &PickContext<'_>) -> Timestamp {
        self.latest.or(context.now())
    }
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self::new()
    }
}

fn checked_cost(cost: Duration) -> Result<u64, SamplingError> {
    let is_valid = cost <= Duration::from_secs(3_600);
    let cost = is_valid.then_some(cost).ok_or(SamplingError::Cost)?;
    Ok(nanos(cost))
}

/// Returns a time as a cost, of one hour at most.
fn nanos(time: Duration) -> u64 {
    const HOUR: u64 = 3_600_000_000_000;
    u64::try_from(time.as_nanos()).map_or(HOUR, |nanos| nanos.min(HOUR))
}

impl Scheduler for PeakEwma {
    fn name(&self) -> &'static str {
        "peakewma"
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        Some(Plan::new(Lots::new(members)))
    }

    #[inline]
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let now = self.now(context);
        self.sampling
            .pick(candidates, context, |one| self.load(one, now))
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let now = self.now(context);
        self.sampling
            .peek(candidates, context, |one| self.load(one, now))
    }

    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let now = self.now(context);
        let load = |one: &Candidate<'_>| self.load(one, now);
        let measure = "expected latency per weight, in ms";
        self.sampling
            .explain(candidates, context, load, (measure, NANOS_PER_MILLI))
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        let Some(elapsed) = ended.elapsed.map(nanos) else {
            // It began under another scheduler.
            return;
        };
        let head = ended.time_to_head.map(nanos);
        if !ended.has_response {
            member.set_awaits_head(false);
        }
        let (member, now) = (member.id(), self.latest.or(ended.at));
        if ended.has_failed() {
            self.record(member, now, elapsed.max(self.failure_penalty));
        } else if let Some(head) = head {
            self.record(member, now, head);
        } else if ended.outcome == Outcome::Cancelled {
            self.record_at_least(member, now, elapsed);
        } else {
            self.record(member, now, elapsed);
        }
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        for one in group.joined() {
            self.costs.admit(one.id(), |cost| {
                cost.set(self.default_cost, self.latest.get());
            });
        }
    }

    fn reset(&self) {
        let latest = self.latest.get();
        self.costs.reset(|cost| cost.set(self.default_cost, latest));
    }

    /// Returns the cost at the latest pick or end, in microseconds, with its decay.
    fn standing(&self, member: MemberId) -> Option<i64> {
        i64::try_from(self.cost(member, self.latest.get()) / 1_000).ok()
    }

    fn needs(&self) -> Needs {
        Needs::PLAN | Needs::CLOCK | Needs::TIME_TO_HEAD
    }
}
