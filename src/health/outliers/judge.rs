//! Decides on ejections under one lock, and has the balancer carry them out:
//! [`OutlierJudge`].
//!
//! # How a decision is made
//!
//! A request that reaches a threshold, or finds an interval over, takes the lock of
//! [`DetectorState`]. Decisions are put into a queue, and carried out on the balancer after
//! the lock is released: the balancer sends events while it carries them out, also to this
//! detector. One thread at a time works through the queue, which keeps them in order.
//! An event that arrives meanwhile only adds to the queue.
//!
//! Not here: the fast path of requests (`observer.rs`), and the rules
//! (`ledger.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::detector_state::{BalancerCommand, DetectorState};
use super::ledger::{EjectionStage, Ledger, Recovery};
use super::settings::OutlierSettings;
use super::signals::Signal;
use super::tally::{OutlierTally, TallyState};
use super::watched_balancer::{WatchedBalancer, facts};
use crate::clock::{Clock, Timestamp};
use crate::health::by_slot::{SlotEntries, is_there, of, renewed};
use crate::member::{Cause, Flag, MemberId};
use crate::random::Random;
use crate::snapshot::Roster;
use crate::sync::{AtomicU64, Mutex, Published, Relaxed, SeqCst};

pub(super) struct OutlierJudge {
    pub(super) settings: OutlierSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) group: Box<dyn WatchedBalancer>,
    random: Random,
    pub(super) tallies: Published<SlotEntries<OutlierTally>>,
    /// The end of the interval, in nanoseconds. Relaxed: a hint; it is checked again under
    /// the lock.
    pub(super) interval_ends: AtomicU64,
    /// The time to the response head from which a response is slow, in microseconds.
    /// Relaxed: a hint.
    pub(super) slow_from_micros: AtomicU64,
    /// Whether a member is ejected or on trial: 0 or 1. SeqCst: it is set before the member
    /// is ejected, and read by event handlers afterwards.
    is_busy: AtomicU64,
    /// One more than the generation of the last snapshot for which `recheck` has run.
    looked: AtomicU64,
    pub(super) state: Mutex<DetectorState>,
}

/// No response is slow.
const NEVER_SLOW: u64 = u64::MAX;

impl OutlierJudge {
    pub(super) fn new(
        settings: OutlierSettings,
        clock: Arc<dyn Clock>,
        group: Box<dyn WatchedBalancer>,
        random: Random,
    ) -> Self {
        let now = clock.now();
        Self {
            clock,
            group,
            random,
            tallies: Published::new(Vec::new()),
            interval_ends: AtomicU64::new((now + settings.interval).as_nanos()),
            slow_from_micros: AtomicU64::new(NEVER_SLOW),
            is_busy: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            state: Mutex::new(DetectorState {
                ledger: Ledger::new(settings.terms),
                reasons: BTreeMap::new(),
                limits: BTreeMap::new(),
                commands: VecDeque::new(),
                is_acting: false,
                is_stopped: false,
                interval_began: now,
            }),
            settings,
        }
    }

    /// Calls `then` with the tally of a member.
    #[inline]
    pub(super) fn with_tally<T>(
        &self,
        member: MemberId,
        then: impl FnOnce(&OutlierTally) -> T,
    ) -> Option<T> {
        if let Some(tally) = of(&self.tallies.load(), member) {
            return Some(then(tally));
        }
        self.refresh_tallies(member);
        let tallies = self.tallies.load();
        of(&tallies, member).map(|tally| then(tally))
    }

    /// Creates tallies for members that were added, and drops those of removed members.
    #[cold]
    fn refresh_tallies(&self, member: MemberId) {
        let roster = self.group.roster();
        // A request of a removed member may still end.
        let Some(roster) = roster.filter(|roster| is_there(roster, member)) else {
            return;
        };
        let state = self.state.lock();
        let known = Arc::clone(&self.tallies.load());
        let with_times = self.settings.slow_members.is_some();
        let tallies = renewed(&known, &roster, |seat| {
            let id = seat.state.id();
            let tally = OutlierTally::new(id, with_times);
            tally.set_state(match state.ledger.stage(id) {
                EjectionStage::Ejected { .. } => TallyState::Ejected,
                EjectionStage::Serving => TallyState::Serving,
                EjectionStage::Trial { .. } => TallyState::Trial,
            });
            tally
        });
        let former = self.tallies.swap(tallies);
        drop(state);
        drop(former);
    }

