//! What is going to happen, in the order of time: [`EventQueue`].
//!
//! Not here: arrivals, of which only the next one is known (`arrivals`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An event of the simulation; members, servers and failures are given by their indices.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Upcoming {
    /// A server has done its work, if that has not been planned anew since.
    Done { member: u32, server: u32 },
    /// A failing member answers.
    Fails { failure: u32 },
    /// The feedback is called.
    Interval,
    /// A member stalls.
    Stalls { member: u32 },
}

/// Events at equal times happen in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    heap: BinaryHeap<Reverse<(u64, u64, Upcoming)>>,
    added: u64,
}

impl EventQueue {
    /// Adds an event at a time in nanoseconds.
    #[inline]
    pub(super) fn add(&mut self, at: u64, upcoming: Upcoming) {
        self.heap.push(Reverse((at, self.added, upcoming)));
        self.added += 1;
    }

    /// Returns the time of the next event.
    #[inline]
    pub(super) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Removes the next event.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(u64, Upcoming)> {
        self.heap.pop().map(|Reverse((at, _, what))| (at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::{EventQueue, Upcoming};

    #[test]
    fn events_at_one_time_happen_in_the_order_of_their_addition() {
        let mut queue = EventQueue::default();
        queue.add(5, Upcoming::Stalls { member: 1 });
        queue.add(5, Upcoming::Interval);
        queue.add(4, Upcoming::Fails { failure: 0 });
        assert_eq!(queue.next_at(), Some(4));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(
            order,
            [
                (4, Upcoming::Fails { failure: 0 }),
                (5, Upcoming::Stalls { member: 1 }),
                (5, Upcoming::Interval),
            ]
        );
    }
}
