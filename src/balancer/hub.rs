//! What all members of one balancer share and what a lease needs when it ends: the
//! clock, the observer, the scheduler, and who is waiting.
//!
//! It knows no payload, so that a [`Guard`](super::Guard) can outlive it.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::waiting::{Ticket, Waiting};
use crate::clock::{Clock, Timestamp};
use crate::member::{Ended, MemberState, Status};
use crate::observer::Observer;
use crate::random::Random;
use crate::scheduler::{Needs, Scheduler};
use crate::snapshot::Seat;
use crate::sync::{AtomicU32, AtomicU64, Published, Relaxed, SeqCst};

/// The scheduler wants to hear of ends.
const ENDS: u32 = 1;
/// Somebody stands in line for a member.
const LINE: u32 = 2;
/// Somebody watches for a change.
const WATCHERS: u32 = 4;
/// There is an observer.
const OBSERVER: u32 = 8;

/// The picture is out of date.
const DIRTY: u64 = 0;
/// Nothing is due.
const NEVER: u64 = u64::MAX;

pub(super) struct Hub {
    pub(super) clock: Box<dyn Clock>,
    pub(super) random: Random,
    pub(super) observer: Option<Box<dyn Observer>>,
    pub(super) forced_recovery: bool,
    /// The scheduler, for the end of requests; picks find it in their view.
    scheduler: Published<Arc<dyn Scheduler>>,
    /// When the picture must be renewed, in nanoseconds of the clock. SeqCst: it is
    /// written after the fact that makes it due, and cleared before facts are read.
    due: AtomicU64,
    /// What an end has to care for, as bits. SeqCst, as the counters: either who ends
    /// sees who waits, or who waits sees that it has ended.
    attention: AtomicU32,
    waiting: Waiting,
}

impl Hub {
    pub(super) fn new(
        clock: Box<dyn Clock>,
        random: Random,
        observer: Option<Box<dyn Observer>>,
        forced_recovery: bool,
        scheduler: Arc<dyn Scheduler>,
    ) -> Self {
        let attention = if observer.is_some() { OBSERVER } else { 0 };
        let hub = Self {
            clock,
            random,
            observer,
            forced_recovery,
            scheduler: Published::new(scheduler.clone()),
            due: AtomicU64::new(NEVER),
            attention: AtomicU32::new(attention),
            waiting: Waiting::default(),
        };
        hub.set_scheduler(scheduler);
        hub
    }

    pub(super) fn set_scheduler(&self, scheduler: Arc<dyn Scheduler>) {
        let ends = scheduler.needs().contains(Needs::ENDED);
        self.scheduler.store(scheduler);
        self.attend(ENDS, ends);
    }

    /// What has to be measured, for the scheduler and the observer together.
    pub(super) fn needs(&self, scheduler: &dyn Scheduler) -> Needs {
        let observer = self.observer.as_ref();
        if observer.is_some_and(|observer| observer.wants_elapsed()) {
            scheduler.needs().and(Needs::ELAPSED)
        } else {
            scheduler.needs()
        }
    }

    fn attend(&self, bit: u32, on: bool) {
        if on {
            self.attention.fetch_or(bit, SeqCst);
        } else {
            self.attention.fetch_and(!bit, SeqCst);
        }
    }

    /// Tells whether the picture must be renewed. The clock is read only while
    /// something is due at all.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        // Relaxed: a hint; a pick that misses it works on the picture before, and
        // still elects nobody unusable.
        let due = self.due.load(Relaxed);
        due != NEVER && (due == DIRTY || self.clock.now().as_nanos() >= due)
    }

    pub(super) fn make_due(&self) {
        self.due.store(DIRTY, SeqCst);
    }

    /// Takes up the renewal: facts that are noted from here on make it due again.
    pub(super) fn begin_renewal(&self) {
        self.due.swap(NEVER, SeqCst);
    }

    pub(super) fn end_renewal(&self, next: Option<Timestamp>) {
        if let Some(next) = next {
            self.due.fetch_min(next.as_nanos().max(DIRTY + 1), SeqCst);
        }
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.load(SeqCst);
        (due != NEVER).then(|| Timestamp::from_nanos(due))
    }

    /// Settles what follows from an end, after the count has been given back.
    #[inline]
    pub(super) fn ended(&self, seat: &Seat, before: u32, ended: impl FnOnce() -> Ended) {
        let attention = self.attention.load(SeqCst);
        let room = before == seat.state.max_in_flight();
        if attention != 0 || room {
            self.tell_end(seat, attention, before == 1, room, &ended());
        }
    }

    #[inline(never)]
    fn tell_end(&self, seat: &Seat, attention: u32, idle: bool, room: bool, ended: &Ended) {
        if room || attention & ENDS != 0 {
            let scheduler = self.scheduler.load();
            if attention & ENDS != 0 {
                scheduler.on_ended(&seat.state, ended);
            }
            if room {
                scheduler.on_room(&seat.state);
            }
        }
        if room && attention & LINE != 0 {
            self.waiting.wake_front();
        }
        if (room || idle) && attention & WATCHERS != 0 {
            self.waiting.wake_watchers();
        }
        if let Some(observer) = &self.observer {
            observer.ended(&seat.state, ended);
        }
    }

    /// A claim was given back that never became a lease.
    pub(super) fn dropped(&self, seat: &Seat, before: u32) {
        if before == seat.state.max_in_flight() {
            self.scheduler.load().on_room(&seat.state);
            self.waiting.wake_front();
        }
    }

    /// Tells whether somebody stands in line.
    #[inline]
    pub(super) fn has_line(&self) -> bool {
        self.attention.load(SeqCst) & LINE != 0
    }

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

    /// Wakes whoever may profit from a change of the membership.
    pub(super) fn wake_after_change(&self) {
        let attention = self.attention.load(SeqCst);
        if attention & LINE != 0 {
            self.waiting.wake_front();
        }
        if attention & WATCHERS != 0 {
            self.waiting.wake_watchers();
        }
    }

    /// Puts a member in error because of a request.
    pub(super) fn put_in_error(&self, state: &MemberState) {
        let Some((before, after)) = state.put_in_error(self.clock.now()) else {
            return;
        };
        self.make_due();
        if let Some(observer) = &self.observer {
            self.tell_status(state, before, after);
            observer.ejected(state);
        }
    }

    pub(super) fn tell_status(&self, state: &MemberState, before: Status, after: Status) {
        if let Some(observer) = &self.observer {
            if before != after {
                observer.status_changed(state, before, after);
            }
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("clock", &self.clock)
            .field("observer", &self.observer)
            .field("forced_recovery", &self.forced_recovery)
            .finish_non_exhaustive()
    }
}