    /// Returns whether the interval is over at `now`; also if the clock was set back.
    #[inline]
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let ends = self.interval_ends.load(Relaxed);
        now.as_nanos() >= ends || (now + self.settings.interval).as_nanos() < ends
    }

    /// Returns whether this time to the response head is as slow as those of members that
    /// were ejected for slowness.
    pub(super) fn is_slow(&self, time: Option<Duration>) -> bool {
        let slow_from = self.slow_from_micros.load(Relaxed);
        time.is_some_and(|time| u64::try_from(time.as_micros()).is_ok_and(|it| it >= slow_from))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(SeqCst) != 0
    }

    /// Handles a run of failures that has reached its threshold.
    #[cold]
    pub(super) fn trip(&self, member: MemberId) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut state = self.state.lock();
        let tallies = self.tallies.load();
        if let Some(tally) = of(&tallies, member) {
            let signal = tally.tripped(&self.settings.runs);
            let serves = tally.state() == TallyState::Serving;
            if let (Some(signal), true) = (signal, serves) {
                if !self.eject(&mut state, &roster, tally, signal) {
                    tally.refuse();
                    self.restore(&mut state, &roster, &[]);
                }
            }
        }
        drop(state);
        self.execute_commands();
    }

    /// Handles the success or failure of a request to a member on trial.
    #[cold]
    pub(super) fn tried(&self, member: MemberId, is_good: bool, time: Option<Duration>) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut state = self.state.lock();
        let tallies = self.tallies.load();
        if let Some(tally) = of(&tallies, member) {
            if matches!(state.ledger.stage(member), EjectionStage::Trial { .. }) {
                let was_slow = matches!(state.reasons.get(&member), Some(Signal::Slow { .. }));
                if is_good && !(was_slow && self.is_slow(time)) {
                    state.ledger.pass(member);
                    self.serve(&mut state, member);
                } else {
                    let why = match state.reasons.get(&member) {
                        Some(&slow @ Signal::Slow { .. }) if is_good => slow,
                        Some(_) | None => Signal::Trial,
                    };
                    if !self.eject(&mut state, &roster, tally, why) {
                        self.restore(&mut state, &roster, &[]);
                    }
                }
            }
        }
        drop(state);
        self.execute_commands();
    }

    /// Handles the end of an ejection, by this detector or another source; `generation` is
    /// that of the first snapshot without the ejection.
    pub(super) fn recovered(&self, member: MemberId, generation: u64) {
        if !self.is_busy() {
            return;
        }
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut state = self.state.lock();
        // Events may be late: the current state counts.
        if !is_ejected(&roster, member) {
            self.recover(&mut state, member, generation);
        }
        drop(state);
        self.execute_commands();
    }

    /// Handles an ejection that was prolonged by another source.
    pub(super) fn prolonged(&self, member: MemberId, until: Timestamp) {
        self.state.lock().ledger.prolong(member, until);
    }

    /// Handles a passed active check: the member returns to full service in any case.
    pub(super) fn passed_check(&self, member: MemberId) {
        let mut state = self.state.lock();
        let stage = state.ledger.clear(member);
        if stage != EjectionStage::Serving {
            if let Some(tally) = of(&self.tallies.load(), member) {
                // While it is out, no request starts: all of these began before.
                if matches!(stage, EjectionStage::Ejected { .. }) {
                    tally.count_since(self.group.generation());
                }
                tally.forget();
            }
            self.return_to_service(&mut state, &[(member, stage)]);
        }
        drop(state);
        self.execute_commands();
    }

    /// Handles a row of passed checks: the ejection ends as if its time had elapsed, and a
    /// request tries the member next. Ejections from other sources are not affected.
    pub(super) fn end_ejection_by_check(&self, member: MemberId) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut state = self.state.lock();
        let reason = state.reasons.get(&member).map(ToString::to_string);
        let is_own = reason.is_some_and(|reason| is_ejected_for(&roster, member, reason));
        if is_own && state.ledger.shorten(member, self.clock.now()) {
            state
                .commands
                .push_back(BalancerCommand::EndEjections(vec![member]));
        }
        drop(state);
        self.execute_commands();
    }

    /// Other members may have become unhealthy or may have been removed: checks whether all
    /// ejected members may stay out.
    ///
    /// It runs once for each snapshot: if one snapshot has many newly unhealthy members,
    /// there is an event for each of them, but all are in the roster already.
    pub(super) fn recheck(&self, generation: u64) {
        let next = generation.saturating_add(1);
        if !self.is_busy() || self.looked.fetch_max(next, SeqCst) >= next {
            return;
        }
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut state = self.state.lock();
        self.restore(&mut state, &roster, &[]);
        drop(state);
        self.execute_commands();
    }

    /// Handles the removal of a member, unless it was added again.
    pub(super) fn left(&self, member: MemberId) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        if is_there(&roster, member) {
            return;
        }
        let mut state = self.state.lock();
        state.ledger.remove(member);
        if let Some(tally) = of(&self.tallies.load(), member) {
            tally.forget();
        }
        self.serve(&mut state, member);
        if self.is_busy() {
            self.restore(&mut state, &roster, &[]);
        }
        drop(state);
        self.execute_commands();
    }

    /// Stops for good: members on trial return to full service; ejected members stay out
    /// for their time.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        let limits = std::mem::take(&mut state.limits);
        let lifted = limits
            .into_values()
            .map(|trial| BalancerCommand::Limit(trial.limit, None));
        state.commands.extend(lifted);
        for (member, _) in state.ledger.clear_all() {
            if let Some(tally) = of(&self.tallies.load(), member) {
                tally.set_state(TallyState::Serving);
            }
        }
        self.update_busy(&state);
        drop(state);
        self.execute_commands();
    }

    /// Decides on an ejection; returns whether the member is ejected.
    fn eject(
        &self,
        state: &mut DetectorState,
        roster: &Roster,
        tally: &OutlierTally,
        signal: Signal,
    ) -> bool {
        self.eject_all(state, roster, &[(tally, signal)], &[])
    }

    /// Decides on ejections in order; returns whether any member is ejected. `found` are
    /// all outliers, sorted by id.
    pub(super) fn eject_all(
        &self,
        state: &mut DetectorState,
        roster: &Roster,
        asked: &[(&OutlierTally, Signal)],
        found: &[MemberId],
    ) -> bool {
        if state.is_stopped || asked.is_empty() {
            return false;
        }
        let tallies = self.tallies.load();
        let runs = &self.settings.runs;
        let is_suspect = |member| {
            found.binary_search(&member).is_ok()
                || of(&tallies, member).is_some_and(|it| it.is_suspect(runs))
        };
        let keys: Vec<_> = asked.iter().map(|(tally, _)| tally.id).collect();
        let (now, jitter) = (self.clock.now(), || self.jitter());
        let all = facts(roster);
        let granted = state.ledger.eject_all(&keys, all, is_suspect, now, jitter);
        let mut times: BTreeMap<_, _> = granted.into_iter().collect();
        let mut ejections = Vec::new();
        for &(tally, signal) in asked {
            if let Some(time) = times.remove(&tally.id) {
                tally.set_state(TallyState::Ejected);
                tally.forget();
                state.reasons.insert(tally.id, signal);
                ejections.push((tally.id, time, signal));
            }
        }
        let is_any = !ejections.is_empty();
        if is_any {
            state.commands.push_back(BalancerCommand::Eject(ejections));
            self.update_busy(state);
        }
        is_any
    }

    pub(super) fn recover(&self, state: &mut DetectorState, member: MemberId, generation: u64) {
        let recovery = state.ledger.recover(member, self.clock.now());
        if let Some(tally) = of(&self.tallies.load(), member) {
            // Also if the end of an interval has found this end first, without a generation.
            if recovery.is_some() || tally.state() == TallyState::Trial {
                tally.count_since(generation);
            }
            if recovery.is_some() {
                tally.forget();
                tally.set_state(TallyState::Trial);
            }
        }
        if recovery == Some(Recovery::Full) {
            self.serve(state, member);
        }
    }

    /// Returns members to service that may no longer stay out.
    pub(super) fn restore(&self, state: &mut DetectorState, roster: &Roster, found: &[MemberId]) {
        let tallies = self.tallies.load();
        let runs = &self.settings.runs;
        let is_bad = |member| {
            found.binary_search(&member).is_ok()
                || of(&tallies, member).is_some_and(|it| it.is_bad(runs))
        };
        let back = state.ledger.restore(facts(roster), is_bad);
        self.return_to_service(state, &back);
    }

    /// Returns members that were in these stages to service.
    fn return_to_service(&self, state: &mut DetectorState, members: &[(MemberId, EjectionStage)]) {
        for &(member, _) in members {
            self.serve(state, member);
        }
        let away = members
            .iter()
            .filter(|(_, stage)| matches!(stage, EjectionStage::Ejected { .. }));
        let away: Vec<_> = away.map(|&(member, _)| member).collect();
        if !away.is_empty() {
            state
                .commands
                .push_back(BalancerCommand::EndEjections(away));
        }
    }

    /// Returns a member to full service, without a limit.
    pub(super) fn serve(&self, state: &mut DetectorState, member: MemberId) {
        state.reasons.remove(&member);
        if let Some(trial) = state.limits.remove(&member) {
            state
                .commands
                .push_back(BalancerCommand::Limit(trial.limit, None));
        }
        if let Some(tally) = of(&self.tallies.load(), member) {
            tally.set_state(TallyState::Serving);
        }
        self.update_busy(state);
    }

    pub(super) fn update_busy(&self, state: &DetectorState) {
        self.is_busy.store(state.ledger.is_busy().into(), SeqCst);
    }

    fn jitter(&self) -> Duration {
        let most = u64::try_from(self.settings.jitter.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.below(most.saturating_add(1)))
    }
}

