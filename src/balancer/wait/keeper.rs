//! The part of a balancer that a future uses to apply timed changes: [`TimeKeeper`].
//!
//! Not here: any timer (`timer/timed_changes.rs`).

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::queue::Ticket;
use crate::balancer::Balancer;
use crate::balancer::agenda::Agenda;
use crate::balancer::shared::Shared;
use crate::balancer::weak::WeakBalancer;

/// How often a keeper looks again when something becomes due meanwhile, before it leaves
/// that to its next poll.
const LOOKS: usize = 2;

/// One future's handle of a balancer whose timed changes it applies; it does not keep the
/// balancer alive.
pub(crate) struct TimeKeeper<W> {
    balancer: WeakBalancer<W>,
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

/// What a keeper waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expected {
    /// Something becomes due after this time.
    After(Duration),
    /// The balancer is gone.
    Gone,
    /// Nothing is due; a change wakes the keeper.
    Nothing,
}

impl<W> TimeKeeper<W> {
    pub(crate) fn new(balancer: &Balancer<W>) -> Self {
        Self {
            balancer: balancer.downgrade(),
            shared: balancer.core.shared.clone(),
            ticket: None,
        }
    }

    /// Applies the balancer's changes that are due, and returns what is next; `waker` is
    /// woken when something becomes due sooner.
    pub(crate) fn look(&mut self, waker: &Waker) -> Expected {
        let shared = &self.shared;
        let Some(balancer) = self.balancer.upgrade() else {
            return Expected::Gone;
        };
        for _ in 0..LOOKS {
            // What it applies itself must not wake it.
            shared.keepers.withdraw(self.ticket);
            balancer.apply_timed_changes();
            // It registers first and then checks: a change in between wakes it. While it
            // checks, the balancer is alive.
            self.ticket = Some(shared.keepers.register(self.ticket, waker));
            let due = shared.agenda.due_nanos();
            shared.keepers.expect(due);
            if shared.agenda.due_nanos() < due || shared.is_due() {
                continue;
            }
            return match Agenda::time_of(due) {
                None => Expected::Nothing,
                Some(due) => Expected::After(due.since(balancer.now())),
            };
        }
        Expected::After(Duration::ZERO)
    }
}

impl<W> Drop for TimeKeeper<W> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.keepers.leave(ticket);
        }
    }
}

impl<W> fmt::Debug for TimeKeeper<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeKeeper").finish_non_exhaustive()
    }
}
