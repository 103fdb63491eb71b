//! Wakes the futures that apply timed changes when something becomes due sooner than they
//! expect: [`Keepers`].
//!
//! Not here: what such a future does (`keeper.rs`).

use std::mem;
use std::task::Waker;

use super::queue::{Queue, Ticket};
use crate::sync::{AtomicU64, Mutex, SeqCst};

/// There is no keeper: nothing is due sooner than this.
const NONE: u64 = 0;

/// The futures that apply the timed changes of one balancer.
pub(in crate::balancer) struct Keepers {
    wakers: Mutex<Queue>,
    /// The next time that a keeper has seen to be due, in nanoseconds of the clock, or
    /// [`NONE`]. SeqCst: a keeper writes it and then reads `due` again, while a change
    /// writes `due` and then reads this: one of the two sees the other.
    expected: AtomicU64,
}

impl Keepers {
    pub(in crate::balancer) fn new() -> Self {
        Self {
            wakers: Mutex::new(Queue::default()),
            expected: AtomicU64::new(NONE),
        }
    }

    pub(super) fn register(&self, ticket: Option<Ticket>, waker: &Waker) -> Ticket {
        // Swapped with the former waker, which is dropped after the lock.
        let mut waker = Some(waker.clone());
        let mut wakers = self.wakers.lock();
        if let Some(ticket) = ticket {
            if let Some(place) = wakers.waker_mut(ticket) {
                mem::swap(place, &mut waker);
                return ticket;
            }
        }
        wakers.push(waker.take())
    }

    /// Removes the waker of a keeper that is awake.
    pub(super) fn withdraw(&self, ticket: Option<Ticket>) {
        let Some(ticket) = ticket else {
            return;
        };
        let waker = {
            let mut wakers = self.wakers.lock();
            wakers.waker_mut(ticket).and_then(Option::take)
        };
        drop(waker);
    }

    /// Leaves the list. The others look again, as they may now have to wait for what this
    /// one expected.
    pub(super) fn leave(&self, ticket: Ticket) {
        let (left, others) = {
            let mut wakers = self.wakers.lock();
            let left = wakers.remove(ticket);
            if wakers.is_empty() {
                self.expected.store(NONE, SeqCst);
            }
            (left, wakers.take_all())
        };
        drop(left);
        wake(others);
    }

    /// Notes the next time that a keeper has seen to be due.
    pub(super) fn expect(&self, due: u64) {
        self.expected.store(due.max(NONE + 1), SeqCst);
    }

    /// Returns whether `due` is sooner than a keeper expects.
    pub(in crate::balancer) fn is_sooner(&self, due: u64) -> bool {
        due < self.expected.load(SeqCst)
    }

    pub(in crate::balancer) fn wake_all(&self) {
        let wakers = self.wakers.lock().take_all();
        wake(wakers);
    }
}

fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
