//! The reports of members about themselves: [`HeartbeatReadings`], and the table that
//! [`Heartbeat`](super::Heartbeat) picks by.
//!
//! Not here: receiving reports. The receiver passes them to this table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Candidate;
use super::fenwick::Shares;
use crate::clock::Timestamp;
use crate::member::{MemberId, MemberState};
use crate::random::Random;
use crate::sync::Mutex;

/// The most names for which reports are kept although no member has that name.
const MAX_UNKNOWN_NAMES: usize = 4096;

/// A member's report of its own capacity.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::HeartbeatReading;
///
/// let reading = HeartbeatReading { ready: 30, busy: 2 };
/// assert_eq!(reading.idle(), 30);
/// // A server that has just started counts with a quarter of its idle slots.
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
    /// Returns the idle capacity to pick by: `ready`, or a quarter of it while nothing is
    /// busy, as Apache does for servers that have just started. Such a server with fewer
    /// than four idle slots counts as one slot. In Apache it counts as zero and stays idle
    /// for ever.
    #[must_use]
    pub const fn idle(self) -> u32 {
        if self.busy > 0 || self.ready == 0 {
            return self.ready;
        }
        let quarter = self.ready / 4;
        if quarter == 0 { 1 } else { quarter }
    }
}

/// The table of reports for a [`Heartbeat`](super::Heartbeat) scheduler; clones are cheap
/// and share one table.
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

    /// Records the report of the member `name`, received at `at` on the balancer's clock. A
    /// later report replaces an earlier one.
    ///
    /// The report of a name that is not a member yet is kept until it is too old.
    ///
    /// # Errors
    ///
    /// [`TooManyUnknownMembers`] if no member has this name, and reports of 4096 other
    /// names without a member are kept already. The report is dropped.
    pub fn report(
        &self,
        name: &str,
        reading: HeartbeatReading,
        at: Timestamp,
    ) -> Result<(), TooManyUnknownMembers> {
        self.report_aged(name, reading, at, Duration::ZERO)
    }

    /// Records a report of the member `name` that was received elsewhere first and was
    /// already `age` old when it arrived at `at`.
    ///
    /// # Errors
    ///
    /// The same as [`report`](Self::report).
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

/// Reports came from too many names that are not members.
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
#[error("reports of 4096 names without a member are kept already: insert the members first")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to add")]
pub struct TooManyUnknownMembers;

#[derive(Clone, Copy, Debug)]
struct StoredReport {
    reading: HeartbeatReading,
    at: Timestamp,
    /// Its age at that time.
    age: Duration,
}

impl StoredReport {
    fn is_fresh(&self, now: Timestamp, max_age: Duration) -> bool {
        now.since(self.at).saturating_add(self.age) < max_age
    }

    /// Returns the time at which it is too old.
    fn expiry(&self, max_age: Duration) -> Timestamp {
        self.at + max_age.saturating_sub(self.age)
    }
}

/// The state kept for one member.
#[derive(Clone, Debug)]
struct ReadingEntry {
    member: MemberId,
    name: Arc<str>,
    report: Option<StoredReport>,
    /// Requests in flight at the time of the report, and now.
    in_flight_then: u32,
    in_flight: u32,
    place: ReadingState,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReadingState {
    Absent,
    Parked,
    Present,
    Skipped,
}

#[derive(Debug)]
pub(super) struct ReadingTable {
    max_age: Duration,
    pub(super) generation: u64,
    pub(super) parked: usize,
    nodes: Vec<Option<ReadingEntry>>,
    by_name: HashMap<Arc<str>, u32>,
    unknown: HashMap<Arc<str>, StoredReport>,
    /// The idle capacity, less the requests sent since the report.
    shares: Shares,
    /// The idle capacity as reported.
    reported: Shares,
    skipped: Vec<u32>,
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
            unknown: HashMap::new(),
            shares: Shares::default(),
            reported: Shares::default(),
            skipped: Vec::new(),
            next_expiry: None,
        }
    }
}

impl ReadingTable {
    /// Draws a member that has idle capacity left, in proportion to that capacity. If none
    /// has any left and `beyond` is set, draws in proportion to what was reported.
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

    /// Returns the idle capacity of a member that has reported.
    pub(super) fn idle(&self, member: MemberId) -> Option<u64> {
        let node = self.nodes.get(member.slot())?.as_ref()?;
        (node.member == member && node.report.is_some()).then(|| node.idle())
    }

    /// Returns the idle capacity for a draw at `now`; a report that is too old counts as
    /// zero.
    pub(super) fn idle_at(&self, member: MemberId, now: Option<Timestamp>) -> u64 {
        let node = self.nodes.get(member.slot()).and_then(Option::as_ref);
        let node = node.filter(|node| node.member == member);
        let report = node.and_then(|node| node.report);
        let fresh =
            report.is_some_and(|report| now.is_none_or(|now| report.is_fresh(now, self.max_age)));
        node.filter(|_| fresh).map_or(0, ReadingEntry::idle)
    }

