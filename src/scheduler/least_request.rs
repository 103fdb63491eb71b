//! Picks the member with the fewest requests in flight per unit of weight, among all or
//! among some that are drawn.

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
use crate::member::{Ended, MemberId, MemberState};
use crate::sync::{AtomicU64, Relaxed};

/// Picks the member with the fewest requests in flight per unit of weight: of all members if
/// they are few, otherwise of two that are drawn at random.
///
/// Use it for requests that differ in length, with any number of members and balancers. Up
/// to 16 eligible members ([`with_scan_max`](Self::with_scan_max)), a pick compares all of
/// them; chance settles ties. Among more, it draws two different ones in proportion to
/// their weights ([`with_choices`](Self::with_choices)): the queues are a little longer than
/// with a comparison of all members, but several balancers do not send to the same member at
/// once, and a pick takes the same time for 10 000 members.
///
/// The load of a member is `(requests in flight + 1 + failure debt) / weight`. Weights
/// therefore hold for busy members; while all are idle, the heaviest one is picked.
///
/// A failed request adds a *failure debt* to its member
/// ([`with_failure_debt`](Self::with_failure_debt)): it counts as one more request in
/// flight, and half of it is left after 10 s. Otherwise a member that fails at once, and so
/// is always idle, would attract most requests. A response with status 429 or 5xx counts as
/// a failure here, whatever its outcome. A debt of less than a quarter of a request does
/// not count.
///
/// Share: with equal weights, a member is compared, and therefore picked, in at most `d / n`
/// of the picks among `n` members of which `d` are drawn. With different weights, the later
/// draws are among what the earlier ones leave: the bound is the sum of `w / (W - S)`, where
/// `w` is its weight, `W` the sum of all weights, and `S` that of the 0, 1, .. `d - 1`
/// heaviest others.
///
/// Source: Mitzenmacher, *The power of two choices in randomized load balancing* (2001);
/// the failure debt is this crate's own. Cost: a pick takes no lock; among members that are
/// drawn, constant time, unless members with most of the tier's weight cannot be picked or
/// ramp up: then a pick may read all members. A pick reads the clock only while a failure
/// debt is left. The table for the draws is computed when members or weights change
/// ([`Scheduler::plan`]).
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::LeastRequest;
/// use equipoise::{Balancer, MemberSpec, PickRequest, Weight};
///
/// let balancer = Balancer::builder()
///     .scheduler(LeastRequest::new())
///     .member("small", (), MemberSpec::new())
///     .member("large", (), MemberSpec::new().with_weight(Weight::new(3)?))
///     .build()?;
/// let leases: Vec<_> = (0..8)
///     .map(|_| balancer.pick(&PickRequest::new()).unwrap())
///     .collect();
/// let large = leases.iter().filter(|lease| lease.member().name() == "large");
/// assert_eq!(large.count(), 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LeastRequest {
    sampling: Sampling,
    /// What a failure adds, in units of [`REQUEST`]; 0 for no debt.
    failure: u64,
    decay: Decay,
    debts: ByMember<Decaying>,
    /// When no debt will be left, in nanoseconds, so that most picks read no debts; 0 if none
    /// is left, so that they do not read the clock.
    // Relaxed: a pick that sees an old time misses the debt of a failure just now.
    debts_end: AtomicU64,
    latest: LatestTime,
}

/// One request, in the units of debts.
const REQUEST: u64 = 1 << 16;

/// Debts are compared in quarters of a request, rounded down: so a small rest of a debt does
/// not decide among idle members.
const QUARTER: u64 = REQUEST / 4;

const SCAN_MAX: usize = 16;

