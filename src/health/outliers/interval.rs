//! Compares members and corrects ejections at the end of an interval.
//!
//! Not here: the comparisons themselves (`statistics.rs`).

use std::sync::Arc;

use super::detector_state::{BalancerCommand, DetectorState};
use super::histogram::HistogramCounts;
use super::judge::{OutlierJudge, is_ejected};
use super::statistics::{Outlier, by_failures, by_success_rate, by_time};
use super::tally::TallyState;
use crate::clock::Timestamp;
use crate::health::by_slot::is_there;
use crate::member::MemberId;
use crate::snapshot::Roster;
use crate::sync::Relaxed;

impl OutlierJudge {
    /// Compares members if the interval is over, unless another thread does so already.
    #[cold]
    pub(super) fn evaluate(&self, now: Timestamp) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let Some(mut state) = self.state.try_lock() else {
            return;
        };
        if state.is_stopped || !self.is_due(now) {
            return;
        }
        let lasted = now.since(state.interval_began);
        state.interval_began = now;
        let ends = (now + self.settings.interval).as_nanos();
        self.interval_ends.store(ends, Relaxed);
        let intervals = lasted.as_nanos() / self.settings.interval.as_nanos().max(1);
        let tallies = Arc::clone(&self.tallies.load());
        let present = || {
            tallies
                .iter()
                .flatten()
                .filter(|it| is_there(&roster, it.id))
        };
        let mut counts = HistogramCounts::new();
        let (mut members, mut by_response, mut local, mut medians) =
            (vec![], vec![], vec![], vec![]);
        for tally in present() {
            let (responses, connections) = tally.drain(&mut counts);
            if tally.state() != TallyState::Serving {
                continue;
            }
            members.push(tally);
            by_response.push(responses);
            local.push(connections);
            if self.settings.slow_members.is_some() {
                medians.push((counts.total(), counts.median()));
            }
        }
        // Counts from before a pause are outdated.
        let mut outliers: Vec<Outlier> = Vec::new();
        if intervals < 2 {
            let settings = &self.settings;
            for volumes in [&by_response, &local] {
                outliers.extend(
                    settings
                        .success_rate
                        .iter()
                        .flat_map(|&it| by_success_rate(volumes, it)),
                );
                outliers.extend(
                    settings
                        .failure_percentage
                        .iter()
                        .flat_map(|&it| by_failures(volumes, it)),
                );
            }
            if let Some(with) = settings.slow_members {
                let (slow, threshold) = by_time(&medians, with);
                outliers.extend(slow);
                if let Some(threshold) = threshold {
                    self.slow_from_micros.store(threshold, Relaxed);
                }
            }
        }
        let mut found: Vec<MemberId> = outliers
            .iter()
            .map(|&(number, _)| members[number].id)
            .collect();
        found.sort_unstable();
        self.handle_missed_ends(&mut state, &roster);
        self.restore(&mut state, &roster, &found);
        state.ledger.decay(now, self.settings.interval);
        self.widen_trials(&mut state, now);
        // An ejection that was refused while most members were unhealthy may be granted
        // now.
        let overdue = members.iter().filter_map(|tally| {
            let signal = tally.overdue(&self.settings.runs)?;
            Some((&***tally, signal))
        });
        let outliers = outliers.iter();
        let outliers = outliers.map(|&(number, signal)| (&**members[number], signal));
        let asked: Vec<_> = overdue.chain(outliers).collect();
        self.eject_all(&mut state, &roster, &asked, &found);
        self.update_busy(&state);
        drop(state);
        self.execute_commands();
    }

    /// Admits more requests to a member whose trial takes longer than its ejection did.
    fn widen_trials(&self, state: &mut DetectorState, now: Timestamp) {
        let DetectorState {
            ledger,
            limits,
            commands,
            ..
        } = state;
        for (member, requests) in ledger.on_trial(now, self.settings.interval) {
            let trial = limits.get_mut(&member);
            if let Some(trial) = trial.filter(|trial| trial.tries < requests) {
                trial.tries = requests;
                let command = BalancerCommand::Limit(trial.limit.clone(), Some(trial.most()));
                commands.push_back(command);
            }
        }
    }

    /// Handles ejections whose end was not observed.
    fn handle_missed_ends(&self, state: &mut DetectorState, roster: &Roster) {
        let out: Vec<_> = state.reasons.keys().copied().collect();
        for member in out {
            if !is_there(roster, member) {
                state.ledger.remove(member);
                self.serve(state, member);
            } else if !is_ejected(roster, member) {
                self.recover(state, member, 0);
            }
        }
    }
}
