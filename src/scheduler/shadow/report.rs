//! What is counted while a shadow is judged: [`ShadowReport`], [`ShadowSummary`],
//! [`MemberShadow`].
//!
//! Not here: the picks that are compared.

use std::fmt;
use std::sync::Arc;

use crate::member::MemberId;
use crate::scheduler::GroupChange;
use crate::scheduler::by_slot::BySlot;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Relaxed};

/// Loads are in millionths of a request in flight by weight.
pub(super) const MILLION: u64 = 1_000_000;

/// A handle of the results of a [`Shadow`](super::Shadow), readable at any time; clones are
/// cheap and share one set of counters. Its `Display` is a table.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{ByBusyness, ByRequests, Shadow};
/// use equipoise::{Balancer, MemberSpec, PickRequest};
///
/// let shadow = Shadow::new(ByRequests::new(), ByBusyness::new());
/// let report = shadow.report();
/// let balancer = Balancer::builder()
///     .scheduler(shadow)
///     .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
///     .build()?;
/// for _ in 0..10 {
///     drop(balancer.pick(&PickRequest::new())?);
/// }
/// assert_eq!(report.summary().agreement(), Some(1.0));
/// assert_eq!(
///     report.to_string(),
///     "byrequests picks, bybusyness is its shadow: 10 picks compared, 100.0 % alike, 0 not known\n  \
///      regret 0.000 requests in flight by weight: busier members in 0 picks, less busy in 0\n  \
///      member        picked   by shadow       alike\n  \
///      a                  5           5           5\n  \
///      b                  5           5           5\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ShadowReport {
    state: Arc<ShadowState>,
}

impl ShadowReport {
    pub(super) fn new(active: &'static str, shadow: &'static str) -> Self {
        Self {
            state: Arc::new(ShadowState {
                names: (active, shadow),
                asked: AtomicU64::new(0),
                panicked: AtomicU32::new(0),
                totals: ShadowTotals::default(),
                tallies: BySlot::new(),
                members: Mutex::default(),
            }),
        }
    }

    pub(super) fn state(&self) -> &ShadowState {
        &self.state
    }

    /// Returns the results so far. While requests are picked, the numbers may differ by the
    /// picks of that moment.
    #[must_use]
    pub fn summary(&self) -> ShadowSummary {
        let (state, totals) = (&*self.state, &self.state.totals);
        let members = state.members.lock();
        let members = members.iter().flatten().filter_map(|(id, name)| {
            let tally = state.tally(*id)?;
            Some(MemberShadow {
                id: *id,
                name: name.clone(),
                picked: tally.picked.load(Relaxed),
                chosen: tally.chosen.load(Relaxed),
                agreed: tally.agreed.load(Relaxed),
            })
        });
        let regret = totals.regret.load(Relaxed) as i64;
        ShadowSummary {
            active: state.names.0,
            shadow: state.names.1,
            compared: totals.compared.load(Relaxed),
            agreed: totals.agreed.load(Relaxed),
            unknown: totals.unknown.load(Relaxed),
            busier: totals.busier.load(Relaxed),
            less_busy: totals.less_busy.load(Relaxed),
            regret: regret as f64 / MILLION as f64,
            has_panicked: state.has_panicked(),
            members: members.collect(),
        }
    }

    /// Sets all counts to zero. A shadow that has panicked is still not asked.
    pub fn reset(&self) {
        let totals = &self.state.totals;
        for count in totals.all() {
            count.store(0, Relaxed);
        }
        let members = self.state.members.lock();
        for (id, _) in members.iter().flatten() {
            if let Some(tally) = self.state.tally(*id) {
                tally.clear();
            }
        }
    }
}

impl fmt::Debug for ShadowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowReport")
            .field("schedulers", &self.state.names)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ShadowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