impl LeastRequest {
    /// Creates a scheduler that scans up to 16 members, draws two among more, and adds one
    /// request for each failure, with a half-life of 10 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Scheduler;
    /// use equipoise::scheduler::LeastRequest;
    ///
    /// assert_eq!(LeastRequest::new().name(), "leastrequest");
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            sampling: Sampling::new(SCAN_MAX),
            failure: REQUEST,
            decay: Decay::with_half_life(Duration::from_secs(10)),
            debts: ByMember::new(),
            debts_end: AtomicU64::new(0),
            latest: LatestTime::default(),
        }
    }

    /// Sets how many members are drawn and compared, if there are too many for a scan.
    ///
    /// More than two make queues a little shorter, and bursts to one member longer if
    /// several balancers pick.
    ///
    /// # Errors
    ///
    /// [`SamplingError::Choices`] if `choices` is not from 2 to 10.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::LeastRequest;
    ///
    /// assert!(LeastRequest::new().with_choices(3).is_ok());
    /// assert!(LeastRequest::new().with_choices(1).is_err());
    /// ```
    pub fn with_choices(mut self, choices: usize) -> Result<Self, SamplingError> {
        self.sampling = self.sampling.with_choices(choices)?;
        Ok(self)
    }

    /// Sets up to how many eligible members a pick compares all of them; 0 to always draw.
    ///
    /// Scan only if few balancers share the members: each balancer counts its own requests,
    /// and with many balancers, all of them choose the same member at once.
    ///
    /// # Errors
    ///
    /// [`SamplingError::ScanMax`] if `members` is above 64.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::LeastRequest;
    ///
    /// assert!(LeastRequest::new().with_scan_max(0).is_ok());
    /// assert!(LeastRequest::new().with_scan_max(65).is_err());
    /// ```
    pub fn with_scan_max(mut self, members: usize) -> Result<Self, SamplingError> {
        self.sampling = self.sampling.with_scan_max(members)?;
        Ok(self)
    }

    /// Sets as how many requests in flight a failed one counts from its end on, and after
    /// which time half of that is left. With 0 requests, failures do not count.
    ///
    /// # Errors
    ///
    /// [`SamplingError::FailureDebt`] if `requests` is above 1 000;
    /// [`SamplingError::DecayTime`] if `half_life` is not from 1 ms to 1 day.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::LeastRequest;
    /// use equipoise::{Balancer, MemberSpec, Outcome, PickRequest};
    /// use std::time::Duration;
    ///
    /// let scheduler = LeastRequest::new().with_failure_debt(4, Duration::from_secs(60))?;
    /// let balancer = Balancer::builder()
    ///     .scheduler(scheduler)
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let failed = balancer.pick(&PickRequest::new())?;
    /// let name = failed.member().name().to_owned();
    /// failed.finish(Outcome::Failure);
    /// let next: Vec<_> = (0..4)
    ///     .map(|_| balancer.pick(&PickRequest::new()).unwrap())
    ///     .collect();
    /// assert!(next.iter().all(|lease| lease.member().name() != name));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_failure_debt(
        mut self,
        requests: u32,
        half_life: Duration,
    ) -> Result<Self, SamplingError> {
        if requests > 1_000 {
            return Err(SamplingError::FailureDebt);
        }
        self.failure = u64::from(requests) * REQUEST;
        self.decay = Decay::with_half_life(checked_decay(half_life)?);
        Ok(self)
    }

    /// Returns the time of a pick, or any time if no debt is left.
    #[inline]
    fn now(&self, context: &PickContext<'_>) -> Timestamp {
        if self.debts_end.load(Relaxed) == 0 {
            return self.latest.get();
        }
        self.latest.or(context.now())
    }

    /// Notes that no debt is left, if that is so.
    fn forget_debts(&self, now: Timestamp) {
        let end = self.debts_end.load(Relaxed);
        if end != 0 && now.as_nanos() >= end {
            // A failure may have moved the end meanwhile.
            let _ = self.debts_end.compare_exchange(end, 0, Relaxed, Relaxed);
        }
    }

    #[inline]
    fn debt(&self, member: MemberId, now: Timestamp) -> u64 {
        if now.as_nanos() >= self.debts_end.load(Relaxed) {
            return 0;
        }
        let debt = self.debts.get(member);
        debt.map_or(0, |debt| debt.at(now, self.decay))
    }

    /// Returns the load of a member if it gets one more request, in quarters of a request.
    #[inline]
    fn load(&self, one: &Candidate<'_>, now: Timestamp) -> LoadPerWeight {
        let requests = u64::from(one.state().in_flight()) + 1;
        let debt = self.debt(one.id(), now) / QUARTER;
        let quarters = requests * (REQUEST / QUARTER) + debt;
        LoadPerWeight::new(quarters, one.weight())
    }
}

impl Default for LeastRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler for LeastRequest {
    fn name(&self) -> &'static str {
        "leastrequest"
    }

    fn plan(&self, members: &PlanMembers<'_>) -> Option<Plan> {
        Some(Plan::new(Lots::new(members)))
    }

    #[inline]
    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let now = self.now(context);
        self.forget_debts(now);
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
        let measure = "requests in flight with this one and failure debt, per weight";
        let unit = (REQUEST / QUARTER) as f64;
        self.sampling
            .explain(candidates, context, load, (measure, unit))
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        if self.failure > 0 && ended.has_failed() {
            if let Some(debt) = self.debts.get(member.id()) {
                let now = self.latest.or(ended.at);
                debt.update(now, self.decay, |debt, left| {
                    Some(scaled(debt, left).saturating_add(self.failure))
                });
                let end = self.decay.end(now).as_nanos();
                self.debts_end.fetch_max(end, Relaxed);
            }
        }
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        for one in group.joined() {
            self.debts
                .admit(one.id(), |debt| debt.set(0, self.latest.get()));
        }
    }

    fn reset(&self) {
        self.debts.reset(|debt| debt.set(0, self.latest.get()));
    }

    /// Returns the failure debt at the latest pick or failure, in hundredths of a request.
    fn standing(&self, member: MemberId) -> Option<i64> {
        let debt = self.debt(member, self.latest.get());
        i64::try_from(u128::from(debt) * 100 / u128::from(REQUEST)).ok()
    }

    fn needs(&self) -> Needs {
        if self.failure == 0 {
            return Needs::PLAN;
        }
        Needs::PLAN | Needs::CLOCK | Needs::ENDED
    }
}
