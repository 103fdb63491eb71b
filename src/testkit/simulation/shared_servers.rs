//! Servers that work on all requests at once: [`SharedServers`].

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::held_request::{HeldRequest, PlannedEnd, ServerEnd};
use super::whole_nanos;

/// The servers of a member that share their time equally among all requests; none gets more
/// than one server (processor sharing). Times are in nanoseconds.
///
/// All requests receive service at the same rate. So it is enough to know how much service
/// one has received that was there all the time, and at which amount each request is done.
#[derive(Debug)]
pub(super) struct SharedServers {
    servers: f64,
    held: BinaryHeap<Reverse<SharedRequest>>,
    /// What each has received, as of `updated`.
    received: f64,
    updated: u64,
    stalled_until: u64,
    /// The number of the end that is planned; all earlier ones are void.
    plan: u32,
    added: u64,
}

#[derive(Debug)]
struct SharedRequest {
    held: HeldRequest,
    /// It is done when this has been received.
    due: f64,
    /// Settles ties.
    order: u64,
}

impl SharedServers {
    pub(super) fn new(servers: u32) -> Self {
        Self {
            servers: f64::from(servers),
            held: BinaryHeap::new(),
            received: 0.0,
            updated: 0,
            stalled_until: 0,
            plan: 0,
            added: 0,
        }
    }

    #[inline]
    pub(super) fn in_flight(&self) -> usize {
        self.held.len()
    }

    /// Adds a request, which starts at once. The ends that were planned are void.
    pub(super) fn join(&mut self, held: HeldRequest, work: u64, now: u64) -> Option<PlannedEnd> {
        self.advance(now);
        self.held.push(Reverse(SharedRequest {
            held,
            due: self.received + work as f64,
            order: self.added,
        }));
        self.added += 1;
        self.next_end(now)
    }

    /// Ends the request that is done, if the end with this number is the one that is planned.
    pub(super) fn end(&mut self, plan: u32, now: u64) -> Option<ServerEnd> {
        if plan != self.plan {
            return None;
        }
        self.advance(now);
        let Reverse(done) = self.held.pop()?;
        if self.held.is_empty() {
            // Begins anew, so that the numbers stay small.
            self.received = 0.0;
        }
        Some(ServerEnd::Done(done.held, self.next_end(now)))
    }

    /// Lets all work stand still for a time. The ends that were planned are void.
    pub(super) fn stall(&mut self, now: u64, lasting: u64) -> Option<PlannedEnd> {
        self.advance(now);
        self.stalled_until = now.saturating_add(lasting);
        self.next_end(now)
    }

    /// Counts the service since the last change.
    fn advance(&mut self, now: u64) {
        let from = self.updated.max(self.stalled_until.min(now));
        self.received += now.saturating_sub(from) as f64 * self.rate();
        self.updated = now;
    }

    /// The service that each request receives per unit of time.
    fn rate(&self) -> f64 {
        let count = self.held.len().max(1) as f64;
        (self.servers / count).min(1.0)
    }

    fn next_end(&mut self, now: u64) -> Option<PlannedEnd> {
        let Reverse(first) = self.held.peek()?;
        let rest = (first.due - self.received).max(0.0) / self.rate();
        let at = now
            .max(self.stalled_until)
            .saturating_add(whole_nanos(rest));
        self.plan = self.plan.wrapping_add(1);
        Some(PlannedEnd {
            server: self.plan,
            at,
        })
    }
}

impl Ord for SharedRequest {
    fn cmp(&self, other: &Self) -> Ordering {
        let due = self.due.total_cmp(&other.due);
        due.then(self.order.cmp(&other.order))
    }
}

impl PartialOrd for SharedRequest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SharedRequest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SharedRequest {}
