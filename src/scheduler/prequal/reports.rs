//! What members report, and what the scheduler keeps of it: [`PrequalReports`],
//! [`ProbeReport`], [`PrequalTarget`].
//!
//! Not here: asking members and reading headers, which are done by drivers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::choice::{by_weight, load};
use super::failures::{FailureDebts, ONE_FAILURE};
use super::pool::ReportPool;
use super::settings::{PrequalSettings, nanos};
use super::threshold::{HotThreshold, WHOLE};
use crate::clock::Timestamp;
use crate::member::{MemberId, MemberKey};
use crate::random::Random;
use crate::scheduler::GroupChange;
use crate::sync::{AtomicU64, Mutex, Relaxed};

/// The most members that are to be asked at a time. Without a driver that asks, the number
/// stays there.
const MOST_DUE: u64 = 64;

/// What a member reports about its own load.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::ProbeReport;
/// use std::time::Duration;
///
/// let report = ProbeReport { in_flight: 3, latency: Duration::from_millis(12) };
/// assert!(report.in_flight < 10);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the two signals of Prequal")]
pub struct ProbeReport {
    /// Requests in flight on the member, from all of its clients. Numbers above 16 777 215
    /// count as that.
    pub in_flight: u32,
    /// The time that a request takes at present; [`Duration::MAX`] if it is not known.
    pub latency: Duration,
}

/// A member to ask for a [`ProbeReport`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PrequalTarget {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: Arc<str>,
}

/// The reports for a [`Prequal`](super::Prequal) scheduler; clones are cheap and share one
/// pool.
///
/// # Examples
///
/// ```
/// use equipoise::clock::{Clock, ManualClock};
/// use equipoise::scheduler::{Prequal, PrequalReports, ProbeReport};
/// use equipoise::{Balancer, MemberSpec, PickRequest};
/// use std::time::Duration;
///
/// let (reports, clock) = (PrequalReports::new(), ManualClock::new());
/// let balancer = Balancer::builder()
///     .scheduler(Prequal::new(&reports))
///     .clock(clock.clone())
///     .seed(1)
///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// let latency = Duration::from_millis(10);
/// reports.report("a", ProbeReport { in_flight: 9, latency }, clock.now());
/// reports.report("b", ProbeReport { in_flight: 2, latency }, clock.now());
/// assert_eq!(balancer.pick(&PickRequest::new())?.member().name(), "b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct PrequalReports {
    state: Arc<PrequalState>,
}

impl PrequalReports {
    /// Creates an empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records the report of a member, received at `at` on the balancer's clock. It replaces
    /// an earlier report of the member. If the pool is full, the oldest report is dropped.
    ///
    /// Returns whether it was recorded. It is not if no member of this name or id is
    /// eligible, or if the member has a later report.
    pub fn report<'m>(
        &self,
        member: impl Into<MemberKey<'m>>,
        report: ProbeReport,
        at: Timestamp,
    ) -> bool {
        let state = &*self.state;
        let known = {
            let members = state.members.lock();
            let id = match member.into() {
                MemberKey::Id(id) => members.indices.contains_key(&id).then_some(id),
                MemberKey::Name(name) => members.by_name.get(name).copied(),
            };
            id.and_then(|id| Some((id, state.failures.units(id)?)))
        };
        let Some((id, units)) = known else {
            return false;
        };
        let quantile = state.settings.quantile();
        if (1..WHOLE).contains(&quantile) {
            let in_flight = u64::from(report.in_flight) * ONE_FAILURE;
            state
                .threshold
                .observe(by_weight(in_flight, units), quantile);
        }
        let latency = nanos(report.latency);
        state.pool.insert(id, report.in_flight, latency, at)
    }

    /// Returns how many members are to be asked now: for each pick the number that
    /// [`with_probes_per_pick`](super::Prequal::with_probes_per_pick) has set, less those
    /// that [`targets`](Self::targets) has returned. At most 64.
    #[must_use]
    pub fn due(&self) -> usize {
        let due = self.state.due.load(Relaxed) / WHOLE;
        usize::try_from(due).unwrap_or(usize::MAX)
    }

    /// Returns the members to ask now, drawn at random and each at most once: as many as are
    /// [`due`](Self::due), but not more than `most`, nor more than are eligible.
    ///
    /// Call it outside the path of requests, ask the members, and pass their answers to
    /// [`report`](Self::report). `heartbeat::PrequalProbes` (feature `heartbeat`) does that.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::random::Random;
    /// use equipoise::scheduler::{Prequal, PrequalReports};
    /// use equipoise::{Balancer, MemberSpec, PickRequest};
    ///
    /// let reports = PrequalReports::new();
    /// let balancer = Balancer::builder()
    ///     .scheduler(Prequal::new(&reports).with_probes_per_pick(1.5))
    ///     .members(["a", "b", "c"].map(|name| (name, (), MemberSpec::new())))
    ///     .build()?;
    /// let random = Random::seeded(7);
    /// assert!(reports.targets(16, &random).is_empty());
    /// drop(balancer.pick(&PickRequest::new())?);
    /// drop(balancer.pick(&PickRequest::new())?);
    /// assert_eq!(reports.targets(16, &random).len(), 3, "for two picks");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the members are not returned again for these picks"]
    pub fn targets(&self, most: usize, random: &Random) -> Vec<PrequalTarget> {
        let taken = self.state.take_due(most);
        let members = self.state.members.lock();
        let len = members.list.len();
        // Floyd's way to draw without replacement.
        let mut drawn: Vec<usize> = Vec::with_capacity(taken.min(len));
        for last in len.saturating_sub(taken)..len {
            let index = usize::try_from(random.below(last as u64 + 1)).unwrap_or(last);
            let is_new = !drawn.contains(&index);
            drawn.push(if is_new { index } else { last });
        }
        let drawn = drawn.into_iter();
        drawn.map(|index| members.list[index].clone()).collect()
    }

    pub(super) fn state(&self) -> &PrequalState {
        &self.state
    }
}

