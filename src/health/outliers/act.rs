//! How what was decided is done to the balancer: in order, by one thread at a time, and without
//! a lock.
//!
//! What does not live here: the decisions (`judge.rs`).

use std::time::Duration;

use super::desk::BalancerCommand;
use super::judge::{OutlierJudge, is_ejected};
use super::ledger::{EjectionStage, Ledger};
use super::signals::Signal;
use crate::health::by_slot::is_there;
use crate::member::{Cause, MemberId};

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
            BalancerCommand::Open(limit) => {
                if let Some(limit) = limit.upgrade() {
                    limit.set(None);
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
                let weak = limit.downgrade();
                desk.limits.insert(limit.member().id(), weak);
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
    }
}

/// Lets others act if this thread unwinds.
struct Acting<'j>(&'j OutlierJudge);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.desk.lock().is_acting = false;
    }
}
