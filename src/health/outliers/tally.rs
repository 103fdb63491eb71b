//! The counters of one member, without a lock: [`OutlierTally`].
//!
//! Not here: what follows from the counts (`judge.rs`, `statistics.rs`).

use std::time::Duration;

use super::evidence::{Evidence, FailureKind};
use super::histogram::{Histogram, HistogramCounts};
use super::signals::{Runs, Signal};
use crate::health::by_slot::OfMember;
use crate::member::MemberId;
use crate::sync::{AtomicU32, AtomicU64, Relaxed, SeqCst};

/// The state of a member, as its requests need it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TallyState {
    /// Ejected: outcomes of its requests are ignored.
    Ejected,
    /// In service.
    Serving,
    /// On trial: one request at a time until one succeeds.
    Trial,
}

/// The counters of one member. Every request writes here, hence each has its own cache
/// lines.
///
/// # Orderings
///
/// Counters are relaxed: each is correct by itself, and a decision based on them is made
/// again under the lock. `state` and `since` are written under that lock and read by
/// requests; they are sequentially consistent, which makes `since` visible before the
/// state.
#[repr(align(128))]
pub(super) struct OutlierTally {
    pub(super) id: MemberId,
    state: AtomicU32,
    /// Requests of older snapshots are ignored.
    since: AtomicU64,
    /// Requests, and failed requests, since the last interval.
    responses: AtomicU64,
    /// The same for connections, if these are counted separately.
    local: AtomicU64,
    /// Failures in a row, before or at the response head.
    run: AtomicU32,
    gateway_run: AtomicU32,
    local_run: AtomicU32,
    /// Responses in a row that ended early after a good head.
    broken_run: AtomicU32,
    /// How often an ejection was refused in this run: each refusal doubles the run that is
    /// needed for the next decision. The end of an interval always decides.
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

/// The counts of an interval.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Volume {
    pub(super) total: u32,
    pub(super) failed: u32,
}

const ONE_REQUEST: u64 = 1 << 32;

/// One in this many good responses of a member checks whether the interval is over: reading
/// the clock costs as much as everything else.
const CLOCK_CHECK_INTERVAL: u64 = 8;

/// What follows from a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FollowUp {
    /// Check whether the interval is over.
    Look,
    Nothing,
    /// Decide whether the member is ejected.
    Trip,
    /// Decide on a member on trial: the request has succeeded or failed.
    Tried(bool),
}

