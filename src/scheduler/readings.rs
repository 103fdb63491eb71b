//! What members report of themselves: [`HeartbeatReadings`], and the table that
//! [`Heartbeat`](super::Heartbeat) picks by.
//!
//! What does not live here: where reports come from. Whoever receives them puts them
//! in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Candidate;
use super::fenwick::Shares;
use crate::clock::Timestamp;
use crate::member::{MemberId, MemberState};
use crate::random::Random;
use crate::sync::Mutex;

/// Reports of names that are no members are kept for so many names at most.
const STRANGERS: usize = 4096;

/// What a member reports of its own capacity.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::HeartbeatReading;
///
/// let reading = HeartbeatReading { ready: 30, busy: 2 };
/// assert_eq!(reading.idle(), 30);
/// // A server that has just started and serves nobody is approached with care.
/// assert_eq!(HeartbeatReading { ready: 30, busy: 0 }.idle(), 7);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the two numbers of a heartbeat")]
pub struct HeartbeatReading {
    /// Slots that are idle.
    pub ready: u32,
    /// Slots that are busy.
    pub busy: u32,
}

impl HeartbeatReading {
    /// Returns the idle capacity to pick by: `ready`, or a quarter of it while
    /// nothing is busy, as Apache does for servers that have just started. A server with fewer
    /// than four idle slots counts as one slot then, and not as none as in Apache: it would
    /// stay idle for ever.
    #[must_use]
    pub const fn idle(self) -> u32 {
        if self.busy > 0 || self.ready == 0 {
            return self.ready;
        }
        let quarter = self.ready / 4;
        if quarter == 0 { 1 } else { quarter }
    }
}

/// Where reports are put in for a [`Heartbeat`](super::Heartbeat) scheduler; a cheap
/// clone of one shared table.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{Clock, ManualClock};
/// use equipoise::scheduler::{Heartbeat, HeartbeatReadings, HeartbeatReading};
/// use equipoise::{Balancer, PickRequest};
///
/// let (readings, clock) = (HeartbeatReadings::new(), ManualClock::new());
/// let balancer = Balancer::builder()
///     .scheduler(Heartbeat::new(&readings))
///     .clock(clock.clone())
///     .member("a", (), Default::default())
///     .member("b", (), Default::default())
///     .build()?;
/// readings.report("b", HeartbeatReading { ready: 10, busy: 1 }, clock.now())?;
/// assert_eq!(balancer.pick(&PickRequest::new()).unwrap().member().name(), "b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HeartbeatReadings {
    table: Arc<Mutex<ReadingTable>>,
}

impl HeartbeatReadings {
    /// Creates an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts in what the member `name` reports, received at `at` on the balancer's
    /// clock. A later report replaces an earlier one.
    ///
    /// A name that is no member yet is remembered until its report is too old.
    ///
    /// # Errors
    ///
    /// [`TooManyUnknownMembers`] if the name is no member, and as many names that are none
    /// have reported already as are remembered: 4096. The report is lost.
    pub fn report(
        &self,
        name: &str,
        reading: HeartbeatReading,
        at: Timestamp,
    ) -> Result<(), TooManyUnknownMembers> {
        self.report_aged(name, reading, at, Duration::ZERO)
    }

    /// Puts in what the member `name` has reported elsewhere, and that was `age` old when it
    /// came in at `at`.
    ///
    /// # Errors
    ///
    /// As [`report`](Self::report).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::clock::{Clock, ManualClock};
    /// use equipoise::scheduler::{Heartbeat, HeartbeatReadings, HeartbeatReading};
    /// use equipoise::{Balancer, PickRequest};
    /// use std::time::Duration;
    ///
    /// let (readings, clock) = (HeartbeatReadings::new(), ManualClock::new());
    /// let balancer = Balancer::builder()
    ///     .scheduler(Heartbeat::new(&readings).without_fallback())
    ///     .clock(clock.clone())
    ///     .member("a", (), Default::default())
    ///     .build()?;
    /// let (reading, age) = (HeartbeatReading { ready: 10, busy: 1 }, Duration::from_secs(9));
    /// readings.report_aged("a", reading, clock.now(), age)?;
    /// assert!(balancer.pick(&PickRequest::new()).is_ok());
    /// clock.advance(Duration::from_secs(1));
    /// assert!(balancer.pick(&PickRequest::new()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn report_aged(
        &self,
        name: &str,
        reading: HeartbeatReading,
        at: Timestamp,
        age: Duration,
    ) -> Result<(), TooManyUnknownMembers> {
        let report = StoredReport { reading, at, age };
        self.table.lock().report(name, report)
    }

    pub(super) fn table(&self) -> &Mutex<ReadingTable> {
        &self.table
    }
}

/// Too many names report that are no members.
///
/// # Examples
///
/// ```
/// use equipoise::clock::Timestamp;
/// use equipoise::scheduler::{HeartbeatReadings, HeartbeatReading, TooManyUnknownMembers};
///
/// let readings = HeartbeatReadings::new();
/// let reading = HeartbeatReading { ready: 1, busy: 1 };
/// let results: Vec<_> = (0..5000)
///     .map(|at| readings.report(&format!("host{at}"), reading, Timestamp::ORIGIN))
///     .collect();
/// assert_eq!(results.last(), Some(&Err(TooManyUnknownMembers)));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many names report that are no members: insert the members first")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to add")]
pub struct TooManyUnknownMembers;