/// The results of a [`Shadow`](super::Shadow) at one time.
///
/// # Examples
///
/// ```
/// use equipoise::scheduler::{ByRequests, ByTraffic, Shadow};
///
/// let summary = Shadow::new(ByRequests::new(), ByTraffic::new()).report().summary();
/// assert_eq!((summary.compared, summary.agreement()), (0, None));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShadowSummary {
    /// The name of the scheduler that picks.
    pub active: &'static str,
    /// The name of its shadow.
    pub shadow: &'static str,
    /// The picks that were compared: the active scheduler has picked, and the shadow named a
    /// member.
    pub compared: u64,
    /// The compared picks for which both named the same member.
    pub agreed: u64,
    /// The picks for which the shadow named no member: it has no `peek`, or cannot tell the
    /// member in advance, or has panicked.
    pub unknown: u64,
    /// The compared picks in which the picked member was busier than that of the shadow.
    pub busier: u64,
    /// The compared picks in which the picked member was less busy than that of the shadow.
    pub less_busy: u64,
    /// The sum over the compared picks of the load of the picked member less that of the
    /// shadow's member. A load is the number of requests in flight from this balancer, with
    /// the request that is picked for, divided by the effective weight; both loads are those
    /// at the time of the pick.
    ///
    /// It tells which scheduler picks members that are less busy, on the loads that the
    /// active one has caused. It tells nothing of latencies, or of loads that this balancer
    /// does not see. A scheduler with another aim, such as exact shares or keys that stay
    /// with their member, has regret by design.
    pub regret: f64,
    /// Whether the shadow has panicked: then it is not asked any more.
    pub has_panicked: bool,
    /// The members, by slot.
    pub members: Vec<MemberShadow>,
}

impl ShadowSummary {
    /// Returns the share of the compared picks for which both schedulers named the same
    /// member, from 0 to 1; `None` if no pick was compared.
    #[must_use]
    pub fn agreement(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.agreed as f64 / self.compared as f64)
    }

    /// Returns the regret for each compared pick; `None` if no pick was compared.
    #[must_use]
    pub fn mean_regret(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.regret / self.compared as f64)
    }
}

impl fmt::Display for ShadowSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alike = self.agreement().unwrap_or(0.0) * 100.0;
        writeln!(
            f,
            "{} picks, {} is its shadow: {} picks compared, {alike:.1} % alike, {} not known",
            self.active, self.shadow, self.compared, self.unknown,
        )?;
        let regret = self.mean_regret().unwrap_or(0.0);
        writeln!(
            f,
            "  regret {regret:.3} requests in flight by weight: busier members in {} picks, less busy in {}",
            self.busier, self.less_busy,
        )?;
        if self.has_panicked {
            writeln!(f, "  the shadow has panicked and is not asked any more")?;
        }
        let names = self
            .members
            .iter()
            .map(|it| plain(&it.name).chars().count());
        // A width beyond what can be formatted panics; beyond 64 no table helps.
        let width = names.max().unwrap_or(0).clamp("member  ".len(), 64);
        writeln!(
            f,
            "  {:width$}{:>12}{:>12}{:>12}",
            "member", "picked", "by shadow", "alike"
        )?;
        for it in &self.members {
            let name = plain(&it.name);
            writeln!(
                f,
                "  {name:width$}{:>12}{:>12}{:>12}",
                it.picked, it.chosen, it.agreed
            )?;
        }
        Ok(())
    }
}

/// Returns a name without control characters.
fn plain(name: &str) -> String {
    let escaped = |char: char| match char.is_control() {
        true => char.escape_debug().to_string(),
        false => char.to_string(),
    };
    name.chars().map(escaped).collect()
}

/// The compared picks of one member in a [`ShadowSummary`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemberShadow {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: Arc<str>,
    /// How often it was picked.
    pub picked: u64,
    /// How often the shadow would have picked it.
    pub chosen: u64,
    /// How often both named it for the same pick.
    pub agreed: u64,
}

/// One pick of the active scheduler, and what the shadow would have picked, each with its
/// load in millionths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared {
    pub(super) picked: (MemberId, u64),
    pub(super) chosen: Option<(MemberId, u64)>,
}