impl OutlierTally {
    pub(super) fn new(id: MemberId, with_times: bool) -> Self {
        let zero = || AtomicU32::new(0);
        Self {
            id,
            state: AtomicU32::new(TallyState::Serving as u32),
            since: AtomicU64::new(0),
            responses: AtomicU64::new(0),
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
    pub(super) fn state(&self) -> TallyState {
        match self.state.load(SeqCst) {
            0 => TallyState::Ejected,
            1 => TallyState::Serving,
            _ => TallyState::Trial,
        }
    }

    /// Sets the state, under the lock of the decisions.
    pub(super) fn set_state(&self, state: TallyState) {
        self.state.store(state as u32, SeqCst);
    }

    /// Ignores requests that were picked by older snapshots from now on.
    pub(super) fn count_since(&self, generation: u64) {
        self.since.fetch_max(generation, SeqCst);
    }

    #[inline]
    pub(super) fn counts(&self, generation: u64) -> bool {
        generation >= self.since.load(SeqCst)
    }

    /// Counts the outcome of a request; returns what follows.
    #[inline]
    pub(super) fn take(&self, evidence: Evidence, runs: &Runs) -> FollowUp {
        let split = runs.local.is_some();
        match evidence {
            Evidence::Good => {
                let before = self.responses.fetch_add(ONE_REQUEST, Relaxed) >> 32;
                if split {
                    self.local.fetch_add(ONE_REQUEST, Relaxed);
                }
                self.end_runs();
                return if before % CLOCK_CHECK_INTERVAL == 0 {
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
                // Its head was counted as a success.
                self.responses.fetch_add(1, Relaxed);
                self.broken_run.fetch_add(1, Relaxed);
            }
            Evidence::Failed(FailureKind::Local) if split => {
                self.local.fetch_add(ONE_REQUEST + 1, Relaxed);
                self.local_run.fetch_add(1, Relaxed);
            }
            Evidence::Failed(fault) => {
                self.responses.fetch_add(ONE_REQUEST + 1, Relaxed);
                self.run.fetch_add(1, Relaxed);
                if split {
                    self.local.fetch_add(ONE_REQUEST, Relaxed);
                    clear(&self.local_run);
                }
                if fault == FailureKind::ErrorResponse {
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

    /// Returns the signal of a run that is long enough to eject the member.
    pub(super) fn tripped(&self, runs: &Runs) -> Option<Signal> {
        let refusals = self.refusals.load(Relaxed).min(24);
        self.longest(runs, |threshold| threshold.saturating_mul(1 << refusals))
    }

    /// Returns the signal of a run that has reached its threshold, regardless of refusals.
    pub(super) fn overdue(&self, runs: &Runs) -> Option<Signal> {
        let overdue = self.longest(runs, |threshold| threshold);
        overdue.filter(|_| self.is_active())
    }

    pub(super) fn is_bad(&self, runs: &Runs) -> bool {
        self.overdue(runs).is_some()
    }

    /// Returns whether a run has reached half of its threshold.
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

    /// Records that an ejection was refused: the run must double before the next decision.
    pub(super) fn refuse(&self) {
        self.refusals.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(super) fn time(&self, time: Duration) {
        if let Some(times) = &self.times {
            times.add(time);
        }
    }

    /// Returns whether the member had requests; a run of a member without requests is
    /// outdated.
    fn is_active(&self) -> bool {
        let now = self.responses.load(Relaxed) | self.local.load(Relaxed);
        now != 0 || self.idle.load(Relaxed) == 0
    }

    /// Returns the counts since the last call, of responses and of connections; a
    /// concurrent count is not lost.
    pub(super) fn drain(&self, counts: &mut HistogramCounts) -> (Volume, Volume) {
        let volumes = (
            Volume::of(self.responses.swap(0, Relaxed)),
            Volume::of(self.local.swap(0, Relaxed)),
        );
        let is_idle = volumes.0.total == 0 && volumes.1.total == 0;
        self.idle.store(is_idle.into(), Relaxed);
        if let Some(times) = &self.times {
            times.drain(counts);
        }
        volumes
    }

    /// Resets all counters.
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

/// Writes only if there is something to clear, which keeps a cache line shared that is only
/// read.
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
            // The head of a response that ended early may have been counted in the previous
            // interval.
            total: total.max(failed),
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FollowUp, HistogramCounts, OutlierTally, Volume};
    use crate::health::outliers::evidence::{Evidence, FailureKind};
    use crate::health::outliers::signals::{Runs, Signal};
    use crate::member::MemberId;

    const RUNS: Runs = Runs {
        failures: Some(5),
        gateway_errors: Some(3),
        local: None,
    };

    fn volumes(tally: &OutlierTally) -> [(u32, u32); 2] {
        let (responses, local) = tally.drain(&mut HistogramCounts::new());
        [responses, local].map(|Volume { total, failed }| (total, failed))
    }

    fn tally() -> OutlierTally {
        OutlierTally::new(MemberId::new(0), true)
    }

    #[test]
    fn a_run_is_ended_by_a_good_head_but_one_of_broken_bodies_is_not() {
        let tally = tally();
        for _ in 0..4 {
            assert_ne!(
                tally.take(Evidence::Failed(FailureKind::ErrorResponse), &RUNS),
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
        unsplit.take(Evidence::Failed(FailureKind::ErrorResponse), &RUNS);
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
        assert_eq!(split.tripped(&runs), None, "it has responded");
        assert_eq!(volumes(&split), [(1, 1), (3, 2)]);
    }

    #[test]
    fn each_refusal_doubles_the_required_run() {
        let tally = tally();
        let mut asked = Vec::new();
        for length in 1..=45 {
            if tally.take(Evidence::Failed(FailureKind::ErrorResponse), &RUNS) == FollowUp::Trip {
                asked.push(length);
                tally.refuse();
            }
        }
        assert_eq!(asked, [5, 10, 20, 40]);
        tally.take(Evidence::Good, &RUNS);
        for _ in 0..4 {
            assert_ne!(
                tally.take(Evidence::Failed(FailureKind::ErrorResponse), &RUNS),
                FollowUp::Trip
            );
        }
        assert_eq!(
            tally.take(Evidence::Failed(FailureKind::ErrorResponse), &RUNS),
            FollowUp::Trip
        );
    }

    #[test]
    fn a_run_of_a_member_without_requests_is_ignored() {
        let tally = tally();
        for _ in 0..6 {
            tally.take(Evidence::Failed(FailureKind::ErrorResponse), &RUNS);
        }
        volumes(&tally);
        assert!(tally.is_bad(&RUNS), "it had requests in that interval");
        volumes(&tally);
        assert!(!tally.is_bad(&RUNS) && !tally.is_suspect(&RUNS));
        assert!(tally.tripped(&RUNS).is_some(), "the run goes on");
    }
}
