//! Pick by the idle capacity that members report themselves.

use std::time::Duration;

use super::election::{Books, elect};
use super::readings::ReadingTable;
use super::{
    ByRequests, Candidate, Candidates, Claim, GroupChange, HeartbeatReadings, Needs, Pick,
    PickContext, Scheduler,
};
use crate::member::{Ended, MemberId, MemberState};
use crate::random::Random;

/// Picks by chance, in proportion to the idle capacity that each member has reported
/// (`lbmethod=heartbeat`), less what was sent there since.
///
/// A report counts for ten seconds. While no report of an eligible member shows idle
/// capacity, the fallback picks: [`ByRequests`], unless told otherwise.
///
/// Unlike Apache's, this method leaves standbys, tiers, draining and caps in force,
/// keeps members of one address apart, gives the last member no more than its share,
/// and does not refuse everything when nobody reports (ledger row 10). Weights do not
/// matter, as in Apache.
///
/// Source: `lbmethod_heartbeat.c` of Apache httpd. Cost: O(log n); once
/// in the life of a report all are looked through for old ones.
#[derive(Debug)]
pub struct Heartbeat {
    readings: HeartbeatReadings,
    fallback: Option<Box<dyn Scheduler>>,
}

impl Heartbeat {
    /// Creates a scheduler that picks by `readings`, which must not be shared with
    /// another scheduler.
    #[must_use]
    pub fn new(readings: &HeartbeatReadings) -> Self {
        Self {
            readings: readings.clone(),
            fallback: Some(Box::new(ByRequests::new())),
        }
    }

    /// Sets who picks while nobody reports idle capacity.
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
    /// let first = balancer.pick(&PickRequest::new())?; // nobody has reported yet
    /// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
    /// # drop(first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_fallback(mut self, fallback: impl Scheduler) -> Self {
        self.fallback = Some(Box::new(fallback));
        self
    }

    /// While nobody reports idle capacity, picks nobody, as Apache does.
    ///
    /// Once as many requests have been sent as the reports had room for, members are picked in
    /// proportion to their reports, until the next ones come in.
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
    /// assert!(balancer.pick(&PickRequest::new()).is_err(), "nobody has reported");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn without_fallback(mut self) -> Self {
        self.fallback = None;
        self
    }

    /// Sets how long a report counts; 10 s by default. To be said before the first
    /// report comes in.
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
            elect(&mut draw, candidates)
        };
        match (pick, &self.fallback) {
            (Pick::Nobody, Some(fallback)) => {
                let pick = fallback.pick(candidates, context);
                if let Pick::Claimed(claim) = &pick {
                    self.readings.table().lock().touch(claim.member());
                }
                pick
            }
            (Pick::Claimed(claim), Some(fallback)) => {
                // Only who counts what is in flight has to hear of it.
                if fallback.needs().contains(Needs::ENDED) {
                    fallback.on_routed(candidates, claim.member());
                }
                Pick::Claimed(claim)
            }
            (pick, _) => pick,
        }
    }

    /// Chance decides, unless the fallback does.
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

    fn on_routed(&self, candidates: &Candidates<'_>, member: &MemberState) {
        self.readings.table().lock().touch(member);
        if let Some(fallback) = &self.fallback {
            fallback.on_routed(candidates, member);
        }
    }

    fn on_ended(&self, member: &MemberState, ended: &Ended) {
        self.readings.table().lock().touch(member);
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

    /// The idle capacity by which the member is picked; nothing without a report.
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

/// One drawing of lots.
struct Draw<'d> {
    table: &'d mut ReadingTable,
    random: &'d Random,
    /// Whether members are picked beyond what they have idle.
    beyond: bool,
}

impl Books for Draw<'_> {
    fn generation(&self) -> u64 {
        self.table.generation
    }

    fn slot(&self, member: MemberId) -> Option<u32> {
        self.table.slot(member)
    }

    fn champion(&mut self, _: &Candidates<'_>) -> Option<(u32, MemberId)> {
        self.table.draw(self.random, self.beyond)
    }

    fn picked(&mut self, _: u32, claim: &Claim<'_>) {
        self.table.touch(claim.member());
    }

    fn step_over(&mut self, slot: u32) {
        self.table.step_over(slot);
    }

    fn put_back(&mut self) {
        self.table.put_back();
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
