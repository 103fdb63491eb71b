//! How what was decided is done to the balancer: in order, by one thread at a time, and without
//! a lock.
//!
//! What does not live here: the decisions (`judge.rs`).

use std::time::Duration;

use super::desk::Order;
use super::judge::{Judge, is_ejected};
use super::ledger::Stage;
use super::signals::Signal;
use crate::member::{Cause, MemberId};

impl Judge {
    /// Carries out what was ordered, unless another thread is at it: that sees it, too.
    pub(super) fn act(&self) {
        while let Some(order) = self.next_order() {
            // Also if an observer panics that is told of it.
            let _acting = Acting(self);
            self.carry_out(order);
        }
    }

    fn next_order(&self) -> Option<Order> {
        let mut desk = self.desk.lock();
        if desk.is_acting {
            return None;
        }
        let order = desk.orders.pop_front();
        desk.is_acting = order.is_some();
        order
    }

    fn carry_out(&self, order: Order) {
        match order {
            Order::Open(limit) => {
                if let Some(limit) = limit.upgrade() {
                    limit.set(None);
                }
            }
            Order::EndEjection(member) => self.group.end_ejection(member),
            Order::Eject(member, time, signal) => self.carry_out_ejection(member, time, signal),
        }
    }

    fn carry_out_ejection(&self, member: MemberId, time: Duration, signal: Signal) {
        let is_tried = self.settings.terms.trial;
        let limit = is_tried.then(|| self.group.trial_limit(member)).flatten();
        {
            let mut desk = self.desk.lock();
            if !matches!(
                desk.ledger.stage(member),
                Stage::Away { is_done: false, .. }
            ) {
                // It was given back before it was out.
                return;
            }
            if let Some(limit) = &limit {
                desk.limits.insert(member, limit.downgrade());
            }
        }
        if let Some(limit) = limit {
            // Before the ejection, so that it holds when that ends.
            limit.set(Some(1));
        }
        let cause = Cause::from(signal.to_string());
        let is_there = {
            // Also if an observer panics that is told of it.
            let _ejected = Ejected(self, member);
            self.group.eject(member, time, cause)
        };
        let roster = self.group.roster();
        let mut desk = self.desk.lock();
        let is_out = matches!(desk.ledger.stage(member), Stage::Away { .. });
        match roster {
            Some(roster) if is_there && is_out => {
                if !is_ejected(&roster, member) {
                    // It has been ended meanwhile.
                    self.recover(&mut desk, member, 0);
                }
            }
            // It was given back meanwhile, which is carried out after this.
            Some(_) if is_there => {}
            Some(_) | None => {
                desk.ledger.remove(member);
                self.serve(&mut desk, member);
            }
        }
    }
}

/// Notes that the balancer has ejected a member.
struct Ejected<'j>(&'j Judge, MemberId);

impl Drop for Ejected<'_> {
    fn drop(&mut self) {
        self.0.desk.lock().ledger.ejected(self.1);
    }
}

/// Lets others act if this thread unwinds.
struct Acting<'j>(&'j Judge);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.desk.lock().is_acting = false;
    }
}
