//! Joining and leaving the lists of waiters, with the flags that show the ends of requests
//! that there are waiters.

use std::task::Waker;

use super::queue::Ticket;
use crate::balancer::attention::{LINE, WATCHERS};
use crate::balancer::shared::Shared;

impl Shared {
    pub(super) fn join_line(&self, waker: &Waker) -> Ticket {
        let first = || self.attention.set(LINE, true);
        self.waiting.join_line(waker, first)
    }

    pub(super) fn is_first(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.waiting.is_first(ticket, waker)
    }

    pub(super) fn leave_line(&self, ticket: Ticket) {
        let last = || self.attention.set(LINE, false);
        self.waiting.leave_line(ticket, last);
    }

    pub(super) fn watch(&self, ticket: Option<Ticket>, waker: &Waker) -> Ticket {
        let on = || self.attention.set(WATCHERS, true);
        self.waiting.watch(ticket, waker, on)
    }

    pub(super) fn unwatch(&self, ticket: Ticket) {
        let off = || self.attention.set(WATCHERS, false);
        self.waiting.unwatch(ticket, off);
    }
}
