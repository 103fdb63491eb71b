//! How what was decided is done to the balancer: in order, by one thread at a time, and without
//! a lock.
//!
//! What does not live here: the decisions (`judge.rs`).

use std::time::Duration;

use super::desk::{BalancerCommand, DetectorState, TrialLimit};
use super::judge::{OutlierJudge, is_ejected};
use super::ledger::{EjectionStage, Ledger};
use super::signals::Signal;
use crate::health::by_slot::is_there;
use crate::member::{Cause, MemberId, MemberState};

impl OutlierJudge {
    /// Carries out what was ordered, unless another thread is at it: that sees it, too.
    pub(super) fn act(&self) {
        while let Some(order) = self.next_order() {
            // Also if an observer panics that is told of it.
            let _acting = Acting(self);
            self.carry_out(order);
        }
    }

    fn next_order(&self) -> Option<BalancerCommand> {
        let mut desk = self.desk.lock();
        if desk.is_acting {
            return None;
        }
        let order = desk.orders.pop_front();
        desk.is_acting = order.is_some();
        order
    }

    fn carry_out(&self, order: BalancerCommand) {
        match order {
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
            let mut desk = self.desk.lock();
            let is_due = |ledger: &Ledger<MemberId>, member| {
                matches!(
                    ledger.stage(member),
                    EjectionStage::Away { is_done: false, .. }
                )
            };
            // Some may have been given back before they were out.
            ejections.retain(|&(member, ..)| is_due(&desk.ledger, member));
            limits.retain(|limit| is_due(&desk.ledger, limit.member().id()));
            for limit in &limits {
                let trial = TrialLimit {
                    limit: limit.downgrade(),
                    older: 0,
                    tries: 1,
                };
                desk.limits.insert(limit.member().id(), trial);
            }
        }
        for limit in limits {
            // Before the ejection, so that it holds when that ends.
            limit.set(Some(1));
        }
        // Also if an observer panics that is told of it.
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

    /// A request that began before the ejection of its member has ended.
    #[cold]
    pub(super) fn ended_older(&self, member: &MemberState) {
        let mut desk = self.desk.lock();
        let id = member.id();
        match desk.ledger.stage(id) {
            // While it is out, nothing new begins: all of these began before.
            EjectionStage::Away { is_done: true, .. } => {
                let in_flight = member.in_flight();
                Self::note_older(&mut desk, id, |_| in_flight);
            }
            EjectionStage::Trial { .. } => {
                Self::note_older(&mut desk, id, |older| older.saturating_sub(1))
            }
            EjectionStage::Away { .. } | EjectionStage::Serving => {}
        }
        drop(desk);
        self.act();
    }

    fn note_older(desk: &mut DetectorState, member: MemberId, change: impl FnOnce(u32) -> u32) {
        let Some(trial) = desk.limits.get_mut(&member) else {
            return;
        };
        let before = trial.older;
        trial.older = change(before);
        if trial.older != before {
            let order = BalancerCommand::Limit(trial.limit.clone(), Some(trial.most()));
            desk.orders.push_back(order);
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
        let mut desk = self.judge.desk.lock();
        for &member in &self.members {
            desk.ledger.ejected(member);
            if let Some(seat) = roster.as_ref().and_then(|it| it.seat(member.slot())) {
                // Before the look at whether it is out: while it is, nothing new begins.
                let in_flight = seat.state.in_flight();
                OutlierJudge::note_older(&mut desk, member, |_| in_flight);
            }
            let is_there = roster.as_ref().is_some_and(|it| is_there(it, member));
            let is_out = roster.as_ref().is_some_and(|it| is_ejected(it, member));
            if !is_there {
                desk.ledger.remove(member);
                self.judge.serve(&mut desk, member);
            } else if !is_out {
                // It has been ended meanwhile.
                self.judge.recover(&mut desk, member, 0);
            }
        }
        // What fell ill after it was counted, and before it was known that a member is out, has
        // been told of in vain.
        if let Some(roster) = &roster {
            self.judge.mend(&mut desk, roster, &[]);
        }
    }
}

/// Lets others act if this thread unwinds.
struct Acting<'j>(&'j OutlierJudge);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.desk.lock().is_acting = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::group::WatchedBalancer;
    use super::super::judge::OutlierJudge;
    use super::super::settings::OutlierSettings;
    use super::super::verdict::{Evidence, FailureKind};
    use crate::balancer::{Balancer, LearnedLimit, WeakBalancer};
    use crate::member::{Cause, Flag, MemberId, MemberSpec};
    use crate::random::Random;
    use crate::snapshot::Roster;

    /// A group whose other member falls ill, of which the detector is not told, just before one
    /// is ejected.
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
    }

    #[test]
    fn a_member_is_back_if_the_last_other_one_falls_ill_while_it_is_ejected() {
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
            let failed = Evidence::Failed(FailureKind::Answered);
            let runs = &judge.settings.runs;
            judge.with_tally(member.id(), |tally| tally.take(failed, runs));
        }
        judge.trip(member.id());
        assert!(member.status().is_usable(), "{}", member.health());
        assert_eq!(member.learned_limit(), None);
    }
}
