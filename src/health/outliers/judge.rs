//! What decides, under one lock, and has the balancer carry it out: [`OutlierJudge`].
//!
//! # The course of a decision
//!
//! A request that trips a threshold, or finds an interval over, takes the lock of [`DetectorState`]. What
//! is decided there is put in a queue and done to the balancer after the lock is given back, as
//! the balancer tells events while it acts, also to this detector. One thread at a time works
//! through the queue, so that orders are carried out as they were given; an event that comes
//! while a thread acts only adds to it.
//!
//! What does not live here: the fast path of requests (`watch.rs`), and the rules (`ledger.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::desk::{BalancerCommand, DetectorState};
use super::group::{WatchedBalancer, facts};
use super::ledger::{EjectionStage, Ledger, Recovery};
use super::settings::OutlierSettings;
use super::signals::Signal;
use super::tally::{OutlierTally, TallyState};
use crate::clock::{Clock, Timestamp};
use crate::health::by_slot::{BySlot, is_there, of, renewed};
use crate::member::{Cause, Flag, MemberId};
use crate::random::Random;
use crate::snapshot::Roster;
use crate::sync::{AtomicU64, Mutex, Published, Relaxed, SeqCst};

pub(super) struct OutlierJudge {
    pub(super) settings: OutlierSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) group: Box<dyn WatchedBalancer>,
    random: Random,
    pub(super) tallies: Published<BySlot<OutlierTally>>,
    /// When the interval is over, in nanoseconds. Relaxed: a hint; it is looked at again under
    /// the lock.
    pub(super) interval_ends: AtomicU64,
    /// From which time to the head on, in microseconds, an answer is slow. Relaxed: a hint.
    pub(super) slow_line: AtomicU64,
    /// Whether a member is out or on trial: 0 or 1. SeqCst: it is set before the member is
    /// ejected, and read by what is told of changes afterwards.
    is_busy: AtomicU64,
    /// One more than the last picture after which it was looked whether all may stay out.
    looked: AtomicU64,
    pub(super) desk: Mutex<DetectorState>,
}