pub(super) fn is_ejected(roster: &Roster, member: MemberId) -> bool {
    let seat = roster.seat(member.slot());
    seat.is_some_and(|seat| {
        seat.state.id() == member && seat.state.status().contains(Flag::Ejected)
    })
}

/// Returns whether a member is ejected, and the longest of its ejections has this cause.
fn is_ejected_for(roster: &Roster, member: MemberId, cause: String) -> bool {
    let seat = roster.seat(member.slot());
    seat.is_some_and(|seat| {
        let health = seat.state.health();
        let outage = health.outage(Flag::Ejected);
        seat.state.id() == member
            && outage.is_some_and(|outage| outage.cause == Some(Cause::from(cause)))
    })
}

#[cfg(test)]
mod tests {
    use super::{OutlierJudge, OutlierSettings, WatchedBalancer};
    use crate::balancer::LearnedLimit;
    use crate::clock::ManualClock;
    use crate::member::{Cause, MemberId};
    use crate::random::Random;
    use crate::snapshot::Roster;
    use crate::sync::{AtomicU32, Relaxed, SeqCst};
    use std::sync::Arc;
    use std::time::Duration;

    /// Counts how often the members are inspected.
    struct Counted(Arc<AtomicU32>);

    impl WatchedBalancer for Counted {
        fn eject(&self, _: Vec<(MemberId, Duration, Cause)>) {}

        fn end_ejections(&self, _: &[MemberId]) {}

        fn trial_limit(&self, _: MemberId) -> Option<LearnedLimit> {
            None
        }

        fn roster(&self) -> Option<Arc<Roster>> {
            self.0.fetch_add(1, Relaxed);
            Some(Arc::default())
        }

        fn generation(&self) -> u64 {
            0
        }
    }

    #[test]
    fn members_that_fail_together_are_inspected_once() {
        let looks = Arc::new(AtomicU32::new(0));
        let clock = Arc::new(ManualClock::new());
        let group = Box::new(Counted(looks.clone()));
        let judge = OutlierJudge::new(OutlierSettings::new(), clock, group, Random::seeded(1));
        judge.recheck(4);
        assert_eq!(looks.load(Relaxed), 0, "no member is out");
        judge.is_busy.store(1, SeqCst);
        for generation in [4, 4, 4, 5, 4, 5] {
            judge.recheck(generation);
        }
        assert_eq!(looks.load(Relaxed), 2);
    }
}
