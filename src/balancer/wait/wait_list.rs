//! The waiting requests: a line that is served in order, and watchers that are notified of
//! every change. Only the lists are here; the futures are in `wait`.
//!
//! A waker runs code of its executor when it is cloned, woken or dropped, and that code may
//! wait here itself. So a waker is cloned before a lock is taken, and taken out under the
//! lock to be woken or dropped after it. A waiter that was woken has no waker until it is
//! polled: it registers again before it checks.

use std::mem;
use std::task::Waker;

use super::queue::{Queue, Ticket};
use crate::sync::Mutex;

/// The line, and what watches for changes.
#[derive(Debug, Default)]
pub(in crate::balancer) struct WaitList {
    line: Mutex<Queue>,
    watchers: Mutex<Queue>,
}

impl WaitList {
    /// Returns how many requests are in line.
    pub(in crate::balancer) fn in_line(&self) -> usize {
        self.line.lock().len()
    }

    /// Joins the line at its end; `first` runs before any other code can read the line.
    pub(super) fn join_line(&self, waker: &Waker, first: impl FnOnce()) -> Ticket {
        let waker = waker.clone();
        let mut line = self.line.lock();
        let ticket = line.push(Some(waker));
        first();
        ticket
    }

    /// Registers again; returns whether the ticket is the first in line.
    pub(super) fn is_first(&self, ticket: Ticket, waker: &Waker) -> bool {
        // Swapped with the former waker, which is dropped after the lock.
        let mut waker = Some(waker.clone());
        let mut line = self.line.lock();
        if let Some(place) = line.waker_mut(ticket) {
            mem::swap(place, &mut waker);
        }
        line.is_front(ticket)
    }

    /// Leaves the line and passes on a wake that may have been meant for this ticket;
    /// `last` runs if the line is empty then, before another request can join.
    pub(super) fn leave_line(&self, ticket: Ticket, last: impl FnOnce()) {
        let (next, left) = {
            let mut line = self.line.lock();
            let was_front = line.is_front(ticket);
            let left = line.remove(ticket);
            if line.is_empty() {
                last();
            }
            let next = if was_front { line.take_front() } else { None };
            (next, left)
        };
        if let Some(next) = next {
            next.wake();
        }
        drop(left);
    }

    pub(in crate::balancer) fn wake_front(&self) {
        let front = self.line.lock().take_front();
        if let Some(front) = front {
            front.wake();
        }
    }

    /// Registers a watcher, for the first time or again.
    pub(super) fn watch(&self, ticket: Option<Ticket>, waker: &Waker, on: impl FnOnce()) -> Ticket {
        // Swapped with the former waker, which is dropped after the lock.
        let mut waker = Some(waker.clone());
        let mut watchers = self.watchers.lock();
        let known = ticket.and_then(|ticket| Some((ticket, watchers.waker_mut(ticket)?)));
        if let Some((ticket, place)) = known {
            mem::swap(place, &mut waker);
            return ticket;
        }
        let ticket = watchers.push(waker.take());
        on();
        ticket
    }

    pub(super) fn unwatch(&self, ticket: Ticket, off: impl FnOnce()) {
        let left = {
            let mut watchers = self.watchers.lock();
            let left = watchers.remove(ticket);
            if watchers.is_empty() {
                off();
            }
            left
        };
        drop(left);
    }

    pub(in crate::balancer) fn wake_watchers(&self) {
        let wakers = self.watchers.lock().take_all();
        for waker in wakers {
            waker.wake();
        }
    }
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{Ticket, WaitList};
    use crate::random::Random;
    use crate::sync::{AtomicU32, SeqCst};
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn whatever_joins_and_leaves_the_line_serves_in_the_order_of_joining() {
        let (waiting, random) = (WaitList::default(), Random::seeded(7));
        let mut model: VecDeque<Ticket> = VecDeque::new();
        let (mut firsts, mut lasts) = (0, 0);
        for _ in 0..20_000 {
            if model.is_empty() || random.below(100) < 51 {
                model.push_back(waiting.join_line(Waker::noop(), || firsts += 1));
            } else {
                #[expect(clippy::cast_possible_truncation, reason = "an index")]
                let at = random.below(model.len() as u64) as usize;
                let leaving = model.remove(at).unwrap();
                waiting.leave_line(leaving, || lasts += 1);
                assert!(!waiting.is_first(leaving, Waker::noop()), "it has left");
            }
            for (at, &ticket) in model.iter().enumerate().take(2) {
                assert_eq!(waiting.is_first(ticket, Waker::noop()), at == 0);
            }
        }
        for &ticket in &model {
            waiting.leave_line(ticket, || lasts += 1);
        }
        assert!(firsts > 10_000);
        assert!(
            (1..100).contains(&lasts),
            "it is called when the line is empty, and only then"
        );
    }

    #[test]
    fn a_waiter_is_woken_once_until_it_registers_again() {
        let waiting = WaitList::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let first = waiting.join_line(&waker, || {});
        waiting.wake_front();
        waiting.wake_front();
        assert_eq!(count.0.load(SeqCst), 1);
        assert!(waiting.is_first(first, &waker));
        waiting.wake_front();
        assert_eq!(count.0.load(SeqCst), 2);
    }

    #[test]
    fn only_the_first_in_line_passes_a_wake_on_as_it_leaves() {
        let waiting = WaitList::default();
        let count = Arc::new(Count::default());
        let joined = [(); 3].map(|()| waiting.join_line(&Waker::from(count.clone()), || {}));
        waiting.leave_line(joined[1], || {});
        assert_eq!(count.0.load(SeqCst), 0);
        waiting.leave_line(joined[0], || {});
        assert_eq!(count.0.load(SeqCst), 1);
    }
}