#[derive(Clone, Copy, Debug)]
struct StoredReport {
    reading: HeartbeatReading,
    at: Timestamp,
    /// How old it was then.
    age: Duration,
}

impl StoredReport {
    fn is_fresh(&self, now: Timestamp, max_age: Duration) -> bool {
        now.since(self.at).saturating_add(self.age) < max_age
    }

    /// When it is too old.
    fn expiry(&self, max_age: Duration) -> Timestamp {
        self.at + max_age.saturating_sub(self.age)
    }
}

/// The books of one member.
#[derive(Clone, Debug)]
struct ReadingBooks {
    member: MemberId,
    name: Arc<str>,
    report: Option<StoredReport>,
    /// In flight as of the report, and now.
    in_flight_then: u32,
    in_flight: u32,
    place: ReadingState,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReadingState {
    Absent,
    Aside,
    Here,
    Parked,
}

#[derive(Debug)]
pub(super) struct ReadingTable {
    max_age: Duration,
    pub(super) generation: u64,
    pub(super) parked: usize,
    nodes: Vec<Option<ReadingBooks>>,
    by_name: HashMap<Arc<str>, u32>,
    strangers: HashMap<Arc<str>, StoredReport>,
    /// What is idle, less what was sent there since.
    shares: Shares,
    /// What is idle by the reports alone.
    reported: Shares,
    aside: Vec<u32>,
    /// No report is older than allowed before this time.
    next_expiry: Option<Timestamp>,
}

impl Default for ReadingTable {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(10),
            generation: 0,
            parked: 0,
            nodes: Vec::new(),
            by_name: HashMap::new(),
            strangers: HashMap::new(),
            shares: Shares::default(),
            reported: Shares::default(),
            aside: Vec::new(),
            next_expiry: None,
        }
    }
}

impl ReadingTable {
    /// Draws a member that has idle capacity left, in proportion to it. If all of it is used up
    /// and `beyond` is set, draws in proportion to what was reported.
    pub(super) fn draw(&self, random: &Random, beyond: bool) -> Option<(u32, MemberId)> {
        let shares = match (self.shares.total(), beyond) {
            (0, true) => &self.reported,
            _ => &self.shares,
        };
        if shares.total() == 0 {
            return None;
        }
        let slot = shares.at(random.below(shares.total()));
        let node = self.nodes.get(slot)?.as_ref()?;
        Some((short(slot), node.member))
    }

    pub(super) fn slot(&self, member: MemberId) -> Option<u32> {
        let node = self.nodes.get(member.slot())?.as_ref()?;
        let here = node.member == member && node.place != ReadingState::Absent;
        here.then_some(short(member.slot()))
    }

    /// The idle capacity of a member that has reported.
    pub(super) fn idle(&self, member: MemberId) -> Option<u64> {
        let node = self.nodes.get(member.slot())?.as_ref()?;
        (node.member == member && node.report.is_some()).then(|| node.idle())
    }

    /// The same for whoever draws lots at `now`: what is too old is nothing.
    pub(super) fn idle_at(&self, member: MemberId, now: Option<Timestamp>) -> u64 {
        let node = self.nodes.get(member.slot()).and_then(Option::as_ref);
        let node = node.filter(|node| node.member == member);
        let report = node.and_then(|node| node.report);
        let fresh =
            report.is_some_and(|report| now.is_none_or(|now| report.is_fresh(now, self.max_age)));
        node.filter(|_| fresh).map_or(0, ReadingBooks::idle)
    }

    pub(super) fn set_max_age(&mut self, max_age: Duration) {
        self.max_age = max_age;
        // Look at every report again.
        self.next_expiry = Some(Timestamp::ORIGIN);
    }