    pub(super) fn set_max_age(&mut self, max_age: Duration) {
        self.max_age = max_age;
        // Every report has to be checked again.
        self.next_expiry = Some(Timestamp::ORIGIN);
    }

    /// Drops the reports that are too old at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if self.next_expiry.is_none_or(|expiry| now < expiry) {
            return;
        }
        let max_age = self.max_age;
        let fresh = |report: &StoredReport| report.is_fresh(now, max_age);
        self.unknown.retain(|_, report| fresh(report));
        let expiries = self.unknown.values().map(|it| it.expiry(max_age));
        let mut next: Option<Timestamp> = expiries.min();
        for slot in 0..self.nodes.len() {
            let Some(node) = &mut self.nodes[slot] else {
                continue;
            };
            node.report = node.report.filter(fresh);
            if node.report.is_none() && node.place == ReadingState::Parked {
                // Without a report there is no reason to wait for the member.
                node.place = ReadingState::Present;
                self.parked -= 1;
            }
            if let Some(report) = node.report {
                let expiry = report.expiry(max_age);
                next = Some(next.map_or(expiry, |next| next.min(expiry)));
            }
            self.update_share(slot);
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
            self.update_share(slot);
            return Ok(());
        }
        if self.unknown.len() >= MAX_UNKNOWN_NAMES && !self.unknown.contains_key(name) {
            self.expire(report.at);
            if self.unknown.len() >= MAX_UNKNOWN_NAMES {
                return Err(TooManyUnknownMembers);
            }
        }
        self.unknown.insert(Arc::from(name), report);
        Ok(())
    }

    /// Reads a member's requests in flight again.
    pub(super) fn update_in_flight(&mut self, member: &MemberState) {
        if let Some(slot) = self.slot(member.id()) {
            if let Some(node) = &mut self.nodes[slot as usize] {
                node.in_flight = member.in_flight();
            }
            self.update_share(slot as usize);
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
        let earlier = self.unknown.remove(state.name());
        let in_flight = state.in_flight();
        let known = match self.nodes[slot].take() {
            Some(node) if node.member == state.id() => Some(node),
            Some(former) => {
                // The name may have moved to another slot.
                if self.by_name.get(&former.name) == Some(&short(slot)) {
                    self.by_name.remove(&former.name);
                }
                None
            }
            None => None,
        };
        let mut node = known.unwrap_or_else(|| ReadingEntry {
            member: state.id(),
            name: state.name_handle().clone(),
            report: None,
            in_flight_then: in_flight,
            in_flight,
            place: ReadingState::Absent,
        });
        node.report = earlier.or(node.report);
        node.in_flight = in_flight;
        node.place = ReadingState::Present;
        self.by_name.insert(node.name.clone(), short(slot));
        self.nodes[slot] = Some(node);
        self.skipped.reserve(self.by_name.len());
        self.update_share(slot);
    }

    pub(super) fn leave(&mut self, member: MemberId) {
        let Some(slot) = self.slot(member) else {
            return;
        };
        let parked = self.is_parked(slot);
        self.parked -= usize::from(parked);
        self.place(slot, ReadingState::Absent);
    }

    pub(super) fn skip(&mut self, slot: u32) {
        if self.is_at(slot, ReadingState::Present) {
            self.place(slot, ReadingState::Skipped);
            self.skipped.push(slot);
        }
    }

    pub(super) fn restore_skipped(&mut self) {
        while let Some(slot) = self.skipped.pop() {
            self.place(slot, ReadingState::Present);
        }
    }

    pub(super) fn park(&mut self, slot: u32) {
        self.parked += 1;
        self.place(slot, ReadingState::Parked);
    }

    pub(super) fn unpark(&mut self, slot: u32) {
        if self.is_parked(slot) {
            self.parked -= 1;
            self.place(slot, ReadingState::Present);
        }
    }

    pub(super) fn is_parked(&self, slot: u32) -> bool {
        self.is_at(slot, ReadingState::Parked)
    }

    /// Forgets all reports.
    pub(super) fn reset(&mut self) {
        self.unknown.clear();
        for slot in 0..self.nodes.len() {
            if let Some(node) = &mut self.nodes[slot] {
                node.report = None;
            }
            self.update_share(slot);
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
        self.update_share(slot as usize);
    }

    /// Updates a slot's share.
    fn update_share(&mut self, slot: usize) {
        let (share, reported) = match &self.nodes[slot] {
            Some(node) if node.place == ReadingState::Present => (node.idle(), node.reported()),
            _ => (0, 0),
        };
        for (shares, share) in [(&mut self.shares, share), (&mut self.reported, reported)] {
            if shares.get(slot) != share {
                shares.set(slot, share);
            }
        }
    }
}

impl ReadingEntry {
    /// Returns the reported idle slots, less the requests sent since.
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