/// No answer is slow.
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
            slow_line: AtomicU64::new(NEVER_SLOW),
            is_busy: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            desk: Mutex::new(DetectorState {
                ledger: Ledger::new(settings.terms),
                reasons: BTreeMap::new(),
                limits: BTreeMap::new(),
                orders: VecDeque::new(),
                is_acting: false,
                is_stopped: false,
                interval_began: now,
            }),
            settings,
        }
    }

    /// Gives the tally of a member to `then`.
    #[inline]
    pub(super) fn with_tally<T>(
        &self,
        member: MemberId,
        then: impl FnOnce(&OutlierTally) -> T,
    ) -> Option<T> {
        if let Some(tally) = of(&self.tallies.load(), member) {
            return Some(then(tally));
        }
        self.look_for(member);
        let tallies = self.tallies.load();
        of(&tallies, member).map(|tally| then(tally))
    }

    /// Makes tallies for members that joined, and drops those of members that left.
    #[cold]
    fn look_for(&self, member: MemberId) {
        let roster = self.group.roster();
        // A request of a member that left may still end.
        let Some(roster) = roster.filter(|roster| is_there(roster, member)) else {
            return;
        };
        let desk = self.desk.lock();
        let known = Arc::clone(&self.tallies.load());
        let with_times = self.settings.slow_members.is_some();
        let tallies = renewed(&known, &roster, |seat| {
            let id = seat.state.id();
            let tally = OutlierTally::new(id, with_times);
            tally.stand(match desk.ledger.stage(id) {
                EjectionStage::Away { .. } => TallyState::Away,
                EjectionStage::Serving => TallyState::Serving,
                EjectionStage::Trial { .. } => TallyState::Trial,
            });
            tally
        });
        let former = self.tallies.swap(tallies);
        drop(desk);
        drop(former);
    }

    /// Whether the interval is over at `now`; also if the clock was put back.
    #[inline]
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let ends = self.interval_ends.load(Relaxed);
        now.as_nanos() >= ends || (now + self.settings.interval).as_nanos() < ends
    }

    /// Whether an answer that took so long is slow, as those were for which a member is out.
    pub(super) fn is_slow(&self, time: Option<Duration>) -> bool {
        let line = self.slow_line.load(Relaxed);
        time.is_some_and(|time| u64::try_from(time.as_micros()).is_ok_and(|it| it >= line))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(SeqCst) != 0
    }

    /// A request has made a run long enough.
    #[cold]
    pub(super) fn trip(&self, member: MemberId) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut desk = self.desk.lock();
        let tallies = self.tallies.load();
        if let Some(tally) = of(&tallies, member) {
            let signal = tally.tripped(&self.settings.runs);
            let serves = tally.standing() == TallyState::Serving;
            if let (Some(signal), true) = (signal, serves) {
                if !self.eject(&mut desk, &roster, tally, signal) {
                    tally.refuse();
                    self.mend(&mut desk, &roster, &[]);
                }
            }
        }
        drop(desk);
        self.act();
    }

    /// A request of a member on trial has succeeded or failed.
    #[cold]
    pub(super) fn tried(&self, member: MemberId, is_good: bool, time: Option<Duration>) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut desk = self.desk.lock();
        let tallies = self.tallies.load();
        if let Some(tally) = of(&tallies, member) {
            if matches!(desk.ledger.stage(member), EjectionStage::Trial { .. }) {
                let was_slow = matches!(desk.reasons.get(&member), Some(Signal::Slow { .. }));
                if is_good && !(was_slow && self.is_slow(time)) {
                    desk.ledger.pass(member);
                    self.serve(&mut desk, member);
                } else {
                    let why = match desk.reasons.get(&member) {
                        Some(&slow @ Signal::Slow { .. }) if is_good => slow,
                        Some(_) | None => Signal::Trial,
                    };
                    if !self.eject(&mut desk, &roster, tally, why) {
                        self.mend(&mut desk, &roster, &[]);
                    }
                }
            }
        }
        drop(desk);
        self.act();
    }

    /// An ejection has ended, of the detector or another; `generation` is the first picture that
    /// shows it.
    pub(super) fn recovered(&self, member: MemberId, generation: u64) {
        if !self.is_busy() {
            return;
        }
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut desk = self.desk.lock();
        // An event may be late: what holds now counts.
        if !is_ejected(&roster, member) {
            self.recover(&mut desk, member, generation);
        }
        drop(desk);
        self.act();
    }

    /// An ejection lasts longer than was decided here.
    pub(super) fn prolonged(&self, member: MemberId, until: Timestamp) {
        self.desk.lock().ledger.prolong(member, until);
    }

    /// An active check of a member has passed: whatever its requests said, it serves again.
    pub(super) fn passed_check(&self, member: MemberId) {
        let mut desk = self.desk.lock();
        let stage = desk.ledger.clear(member);
        if stage != EjectionStage::Serving {
            if let Some(tally) = of(&self.tallies.load(), member) {
                tally.forget();
            }
            self.put_back(&mut desk, &[(member, stage)]);
        }
        drop(desk);
        self.act();
    }

    /// Checks have noted that a member passes: its ejection ends as if its time were over, so
    /// that a request tries it next. One by another than this detector is left alone.
    pub(super) fn end_by_check(&self, member: MemberId) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut desk = self.desk.lock();
        let reason = desk.reasons.get(&member).map(ToString::to_string);
        let is_own = reason.is_some_and(|reason| is_ejected_for(&roster, member, reason));
        if is_own && desk.ledger.shorten(member, self.clock.now()) {
            desk.orders
                .push_back(BalancerCommand::EndEjections(vec![member]));
        }
        drop(desk);
        self.act();
    }

    /// Other members may have fallen ill or left: see whether all may stay out that are.
    ///
    /// Once for each picture, as one may show that many have fallen ill: each tells of itself,
    /// when all of them are in the roster already.
    pub(super) fn look_again(&self, generation: u64) {
        let next = generation.saturating_add(1);
        if !self.is_busy() || self.looked.fetch_max(next, SeqCst) >= next {
            return;
        }
        let Some(roster) = self.group.roster() else {
            return;
        };
        let mut desk = self.desk.lock();
        self.mend(&mut desk, &roster, &[]);
        drop(desk);
        self.act();
    }

    /// A member has left, unless it has joined again by now.
    pub(super) fn left(&self, member: MemberId) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        if is_there(&roster, member) {
            return;
        }
        let mut desk = self.desk.lock();
        desk.ledger.remove(member);
        if let Some(tally) = of(&self.tallies.load(), member) {
            tally.forget();
        }
        self.serve(&mut desk, member);
        if self.is_busy() {
            self.mend(&mut desk, &roster, &[]);
        }
        drop(desk);
        self.act();
    }

    /// Stops for good: members on trial are freed; those that are out stay out for their time.
    pub(super) fn stop(&self) {
        let mut desk = self.desk.lock();
        desk.is_stopped = true;
        let limits = std::mem::take(&mut desk.limits);
        let lifted = limits
            .into_values()
            .map(|trial| BalancerCommand::Limit(trial.limit, None));
        desk.orders.extend(lifted);
        for (member, _) in desk.ledger.clear_all() {
            if let Some(tally) = of(&self.tallies.load(), member) {
                tally.stand(TallyState::Serving);
            }
        }
        self.note_busy(&desk);
        drop(desk);
        self.act();
    }

    /// Decides on an ejection; returns whether it is one.
    fn eject(
        &self,
        desk: &mut DetectorState,
        roster: &Roster,
        tally: &OutlierTally,
        signal: Signal,
    ) -> bool {
        self.eject_all(desk, roster, &[(tally, signal)], &[])
    }

    /// Decides on ejections, the first ones first; returns whether there is one. `found` are all
    /// that stand out, in the order of their ids.
    pub(super) fn eject_all(
        &self,
        desk: &mut DetectorState,
        roster: &Roster,
        asked: &[(&OutlierTally, Signal)],
        found: &[MemberId],
    ) -> bool {
        if desk.is_stopped || asked.is_empty() {
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
        let granted = desk.ledger.eject_all(&keys, all, is_suspect, now, jitter);
        let mut times: BTreeMap<_, _> = granted.into_iter().collect();
        let mut ejections = Vec::new();
        for &(tally, signal) in asked {
            if let Some(time) = times.remove(&tally.id) {
                tally.stand(TallyState::Away);
                tally.forget();
                desk.reasons.insert(tally.id, signal);
                ejections.push((tally.id, time, signal));
            }
        }
        let is_any = !ejections.is_empty();
        if is_any {
            desk.orders.push_back(BalancerCommand::Eject(ejections));
            self.note_busy(desk);
        }
        is_any
    }

    pub(super) fn recover(&self, desk: &mut DetectorState, member: MemberId, generation: u64) {
        let recovery = desk.ledger.recover(member, self.clock.now());
        if let (Some(_), Some(tally)) = (recovery, of(&self.tallies.load(), member)) {
            tally.count_since(generation);
            tally.forget();
            tally.stand(TallyState::Trial);
        }
        if recovery == Some(Recovery::Full) {
            self.serve(desk, member);
        }
    }

    /// Returns members to service that may not stay out.
    pub(super) fn mend(&self, desk: &mut DetectorState, roster: &Roster, found: &[MemberId]) {
        let tallies = self.tallies.load();
        let runs = &self.settings.runs;
        let is_bad = |member| {
            found.binary_search(&member).is_ok()
                || of(&tallies, member).is_some_and(|it| it.is_bad(runs))
        };
        let back = desk.ledger.mend(facts(roster), is_bad);
        self.put_back(desk, &back);
    }

    /// Members that stood in those stages serve from now on.
    fn put_back(&self, desk: &mut DetectorState, members: &[(MemberId, EjectionStage)]) {
        for &(member, _) in members {
            self.serve(desk, member);
        }
        let away = members
            .iter()
            .filter(|(_, stage)| matches!(stage, EjectionStage::Away { .. }));
        let away: Vec<_> = away.map(|&(member, _)| member).collect();
        if !away.is_empty() {
            desk.orders.push_back(BalancerCommand::EndEjections(away));
        }
    }

    /// A member serves, without a limit.
    pub(super) fn serve(&self, desk: &mut DetectorState, member: MemberId) {
        desk.reasons.remove(&member);
        if let Some(trial) = desk.limits.remove(&member) {
            desk.orders
                .push_back(BalancerCommand::Limit(trial.limit, None));
        }
        if let Some(tally) = of(&self.tallies.load(), member) {
            tally.stand(TallyState::Serving);
        }
        self.note_busy(desk);
    }

    pub(super) fn note_busy(&self, desk: &DetectorState) {
        self.is_busy.store(desk.ledger.is_busy().into(), SeqCst);
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

/// Whether a member is ejected, and this is the cause of the ejection that lasts longest.
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

    /// Counts how often the members are looked at.
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
    }

    #[test]
    fn members_that_fall_ill_together_are_looked_at_once() {
        let looks = Arc::new(AtomicU32::new(0));
        let clock = Arc::new(ManualClock::new());
        let group = Box::new(Counted(looks.clone()));
        let judge = OutlierJudge::new(OutlierSettings::new(), clock, group, Random::seeded(1));
        judge.look_again(4);
        assert_eq!(looks.load(Relaxed), 0, "none is out");
        judge.is_busy.store(1, SeqCst);
        for generation in [4, 4, 4, 5, 4, 5] {
            judge.look_again(generation);
        }
        assert_eq!(looks.load(Relaxed), 2);
    }
}