type NamedMember = (MemberId, Arc<str>);

/// The counters of one shadow. All atomics are relaxed: they are numbers for operators.
#[derive(Debug)]
pub(super) struct ShadowState {
    names: (&'static str, &'static str),
    /// The picks for which the shadow was asked.
    asked: AtomicU64,
    panicked: AtomicU32,
    totals: ShadowTotals,
    tallies: BySlot<MemberTally>,
    /// The members by slot, also former ones. A leaf lock that no pick takes.
    members: Mutex<Vec<Option<NamedMember>>>,
}

#[derive(Debug, Default)]
struct ShadowTotals {
    compared: AtomicU64,
    agreed: AtomicU64,
    unknown: AtomicU64,
    busier: AtomicU64,
    less_busy: AtomicU64,
    /// In millionths, with a sign.
    regret: AtomicU64,
}

impl ShadowTotals {
    fn all(&self) -> [&AtomicU64; 6] {
        [
            &self.compared,
            &self.agreed,
            &self.unknown,
            &self.busier,
            &self.less_busy,
            &self.regret,
        ]
    }
}

#[derive(Debug, Default)]
struct MemberTally {
    member: AtomicU64,
    picked: AtomicU64,
    chosen: AtomicU64,
    agreed: AtomicU64,
}

impl MemberTally {
    fn clear(&self) {
        for count in [&self.picked, &self.chosen, &self.agreed] {
            count.store(0, Relaxed);
        }
    }
}

impl ShadowState {
    pub(super) fn has_panicked(&self) -> bool {
        self.panicked.load(Relaxed) != 0
    }

    pub(super) fn note_panic(&self) {
        self.panicked.store(1, Relaxed);
    }

    /// Returns the number of the next pick.
    pub(super) fn number(&self) -> u64 {
        self.asked.load(Relaxed)
    }

    /// Counts a pick, and returns its number.
    pub(super) fn next_number(&self) -> u64 {
        self.asked.fetch_add(1, Relaxed)
    }

    pub(super) fn count(&self, compared: Compared) {
        let totals = &self.totals;
        let add_one = |count: &AtomicU64| {
            count.fetch_add(1, Relaxed);
        };
        let (picked, load) = compared.picked;
        let Some((chosen, other_load)) = compared.chosen else {
            add_one(&totals.unknown);
            return;
        };
        add_one(&totals.compared);
        if let Some(tally) = self.tally(picked) {
            add_one(&tally.picked);
            if picked == chosen {
                add_one(&tally.agreed);
            }
        }
        if let Some(tally) = self.tally(chosen) {
            add_one(&tally.chosen);
        }
        if picked == chosen {
            add_one(&totals.agreed);
            return;
        }
        // With two's complement, a sum that wraps is a difference.
        totals
            .regret
            .fetch_add(load.wrapping_sub(other_load), Relaxed);
        match load.cmp(&other_load) {
            std::cmp::Ordering::Greater => add_one(&totals.busier),
            std::cmp::Ordering::Less => add_one(&totals.less_busy),
            std::cmp::Ordering::Equal => {}
        }
    }

    fn tally(&self, member: MemberId) -> Option<&MemberTally> {
        let tally = self.tallies.get(member.slot())?;
        (tally.member.load(Relaxed) == member.to_bits()).then_some(tally)
    }

    /// Makes room for the members of the group; a new member in a slot begins at zero.
    pub(super) fn follow(&self, group: &GroupChange<'_>) {
        let mut members = self.members.lock();
        for candidate in group.joined() {
            let (id, slot) = (candidate.id(), candidate.id().slot());
            let tally = self.tallies.get_or_grow(slot);
            if tally.member.load(Relaxed) == id.to_bits() {
                continue;
            }
            tally.clear();
            tally.member.store(id.to_bits(), Relaxed);
            if members.len() <= slot {
                members.resize(slot + 1, None);
            }
            members[slot] = Some((id, candidate.state().name_handle().clone()));
        }
    }
}
