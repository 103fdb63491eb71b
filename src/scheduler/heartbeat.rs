//! Picks by the idle capacity that members report.

use std::time::Duration;

use super::ranking::{Ranking, pick_ranked};
use super::readings::ReadingTable;
use super::{
    ByRequests, Candidate, Candidates, Claim, GroupChange, HeartbeatReadings, Needs, Pick,
    PickContext, PickDetails, Scheduler,
};
use crate::member::{Ended, MemberId, MemberState};
use crate::random::Random;

/// Picks at random, in proportion to the idle capacity that each member has reported, less
/// the requests sent to it since (`lbmethod=heartbeat`).
///
/// A report counts for ten seconds by default ([`with_max_age`](Self::with_max_age)). While
/// no report of an eligible member shows idle capacity, the fallback picks: [`ByRequests`]
/// unless [`with_fallback`](Self::with_fallback) sets another. A fallback does not have to
/// make up for earlier picks by reports; [`ByBusyness`](super::ByBusyness) among up to 16
/// members does, if it settles a tie.
///
/// Unlike Apache's method, this one respects standbys, tiers, draining and caps,
/// distinguishes members with the same address, gives the last member no more than its
/// share, and does not refuse all requests when no member reports (row 10 of
/// `docs/deviations.md`). Weights do not matter, as in Apache.
///
/// Source: `lbmethod_heartbeat.c` of Apache httpd. Cost: O(log n) for each pick; once per
/// maximum age of a report, all reports are scanned for expired ones.
#[derive(Debug)]
pub struct Heartbeat {
    readings: HeartbeatReadings,
    fallback: Option<Box<dyn Scheduler>>,
}

impl Heartbeat {
    /// Creates a scheduler that picks by `readings`. Do not share them with another
    /// scheduler.
    #[must_use]
    pub fn new(readings: &HeartbeatReadings) -> Self {
        Self {
            readings: readings.clone(),
            fallback: Some(Box::new(ByRequests::new())),
        }
    }

    /// Sets the scheduler that picks while no member reports idle capacity.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{ByBusyness, Heartbeat, HeartbeatReadings};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let heartbeat = Heartbeat::new(&HeartbeatReadings::new()).with_fallback(ByBusyness::new());
    /// let balancer = Balancer::builder()
    ///     .scheduler(heartbeat)
    ///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let first = balancer.pick(&PickRequest::new())?; // no member has reported yet
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
    /// # drop(first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_fallback(mut self, fallback: impl Scheduler) -> Self {
        self.fallback = Some(Box::new(fallback));
        self
    }

    /// Picks no member while none reports idle capacity, as Apache does.
    ///
    /// Once as many requests have been sent as the reports had room for, members are picked
    /// in proportion to their reports, until the next reports arrive.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::scheduler::{Heartbeat, HeartbeatReadings};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let balancer = Balancer::builder()
    ///     .scheduler(Heartbeat::new(&HeartbeatReadings::new()).without_fallback())
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// assert!(balancer.pick(&PickRequest::new()).is_err(), "no member has reported");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn without_fallback(mut self) -> Self {
        self.fallback = None;
        self
    }

    /// Sets how long a report counts; 10 s by default. Call it before the first report
    /// arrives.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, ManualClock};
    /// use equipoise::scheduler::{Heartbeat, HeartbeatReadings, HeartbeatReading};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    /// use std::time::Duration;
    ///
    /// let (readings, clock) = (HeartbeatReadings::new(), ManualClock::new());
    /// let heartbeat = Heartbeat::new(&readings).with_max_age(Duration::from_secs(2));
    /// let balancer = Balancer::builder()
    ///     .scheduler(heartbeat.without_fallback())
    ///     .clock(clock.clone())
    ///     .member("a", (), MemberSpec::new())
    ///     .build()?;
    /// readings.report("a", HeartbeatReading { ready: 10, busy: 1 }, clock.now())?;
    /// assert!(balancer.pick(&PickRequest::new()).is_ok());
    /// clock.advance(Duration::from_secs(2));
    /// assert!(balancer.pick(&PickRequest::new()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        self.readings.table().lock().set_max_age(max_age);
        self
    }
}

