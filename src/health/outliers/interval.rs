//! What is compared at the end of an interval, and set right.
//!
//! What does not live here: the comparisons themselves (`statistics.rs`).

use std::sync::Arc;

use super::desk::{BalancerCommand, DetectorState};
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
    /// Compares members if the interval is over; a thread that does so already is enough.
    #[cold]
    pub(super) fn evaluate(&self, now: Timestamp) {
        let Some(roster) = self.group.roster() else {
            return;
        };
        let Some(mut desk) = self.desk.try_lock() else {
            return;
        };
        if desk.is_stopped || !self.is_due(now) {
            return;
        }
        let lasted = now.since(desk.interval_began);
        desk.interval_began = now;
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
        let (mut members, mut answered, mut local, mut medians) = (vec![], vec![], vec![], vec![]);
        for tally in present() {
            let (answers, connections) = tally.drain(&mut counts);
            if tally.standing() != TallyState::Serving {
                continue;
            }
            members.push(tally);
            answered.push(answers);
            local.push(connections);
            if self.settings.slow_members.is_some() {
                medians.push((counts.total(), counts.median()));
            }
        }
        // What was counted before a pause tells nothing of today.
        let mut outliers: Vec<Outlier> = Vec::new();
        if intervals < 2 {
            let settings = &self.settings;
            for volumes in [&answered, &local] {
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
                let (slow, line) = by_time(&medians, with);
                outliers.extend(slow);
                if let Some(line) = line {
                    self.slow_line.store(line, Relaxed);
                }
            }
        }
        let mut found: Vec<MemberId> = outliers
            .iter()
            .map(|&(number, _)| members[number].id)
            .collect();
        found.sort_unstable();
        self.notice_missed(&mut desk, &roster);
        self.mend(&mut desk, &roster, &found);
        desk.ledger.decay(now, self.settings.interval);
        self.widen_trials(&mut desk, now);
        // What was refused while most were ill may be granted now.
        let overdue = members.iter().filter_map(|tally| {
            let signal = tally.overdue(&self.settings.runs)?;
            Some((&***tally, signal))
        });
        let outliers = outliers.iter();
        let outliers = outliers.map(|&(number, signal)| (&**members[number], signal));
        let asked: Vec<_> = overdue.chain(outliers).collect();
        self.eject_all(&mut desk, &roster, &asked, &found);
        self.note_busy(&desk);
        drop(desk);
        self.act();
    }

    /// Lets more requests try a member whose trial takes longer than its ejection did.
    fn widen_trials(&self, desk: &mut DetectorState, now: Timestamp) {
        let DetectorState {
            ledger,
            limits,
            orders,
            ..
        } = desk;
        for (member, requests) in ledger.on_trial(now, self.settings.interval) {
            let trial = limits.get_mut(&member);
            if let Some(trial) = trial.filter(|trial| trial.tries < requests) {
                trial.tries = requests;
                let command = BalancerCommand::Limit(trial.limit.clone(), Some(trial.most()));
                orders.push_back(command);
            }
        }
    }

    /// Ejections that ended unnoticed.
    fn notice_missed(&self, desk: &mut DetectorState, roster: &Roster) {
        let out: Vec<_> = desk.reasons.keys().copied().collect();
        for member in out {
            if !is_there(roster, member) {
                desk.ledger.remove(member);
                self.serve(desk, member);
            } else if !is_ejected(roster, member) {
                self.recover(desk, member, 0);
            }
        }
    }
}
