//! What is counted of one member, without a lock: [`OutlierTally`].
//!
//! What does not live here: what follows from it (`judge.rs`, `statistics.rs`).

use std::time::Duration;

use super::histogram::{Histogram, HistogramCounts};
use super::signals::{Runs, Signal};
use super::verdict::{Evidence, FailureKind};
use crate::health::by_slot::OfMember;
use crate::member::MemberId;
use crate::sync::{AtomicU32, AtomicU64, Relaxed, SeqCst};

/// How a member stands, as its requests need it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TallyState {
    /// Ejected: what its requests tell counts for nothing.
    Away,
    /// In service.
    Serving,
    /// Back, with one request at a time until one has succeeded.
    Trial,
}

/// The counters of one member. Every request writes here, so each has lines of its own.
///
/// # Orderings
///
/// Counters are relaxed: each is right by itself, and a decision that is made of them is made
/// again under the lock. `standing` and `since` are written under that lock and read by
/// requests; sequentially consistent, so that `since` is in place when a standing is seen.
#[repr(align(128))]
pub(super) struct OutlierTally {
    pub(super) id: MemberId,
    standing: AtomicU32,
    /// Requests of older pictures count for nothing.
    since: AtomicU64,
    /// Requests, and how many of them failed, since the last interval.
    answered: AtomicU64,
    /// The same of connections, if these are told apart.
    local: AtomicU64,
    /// Failures in a row, before or by the head.
    run: AtomicU32,
    gateway_run: AtomicU32,
    local_run: AtomicU32,
    /// Answers in a row that began well and broke.
    broken_run: AtomicU32,
    /// How often an ejection was refused in this run: each doubles the run that asks again. The
    /// end of an interval asks in any case.
    refusals: AtomicU32,
    /// Whether it had no request in the last interval: 0 or 1.
    idle: AtomicU32,
    times: Option<Histogram>,
}

impl OfMember for OutlierTally {
    fn member(&self) -> MemberId {
        self.id
    }
}

/// What was counted in an interval.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Volume {
    pub(super) total: u32,
    pub(super) failed: u32,
}

const ONE: u64 = 1 << 32;

/// Of the good answers of a member, one of so many looks whether the interval is over: to read
/// the clock costs as much as all else.
const LOOK_EVERY: u64 = 8;

/// What a request gives reason for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FollowUp {
    /// To look whether the interval is over.
    Look,
    Nothing,
    /// To eject the member, perhaps.
    Trip,
    /// A member on trial: it has succeeded or failed.
    Tried(bool),
}

impl OutlierTally {
    pub(super) fn new(id: MemberId, with_times: bool) -> Self {
        let zero = || AtomicU32::new(0);
        Self {
            id,
            standing: AtomicU32::new(TallyState::Serving as u32),
            since: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            local: AtomicU64::new(0),
            run: zero(),
            gateway_run: zero(),
            local_run: zero(),
            broken_run: zero(),
            refusals: zero(),
            idle: zero(),
            times: with_times.then(Histogram::new),
        }
    }

    #[inline]
    pub(super) fn standing(&self) -> TallyState {
        match self.standing.load(SeqCst) {
            0 => TallyState::Away,
            1 => TallyState::Serving,
            _ => TallyState::Trial,
        }
    }

    /// Sets how it stands, under the lock of the decisions.
    pub(super) fn stand(&self, standing: TallyState) {
        self.standing.store(standing as u32, SeqCst);
    }

    /// Requests that were picked by an older picture count for nothing from now on.
    pub(super) fn count_since(&self, generation: u64) {
        self.since.fetch_max(generation, SeqCst);
    }

    #[inline]
    pub(super) fn counts(&self, generation: u64) -> bool {
        generation >= self.since.load(SeqCst)
    }