impl Scheduler for Heartbeat {
    fn name(&self) -> &'static str {
        "heartbeat"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let pick = {
            let mut table = self.readings.table().lock();
            if let Some(now) = context.now() {
                table.expire(now);
            }
            let mut draw = Draw {
                table: &mut table,
                random: context.random(),
                beyond: self.fallback.is_none(),
            };
            pick_ranked(&mut draw, candidates)
        };
        match (pick, &self.fallback) {
            (Pick::NoneUsable, Some(fallback)) => {
                let pick = fallback.pick(candidates, context);
                if let Pick::Claimed(claim) = &pick {
                    self.readings
                        .table()
                        .lock()
                        .update_in_flight(claim.member());
                }
                pick
            }
            (Pick::Claimed(claim), Some(fallback)) => {
                // A fallback that counts requests in flight itself has to be notified of this
                // one, too. One that reads them needs no notice.
                if fallback.needs().contains(Needs::ENDED) {
                    fallback.on_session_pick(candidates, claim.member());
                }
                Pick::Claimed(claim)
            }
            (pick, _) => pick,
        }
    }

    /// Returns `None` while the pick is random; otherwise asks the fallback.
    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        let idle = {
            let table = self.readings.table().lock();
            let now = context.now();
            let idle = |candidate: Candidate<'_>| table.idle_at(candidate.id(), now);
            candidates.iter().map(idle).sum::<u64>()
        };
        let fallback = self.fallback.as_ref().filter(|_| idle == 0)?;
        fallback.peek(candidates, context)
    }

    /// Returns the idle capacities to which the chances are in proportion; what the fallback
    /// compares, if there are none.
    fn explain(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> PickDetails {
        let idle: Vec<_> = {
            let table = self.readings.table().lock();
            let now = context.now();
            let idle = |one: Candidate<'_>| (one.id(), table.idle_at(one.id(), now));
            candidates.iter().map(idle).collect()
        };
        match &self.fallback {
            Some(fallback) if idle.iter().all(|&(_, idle)| idle == 0) => fallback
                .explain(candidates, context)
                .note("no member reports idle capacity: the fallback picks"),
            _ => {
                let details = PickDetails::comparing("chance, in proportion to idle capacity");
                let details = details.ignoring_hash(context);
                idle.into_iter().fold(details, |details, (member, idle)| {
                    details.score(member, idle as f64)
                })
            }
        }
    }

    fn on_session_pick(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.readings.table().lock().update_in_flight(member);
        if let Some(fallback) = &self.fallback {
            fallback.on_session_pick(candidates, member);
        }
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        self.readings.table().lock().update_in_flight(member);
        if let Some(fallback) = &self.fallback {
            if fallback.needs().contains(Needs::ENDED) {
                fallback.on_ended(member, ended);
            }
        }
    }

    fn on_room(&self, member: &MemberState) {
        {
            let mut table = self.readings.table().lock();
            if let Some(slot) = table.slot(member.id()) {
                table.unpark(slot);
            }
        }
        if let Some(fallback) = &self.fallback {
            fallback.on_room(member);
        }
    }

    fn on_group_change(&self, group: &GroupChange<'_>) {
        {
            let mut table = self.readings.table().lock();
            table.generation = table.generation.max(group.generation());
            for member in group.left() {
                table.leave(member.id());
            }
            for candidate in group.joined().chain(group.changed()) {
                table.join(candidate);
            }
        }
        if let Some(fallback) = &self.fallback {
            fallback.on_group_change(group);
        }
    }

    fn reset(&self) {
        self.readings.table().lock().reset();
        if let Some(fallback) = &self.fallback {
            fallback.reset();
        }
    }

    /// Returns the idle capacity by which the member is picked; `None` without a report.
    fn standing(&self, member: MemberId) -> Option<i64> {
        let idle = self.readings.table().lock().idle(member)?;
        i64::try_from(idle).ok()
    }

    fn needs(&self) -> Needs {
        let fallback = self.fallback.as_ref();
        let own = Needs::CLOCK | Needs::ENDED;
        fallback.map_or(own, |fallback| own | fallback.needs())
    }
}

/// One random draw.
struct Draw<'d> {
    table: &'d mut ReadingTable,
    random: &'d Random,
    /// Whether members are picked beyond their idle capacity.
    beyond: bool,
}

impl Ranking for Draw<'_> {
    fn generation(&self) -> u64 {
        self.table.generation
    }

    fn slot(&self, member: MemberId) -> Option<u32> {
        self.table.slot(member)
    }

    fn first(&mut self, _: &Candidates<'_>) -> Option<(u32, MemberId)> {
        self.table.draw(self.random, self.beyond)
    }

    fn picked(&mut self, _: u32, claim: &Claim<'_>, _: &Candidates<'_>) {
        self.table.update_in_flight(claim.member());
    }

    fn skip(&mut self, slot: u32) {
        self.table.skip(slot);
    }

    fn restore_skipped(&mut self) {
        self.table.restore_skipped();
    }

    fn park(&mut self, slot: u32) {
        self.table.park(slot);
    }

    fn parked(&self) -> usize {
        self.table.parked
    }

    fn is_parked(&self, slot: u32) -> bool {
        self.table.is_parked(slot)
    }
}