impl fmt::Debug for PrequalReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrequalReports")
            .field("reports", &self.state.pool.iter().count())
            .field("due", &self.due())
            .finish_non_exhaustive()
    }
}

/// What the scheduler and its reports share.
#[derive(Debug)]
pub(super) struct PrequalState {
    pub(super) settings: PrequalSettings,
    pub(super) pool: ReportPool,
    pub(super) threshold: HotThreshold,
    pub(super) failures: FailureDebts,
    /// The members to ask, in units of 2^-16. Relaxed: a number for the driver.
    due: AtomicU64,
    /// The removals so far, in units of 2^-16. Relaxed: only the additions matter.
    removals: AtomicU64,
    /// A leaf lock that no pick takes.
    members: Mutex<MemberList>,
}

impl Default for PrequalState {
    fn default() -> Self {
        Self {
            settings: PrequalSettings::new(),
            pool: ReportPool::default(),
            threshold: HotThreshold::new(),
            failures: FailureDebts::new(),
            due: AtomicU64::new(0),
            removals: AtomicU64::new(0),
            members: Mutex::default(),
        }
    }
}

/// The eligible members: in a list, to draw from, and by name.
#[derive(Debug, Default)]
struct MemberList {
    list: Vec<PrequalTarget>,
    indices: HashMap<MemberId, usize>,
    by_name: HashMap<Arc<str>, MemberId>,
}

impl MemberList {
    fn remove(&mut self, member: MemberId) {
        let Some(index) = self.indices.remove(&member) else {
            return;
        };
        let removed = self.list.swap_remove(index);
        // The name may belong to another member by now.
        if self.by_name.get(&removed.name) == Some(&member) {
            self.by_name.remove(&removed.name);
        }
        if let Some(moved) = self.list.get(index) {
            self.indices.insert(moved.id, index);
        }
    }

    fn insert(&mut self, target: PrequalTarget) {
        self.remove(target.id);
        self.by_name.insert(target.name.clone(), target.id);
        self.indices.insert(target.id, self.list.len());
        self.list.push(target);
    }
}

impl PrequalState {
    pub(super) fn follow(&self, group: &GroupChange<'_>) {
        let mut members = self.members.lock();
        for member in group.left() {
            members.remove(member.id());
        }
        for candidate in group.joined() {
            members.insert(PrequalTarget {
                id: candidate.id(),
                name: candidate.state().name_handle().clone(),
            });
        }
        drop(members);
        for candidate in group.joined().chain(group.changed()) {
            let units = candidate.weight().units();
            self.failures.join(candidate.id(), units);
        }
    }

    /// Counts the questions that follow from a pick.
    pub(super) fn count_due(&self) {
        let rate = self.settings.probes();
        if rate > 0 && self.due.load(Relaxed) < MOST_DUE * WHOLE {
            self.due.fetch_add(rate, Relaxed);
        }
    }

    fn take_due(&self, most: usize) -> usize {
        let mut taken = 0;
        let _ = self.due.fetch_update(Relaxed, Relaxed, |due| {
            taken = (due / WHOLE).min(most as u64).min(MOST_DUE);
            // What is beyond the most is not asked later.
            Some(due.min(MOST_DUE * WHOLE + due % WHOLE) - taken * WHOLE)
        });
        usize::try_from(taken).unwrap_or(0)
    }

    /// Returns the numbers of the removals that follow from a pick; even ones remove the
    /// oldest report, odd ones the worst.
    pub(super) fn count_removals(&self) -> std::ops::Range<u64> {
        let rate = self.settings.removals();
        if rate == 0 {
            return 0..0;
        }
        let before = self.removals.fetch_add(rate, Relaxed);
        before / WHOLE..before.wrapping_add(rate) / WHOLE
    }

    /// Forgets all reports, their quantile and all failures.
    pub(super) fn reset(&self) {
        self.pool.clear();
        self.threshold.clear();
        self.failures.reset();
    }

    /// Returns the rule by which a report is hot now.
    pub(super) fn hot_rule(&self) -> HotRule {
        match self.settings.quantile() {
            0 => HotRule::All,
            WHOLE.. => HotRule::Failing,
            _ => HotRule::Above(self.threshold.get()),
        }
    }
}

/// Which reports are hot at one pick.
#[derive(Clone, Copy, Debug)]
pub(super) enum HotRule {
    All,
    /// Those with more load for each unit of weight, and those of members that fail.
    Above(u64),
    /// Those of members that fail.
    Failing,
}

impl HotRule {
    /// Returns whether a report is hot.
    #[inline]
    pub(super) fn holds(self, in_flight: u32, debt: u64, units: u32) -> bool {
        match self {
            Self::All => true,
            // A member that has failed lately is not chosen for its latency.
            _ if debt >= ONE_FAILURE / 2 => true,
            Self::Failing => false,
            Self::Above(threshold) => {
                by_weight(load(in_flight, debt) - ONE_FAILURE, units) > threshold
            }
        }
    }
}
