//! Carries out decisions on the balancer: in order, on one thread at a time, and without a
//! lock.
//!
//! Not here: the decisions (`judge.rs`).

use std::time::Duration;

use super::detector_state::{BalancerCommand, DetectorState, TrialLimit};
use super::judge::{OutlierJudge, is_ejected};
use super::ledger::{EjectionStage, Ledger};
use super::signals::Signal;
use crate::health::by_slot::is_there;
use crate::member::{Cause, MemberId, MemberState};

impl OutlierJudge {
    /// Carries out the queued commands, unless another thread does so already; that thread
    /// then carries out these, too.
    pub(super) fn execute_commands(&self) {
        while let Some(command) = self.next_command() {
            // Also if an observer panics.
            let _acting = Acting(self);
            self.carry_out(command);
        }
    }

    fn next_command(&self) -> Option<BalancerCommand> {
        let mut state = self.state.lock();
        if state.is_acting {
            return None;
        }
        let command = state.commands.pop_front();
        state.is_acting = command.is_some();
        command
    }

    fn carry_out(&self, command: BalancerCommand) {
        match command {
            BalancerCommand::Limit(limit, requests) => {
                if let Some(limit) = limit.upgrade() {
                    limit.set(requests);
                }
            }
            BalancerCommand::EndEjections(members) => self.group.end_ejections(&members),
            BalancerCommand::Eject(ejections) => self.carry_out_ejections(ejections),
        }
    }

    fn carry_out_ejections(&self, mut ejections: Vec<(MemberId, Duration, Signal)>) {
        let is_tried = self.settings.terms.trial;
        let limits = ejections.iter().filter(|_| is_tried);
        let limits = limits.filter_map(|&(member, ..)| self.group.trial_limit(member));
        let mut limits: Vec<_> = limits.collect();
        {
            let mut state = self.state.lock();
            let is_due = |ledger: &Ledger<MemberId>, member| {
                matches!(
                    ledger.stage(member),
                    EjectionStage::Ejected { is_done: false, .. }
                )
            };
            // Some may have been revoked before they were carried out.
            ejections.retain(|&(member, ..)| is_due(&state.ledger, member));
            limits.retain(|limit| is_due(&state.ledger, limit.member().id()));
            for limit in &limits {
                let trial = TrialLimit {
                    limit: limit.downgrade(),
                    older: 0,
                    tries: 1,
                };
                state.limits.insert(limit.member().id(), trial);
            }
        }
        for limit in limits {
            // Before the ejection, because it must hold when the ejection ends.
            limit.set(Some(1));
        }
        // Also if an observer panics.
        let carried = Carried {
            judge: self,
            members: ejections.iter().map(|&(member, ..)| member).collect(),
        };
        let with_causes = ejections.into_iter();
        let with_causes = with_causes.map(|(member, time, signal)| {
            let cause = Cause::from(signal.to_string());
            (member, time, cause)
        });
        self.group.eject(with_causes.collect());
        drop(carried);
    }

    /// Records the end of a request that began before the ejection of its member.
    #[cold]
    pub(super) fn ended_older(&self, member: &MemberState) {
        let mut state = self.state.lock();
        let id = member.id();
        match state.ledger.stage(id) {
            // While the member is out, no request starts: all of these began before.
            EjectionStage::Ejected { is_done: true, .. } => {
                let in_flight = member.in_flight();
                Self::update_trial_limit(&mut state, id, |_| in_flight);
            }
            EjectionStage::Trial { .. } => {
                Self::update_trial_limit(&mut state, id, |older| older.saturating_sub(1));
            }
            EjectionStage::Ejected { .. } | EjectionStage::Serving => {}
        }
        drop(state);
        self.execute_commands();
    }

    fn update_trial_limit(
        state: &mut DetectorState,
        member: MemberId,
        change: impl FnOnce(u32) -> u32,
    ) {
        let Some(trial) = state.limits.get_mut(&member) else {
            return;
        };
        let before = trial.older;
        trial.older = change(before);
        if trial.older != before {
            let command = BalancerCommand::Limit(trial.limit.clone(), Some(trial.most()));
            state.commands.push_back(command);
        }
    }
}

/// Ejections that the balancer has carried out when this is dropped.
struct Carried<'j> {
    judge: &'j OutlierJudge,
    members: Vec<MemberId>,
}

impl Drop for Carried<'_> {
    fn drop(&mut self) {
        let roster = self.judge.group.roster();
        let mut state = self.judge.state.lock();
        for &member in &self.members {
            state.ledger.ejected(member);
            if let Some(seat) = roster.as_ref().and_then(|it| it.seat(member.slot())) {
                // Before the check whether it is out: while it is out, no request starts.
                let in_flight = seat.state.in_flight();
                OutlierJudge::update_trial_limit(&mut state, member, |_| in_flight);
            }
            let is_there = roster.as_ref().is_some_and(|it| is_there(it, member));
            let is_out = roster.as_ref().is_some_and(|it| is_ejected(it, member));
            if !is_there {
                state.ledger.remove(member);
                self.judge.serve(&mut state, member);
            } else if !is_out {
                // It has been ended meanwhile.
                self.judge.recover(&mut state, member, 0);
            }
        }
        // Members that became unhealthy after the count, and before this ejection was
        // visible, were reported too early. Check again.
        if let Some(roster) = &roster {
            self.judge.restore(&mut state, roster, &[]);
        }
    }
}

/// Lets other threads act if this thread unwinds.
struct Acting<'j>(&'j OutlierJudge);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_acting = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::evidence::{Evidence, FailureKind};
    use super::super::judge::OutlierJudge;
    use super::super::settings::OutlierSettings;
    use super::super::watched_balancer::WatchedBalancer;
    use crate::balancer::{Balancer, LearnedLimit, WeakBalancer};
    use crate::member::{Cause, Flag, MemberId, MemberSpec};
    use crate::random::Random;
    use crate::snapshot::Roster;

    /// A group whose other member becomes unhealthy just before an ejection. The detector
    /// gets no event.
    struct Falling(WeakBalancer<()>);

    impl WatchedBalancer for Falling {
        fn eject(&self, members: Vec<(MemberId, Duration, Cause)>) {
            let balancer = self.0.upgrade().unwrap();
            balancer.set_flag("b", Flag::FailedCheck).unwrap();
            self.0.eject(members);
        }

        fn end_ejections(&self, members: &[MemberId]) {
            self.0.end_ejections(members);
        }

        fn trial_limit(&self, member: MemberId) -> Option<LearnedLimit> {
            self.0.trial_limit(member)
        }

        fn roster(&self) -> Option<Arc<Roster>> {
            self.0.roster()
        }

        fn generation(&self) -> u64 {
            self.0.generation()
        }
    }

    #[test]
    fn a_member_returns_if_the_last_other_one_fails_during_its_ejection() {
        let balancer = Balancer::builder()
            .forced_recovery(false)
            .members(["a", "b"].map(|name| (name, (), MemberSpec::new())))
            .build()
            .unwrap();
        let group = Box::new(Falling(balancer.downgrade()));
        let random = Random::seeded(1);
        let judge = OutlierJudge::new(OutlierSettings::new(), balancer.clock(), group, random);
        let member = balancer.member("a").unwrap();
        for _ in 0..5 {
            let failed = Evidence::Failed(FailureKind::ErrorResponse);
            let runs = &judge.settings.runs;
            judge.with_tally(member.id(), |tally| tally.take(failed, runs));
        }
        judge.trip(member.id());
        assert!(member.status().is_usable(), "{}", member.health());
        assert_eq!(member.learned_limit(), None);
    }
}