    /// Counts what a request tells; returns what it gives reason for.
    #[inline]
    pub(super) fn take(&self, evidence: Evidence, runs: &Runs) -> FollowUp {
        let split = runs.local.is_some();
        match evidence {
            Evidence::Good => {
                let before = self.answered.fetch_add(ONE, Relaxed) >> 32;
                if split {
                    self.local.fetch_add(ONE, Relaxed);
                }
                self.end_runs();
                return if before % LOOK_EVERY == 0 {
                    FollowUp::Look
                } else {
                    FollowUp::Nothing
                };
            }
            Evidence::GoodEnd => {
                clear(&self.broken_run);
                return FollowUp::Nothing;
            }
            Evidence::BrokenAfterHead => {
                // Its head has counted it as one that is good.
                self.answered.fetch_add(1, Relaxed);
                self.broken_run.fetch_add(1, Relaxed);
            }
            Evidence::Failed(FailureKind::Local) if split => {
                self.local.fetch_add(ONE + 1, Relaxed);
                self.local_run.fetch_add(1, Relaxed);
            }
            Evidence::Failed(fault) => {
                self.answered.fetch_add(ONE + 1, Relaxed);
                self.run.fetch_add(1, Relaxed);
                if split {
                    self.local.fetch_add(ONE, Relaxed);
                    clear(&self.local_run);
                }
                if fault == FailureKind::Answered {
                    clear(&self.gateway_run);
                } else {
                    self.gateway_run.fetch_add(1, Relaxed);
                }
            }
        }
        if self.tripped(runs).is_some() {
            FollowUp::Trip
        } else {
            FollowUp::Look
        }
    }

    /// Which run is long enough to eject the member, if one is.
    pub(super) fn tripped(&self, runs: &Runs) -> Option<Signal> {
        let refusals = self.refusals.load(Relaxed).min(24);
        self.longest(runs, |threshold| threshold.saturating_mul(1 << refusals))
    }

    /// Which run is as long as its threshold, however often an ejection was refused.
    pub(super) fn overdue(&self, runs: &Runs) -> Option<Signal> {
        let overdue = self.longest(runs, |threshold| threshold);
        overdue.filter(|_| self.is_active())
    }

    pub(super) fn is_bad(&self, runs: &Runs) -> bool {
        self.overdue(runs).is_some()
    }

    /// Whether a run is half as long as its threshold.
    pub(super) fn is_suspect(&self, runs: &Runs) -> bool {
        self.is_active()
            && self
                .longest(runs, |threshold| threshold.div_ceil(2))
                .is_some()
    }

    fn longest(&self, runs: &Runs, need: impl Fn(u32) -> u32) -> Option<Signal> {
        let is_at = |length: u32, threshold: Option<u32>| {
            threshold.is_some_and(|threshold| length >= need(threshold))
        };
        let broken = self.broken_run.load(Relaxed);
        let run = self.run.load(Relaxed).saturating_add(broken);
        if is_at(run, runs.failures) {
            Some(Signal::Failures(run))
        } else if is_at(self.gateway_run.load(Relaxed), runs.gateway_errors) {
            Some(Signal::GatewayErrors(self.gateway_run.load(Relaxed)))
        } else if is_at(self.local_run.load(Relaxed), runs.local) {
            Some(Signal::Local(self.local_run.load(Relaxed)))
        } else {
            None
        }
    }

