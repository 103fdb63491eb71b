//! Who waits: a line that is served in order, and watchers that are told of every
//! change. Only the lists are here; the futures are in `wait`.

use std::collections::VecDeque;
use std::task::Waker;

use crate::balancer::hub::{Hub, LINE, WATCHERS};
use crate::sync::{Mutex, next_ticket};

/// One that waits, until its ticket is given back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    waker: Waker,
}

#[derive(Debug, Default)]
pub(in crate::balancer) struct Waiting {
    line: Mutex<VecDeque<Waiter>>,
    watchers: Mutex<Vec<Waiter>>,
}

impl Waiting {
    /// Joins the line at its end; `first` runs before anybody else can look at it.
    fn join_line(&self, waker: &Waker, first: impl FnOnce()) -> Ticket {
        let mut line = self.line.lock();
        let ticket = Ticket(next_ticket());
        line.push_back(Waiter {
            ticket,
            waker: waker.clone(),
        });
        first();
        ticket
    }

    /// Renews the waker; tells whether the ticket is the first in line.
    fn is_first(&self, ticket: Ticket, waker: &Waker) -> bool {
        let mut line = self.line.lock();
        let place = line.iter().position(|waiter| waiter.ticket == ticket);
        if let Some(waiter) = place.and_then(|at| line.get_mut(at)) {
            if !waiter.waker.will_wake(waker) {
                waiter.waker = waker.clone();
            }
        }
        place == Some(0)
    }

    /// Leaves the line and passes on what may have been this one's wake; `last` runs
    /// if nobody is left, before anybody else can join.
    fn leave_line(&self, ticket: Ticket, last: impl FnOnce()) {
        let next = {
            let mut line = self.line.lock();
            line.retain(|waiter| waiter.ticket != ticket);
            if line.is_empty() {
                last();
            }
            line.front().map(|waiter| waiter.waker.clone())
        };
        if let Some(next) = next {
            next.wake();
        }
    }

    pub(in crate::balancer) fn wake_front(&self) {
        let front = self.line.lock().front().map(|waiter| waiter.waker.clone());
        if let Some(front) = front {
            front.wake();
        }
    }

    fn watch(&self, ticket: Option<Ticket>, waker: &Waker, on: impl FnOnce()) -> Ticket {
        let mut watchers = self.watchers.lock();
        let known = watchers
            .iter_mut()
            .find(|watcher| Some(watcher.ticket) == ticket);
        if let Some(known) = known {
            known.waker.clone_from(waker);
            return known.ticket;
        }
        let ticket = Ticket(next_ticket());
        watchers.push(Waiter {
            ticket,
            waker: waker.clone(),
        });
        on();
        ticket
    }

    fn unwatch(&self, ticket: Ticket, off: impl FnOnce()) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|watcher| watcher.ticket != ticket);
        if watchers.is_empty() {
            off();
        }
    }

    pub(in crate::balancer) fn wake_watchers(&self) {
        let wakers: Vec<Waker> = {
            let watchers = self.watchers.lock();
            watchers
                .iter()
                .map(|watcher| watcher.waker.clone())
                .collect()
        };
        for waker in wakers {
            waker.wake();
        }
    }
}

/// A flag is up while its list is not empty: it changes under the list's lock.
impl Hub {
    /// Joins the line at its end.
    pub(super) fn join_line(&self, waker: &Waker) -> Ticket {
        self.waiting.join_line(waker, || self.attend(LINE, true))
    }

    /// Renews the waker; tells whether the ticket is the first in line.
    pub(super) fn is_first(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.waiting.is_first(ticket, waker)
    }

    pub(super) fn leave_line(&self, ticket: Ticket) {
        self.waiting.leave_line(ticket, || self.attend(LINE, false));
    }

    /// Watches for changes; a ticket that is held already is renewed.
    pub(super) fn watch(&self, ticket: Option<Ticket>, waker: &Waker) -> Ticket {
        self.waiting
            .watch(ticket, waker, || self.attend(WATCHERS, true))
    }

    pub(super) fn unwatch(&self, ticket: Ticket) {
        self.waiting
            .unwatch(ticket, || self.attend(WATCHERS, false));
    }
}