    /// Drops the reports that are too old at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if self.next_expiry.is_none_or(|expiry| now < expiry) {
            return;
        }
        let max_age = self.max_age;
        let fresh = |report: &StoredReport| report.is_fresh(now, max_age);
        self.strangers.retain(|_, report| fresh(report));
        let expiries = self.strangers.values().map(|it| it.expiry(max_age));
        let mut next: Option<Timestamp> = expiries.min();
        for slot in 0..self.nodes.len() {
            let Some(node) = &mut self.nodes[slot] else {
                continue;
            };
            node.report = node.report.filter(fresh);
            if node.report.is_none() && node.place == ReadingState::Parked {
                // Without a report it is nobody to wait for.
                node.place = ReadingState::Here;
                self.parked -= 1;
            }
            if let Some(report) = node.report {
                let expiry = report.expiry(max_age);
                next = Some(next.map_or(expiry, |next| next.min(expiry)));
            }
            self.weigh(slot);
        }
        self.next_expiry = next;
    }

    fn report(&mut self, name: &str, report: StoredReport) -> Result<(), TooManyUnknownMembers> {
        let expiry = report.expiry(self.max_age);
        self.next_expiry = Some(self.next_expiry.map_or(expiry, |next| next.min(expiry)));
        if let Some(&slot) = self.by_name.get(name) {
            let slot = slot as usize;
            if let Some(node) = &mut self.nodes[slot] {
                node.report = Some(report);
                node.in_flight_then = node.in_flight;
            }
            self.weigh(slot);
            return Ok(());
        }
        if self.strangers.len() >= STRANGERS && !self.strangers.contains_key(name) {
            self.expire(report.at);
            if self.strangers.len() >= STRANGERS {
                return Err(TooManyUnknownMembers);
            }
        }
        self.strangers.insert(Arc::from(name), report);
        Ok(())
    }

    /// Reads what a member has in flight again.
    pub(super) fn touch(&mut self, member: &MemberState) {
        if let Some(slot) = self.slot(member.id()) {
            if let Some(node) = &mut self.nodes[slot as usize] {
                node.in_flight = member.in_flight();
            }
            self.weigh(slot as usize);
        }
    }

    pub(super) fn join(&mut self, candidate: Candidate<'_>) {
        let state = candidate.state();
        let slot = state.id().slot();
        self.leave(state.id());
        if slot >= self.nodes.len() {
            self.nodes.resize(slot + 1, None);
        }
        self.shares.admit(slot);
        self.reported.admit(slot);
        let stranger = self.strangers.remove(state.name());
        let in_flight = state.in_flight();
        let known = match self.nodes[slot].take() {
            Some(node) if node.member == state.id() => Some(node),
            Some(former) => {
                // The name may live in another slot by now.
                if self.by_name.get(&former.name) == Some(&short(slot)) {
                    self.by_name.remove(&former.name);
                }
                None
            }
            None => None,
        };
        let mut node = known.unwrap_or_else(|| ReadingBooks {
            member: state.id(),
            name: state.name_handle().clone(),
            report: None,
            in_flight_then: in_flight,
            in_flight,
            place: ReadingState::Absent,
        });
        node.report = stranger.or(node.report);
        node.in_flight = in_flight;
        node.place = ReadingState::Here;
        self.by_name.insert(node.name.clone(), short(slot));
        self.nodes[slot] = Some(node);
        self.aside.reserve(self.by_name.len());
        self.weigh(slot);
    }

    pub(super) fn leave(&mut self, member: MemberId) {
        let Some(slot) = self.slot(member) else {
            return;
        };
        let parked = self.is_parked(slot);
        self.parked -= usize::from(parked);
        self.place(slot, ReadingState::Absent);
    }

    pub(super) fn step_over(&mut self, slot: u32) {
        if self.is_at(slot, ReadingState::Here) {
            self.place(slot, ReadingState::Aside);
            self.aside.push(slot);
        }
    }

    pub(super) fn put_back(&mut self) {
        while let Some(slot) = self.aside.pop() {
            self.place(slot, ReadingState::Here);
        }
    }

    pub(super) fn park(&mut self, slot: u32) {
        self.parked += 1;
        self.place(slot, ReadingState::Parked);
    }

    pub(super) fn unpark(&mut self, slot: u32) {
        if self.is_parked(slot) {
            self.parked -= 1;
            self.place(slot, ReadingState::Here);
        }
    }

    pub(super) fn is_parked(&self, slot: u32) -> bool {
        self.is_at(slot, ReadingState::Parked)
    }

    /// Forgets all reports.
    pub(super) fn reset(&mut self) {
        self.strangers.clear();
        for slot in 0..self.nodes.len() {
            if let Some(node) = &mut self.nodes[slot] {
                node.report = None;
            }
            self.weigh(slot);
        }
    }

    fn is_at(&self, slot: u32, place: ReadingState) -> bool {
        let node = self.nodes.get(slot as usize).and_then(Option::as_ref);
        node.is_some_and(|node| node.place == place)
    }

    fn place(&mut self, slot: u32, place: ReadingState) {
        if let Some(node) = &mut self.nodes[slot as usize] {
            node.place = place;
        }
        self.weigh(slot as usize);
    }

    /// Brings a slot's share up to date.
    fn weigh(&mut self, slot: usize) {
        let (share, reported) = match &self.nodes[slot] {
            Some(node) if node.place == ReadingState::Here => (node.idle(), node.reported()),
            _ => (0, 0),
        };
        for (shares, share) in [(&mut self.shares, share), (&mut self.reported, reported)] {
            if shares.get(slot) != share {
                shares.set(slot, share);
            }
        }
    }
}

impl ReadingBooks {
    /// What is idle: what was reported, less what was sent there since.
    fn idle(&self) -> u64 {
        let since = self.in_flight.saturating_sub(self.in_flight_then);
        self.reported().saturating_sub(since.into())
    }

    fn reported(&self) -> u64 {
        self.report.map_or(0, |report| report.reading.idle().into())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "slots are handed out as u32"
)]
fn short(slot: usize) -> u32 {
    slot as u32
}