    /// An ejection was refused: the run has to double before it asks again.
    pub(super) fn refuse(&self) {
        self.refusals.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(super) fn time(&self, time: Duration) {
        if let Some(times) = &self.times {
            times.add(time);
        }
    }

    /// A run of a member without requests tells nothing of it any more.
    fn is_active(&self) -> bool {
        let now = self.answered.load(Relaxed) | self.local.load(Relaxed);
        now != 0 || self.idle.load(Relaxed) == 0
    }

    /// What was counted since the last call, answers and connections; nothing that is counted
    /// meanwhile is lost.
    pub(super) fn drain(&self, counts: &mut HistogramCounts) -> (Volume, Volume) {
        let volumes = (
            Volume::of(self.answered.swap(0, Relaxed)),
            Volume::of(self.local.swap(0, Relaxed)),
        );
        let is_idle = volumes.0.total == 0 && volumes.1.total == 0;
        self.idle.store(is_idle.into(), Relaxed);
        if let Some(times) = &self.times {
            times.drain(counts);
        }
        volumes
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        self.end_runs();
        clear(&self.broken_run);
        self.drain(&mut HistogramCounts::new());
    }

    #[inline]
    fn end_runs(&self) {
        clear(&self.run);
        clear(&self.gateway_run);
        clear(&self.local_run);
        clear(&self.refusals);
    }
}

/// Writes only where there is something to clear: a line that is only read is shared.
#[inline]
fn clear(counter: &AtomicU32) {
    if counter.load(Relaxed) != 0 {
        counter.store(0, Relaxed);
    }
}

impl Volume {
    #[expect(clippy::cast_possible_truncation, reason = "two halves of one word")]
    fn of(word: u64) -> Self {
        let (total, failed) = ((word >> 32) as u32, word as u32);
        Self {
            // The head of one that broke may have counted to the interval before.
            total: total.max(failed),
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FollowUp, HistogramCounts, OutlierTally, Volume};
    use crate::health::outliers::signals::{Runs, Signal};
    use crate::health::outliers::verdict::{Evidence, FailureKind};
    use crate::member::MemberId;

    const RUNS: Runs = Runs {
        failures: Some(5),
        gateway_errors: Some(3),
        local: None,
    };

    fn volumes(tally: &OutlierTally) -> [(u32, u32); 2] {
        let (answered, local) = tally.drain(&mut HistogramCounts::new());
        [answered, local].map(|Volume { total, failed }| (total, failed))
    }

    fn tally() -> OutlierTally {
        OutlierTally::new(MemberId::new(0), true)
    }

    #[test]
    fn a_run_is_ended_by_a_good_head_but_one_of_broken_bodies_is_not() {
        let tally = tally();
        for _ in 0..4 {
            assert_ne!(
                tally.take(Evidence::Failed(FailureKind::Answered), &RUNS),
                FollowUp::Trip
            );
        }
        assert!(tally.is_suspect(&RUNS) && !tally.is_bad(&RUNS));
        tally.take(Evidence::Good, &RUNS);
        assert!(!tally.is_suspect(&RUNS));
        for _ in 0..4 {
            assert_ne!(tally.take(Evidence::Good, &RUNS), FollowUp::Trip);
            assert_ne!(tally.take(Evidence::BrokenAfterHead, &RUNS), FollowUp::Trip);
        }
        tally.take(Evidence::Good, &RUNS);
        assert_eq!(tally.take(Evidence::BrokenAfterHead, &RUNS), FollowUp::Trip);
        assert_eq!(volumes(&tally), [(10, 9), (0, 0)]);
        tally.take(Evidence::GoodEnd, &RUNS);
        assert_eq!(tally.tripped(&RUNS), None);
    }

    #[test]
    fn gateway_errors_have_a_run_of_their_own_to_which_local_failures_count_unless_split() {
        let unsplit = tally();
        unsplit.take(Evidence::Failed(FailureKind::Gateway), &RUNS);
        unsplit.take(Evidence::Failed(FailureKind::Local), &RUNS);
        assert_eq!(
            unsplit.take(Evidence::Failed(FailureKind::Gateway), &RUNS),
            FollowUp::Trip
        );
        assert_eq!(unsplit.tripped(&RUNS), Some(Signal::GatewayErrors(3)));
        unsplit.take(Evidence::Failed(FailureKind::Answered), &RUNS);
        assert_eq!(unsplit.tripped(&RUNS), None);
        assert_eq!(volumes(&unsplit), [(4, 4), (0, 0)]);

        let local = Some(2);
        let runs = Runs { local, ..RUNS };
        let split = tally();
        split.take(Evidence::Failed(FailureKind::Local), &runs);
        assert_eq!(
            split.take(Evidence::Failed(FailureKind::Local), &runs),
            FollowUp::Trip
        );
        assert_eq!(split.tripped(&runs), Some(Signal::Local(2)));
        split.take(Evidence::Failed(FailureKind::Gateway), &runs);
        assert_eq!(split.tripped(&runs), None, "it has answered");
        assert_eq!(volumes(&split), [(1, 1), (3, 2)]);
    }

    #[test]
    fn each_refusal_doubles_the_run_that_asks_again() {
        let tally = tally();
        let mut asked = Vec::new();
        for length in 1..=45 {
            if tally.take(Evidence::Failed(FailureKind::Answered), &RUNS) == FollowUp::Trip {
                asked.push(length);
                tally.refuse();
            }
        }
        assert_eq!(asked, [5, 10, 20, 40]);
        tally.take(Evidence::Good, &RUNS);
        for _ in 0..4 {
            assert_ne!(
                tally.take(Evidence::Failed(FailureKind::Answered), &RUNS),
                FollowUp::Trip
            );
        }
        assert_eq!(
            tally.take(Evidence::Failed(FailureKind::Answered), &RUNS),
            FollowUp::Trip
        );
    }

    #[test]
    fn a_run_of_a_member_without_requests_is_no_suspicion() {
        let tally = tally();
        for _ in 0..6 {
            tally.take(Evidence::Failed(FailureKind::Answered), &RUNS);
        }
        volumes(&tally);
        assert!(tally.is_bad(&RUNS), "it had requests in that interval");
        volumes(&tally);
        assert!(!tally.is_bad(&RUNS) && !tally.is_suspect(&RUNS));
        assert!(tally.tripped(&RUNS).is_some(), "the run goes on");
    }
}
