//! What all members of one balancer share and what a lease needs when it ends: the
//! clock, the observer, the scheduler, and who is waiting.
//!
//! It knows no payload, so that a [`Guard`](super::Guard) can outlive it.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::editor::{Next, next_rescue};
use super::wait::Waiting;
use crate::clock::{Clock, Timestamp};
use crate::member::{Ended, MemberState, Status};
use crate::observer::Observer;
use crate::random::Random;
use crate::scheduler::{Needs, Scheduler};
use crate::snapshot::{Roster, Seat};
use crate::sync::{AtomicU32, AtomicU64, Published, Relaxed, SeqCst};

/// The scheduler wants to hear of ends.
const ENDS: u32 = 1;
/// Somebody stands in line for a member.
pub(super) const LINE: u32 = 2;
/// Somebody watches for a change.
pub(super) const WATCHERS: u32 = 4;
/// There is an observer.
const OBSERVER: u32 = 8;
/// Somebody was elected under a scheduler that is not the present one any more.
const READ_AGAIN: u32 = 16;
/// The flags above; the other bits count the changes of scheduler.
const FLAGS: u32 = 0xff;
const ONE_CHANGE: u32 = FLAGS + 1;

/// The picture is out of date.
const DIRTY: u64 = 0;
/// Nothing is due.
const NEVER: u64 = u64::MAX;

pub(super) struct Hub {
    pub(super) clock: Box<dyn Clock>,
    pub(super) random: Random,
    pub(super) observer: Option<Box<dyn Observer>>,
    /// Whether all are forgiven when nobody else is left: 0 or 1. Relaxed: whoever sees the
    /// old value acted just before the change.
    forced_recovery: AtomicU32,
    /// The scheduler, for ends of requests that began under another.
    scheduler: Published<Arc<dyn Scheduler>>,
    /// When the picture must be renewed, in nanoseconds of the clock. SeqCst: it is
    /// written after the fact that makes it due and before those who wait are looked for,
    /// cleared before facts are read, and read after a waiter has registered.
    due: AtomicU64,
    /// When a member in error can serve again, or [`DIRTY`] if an error has been repeated
    /// since that was worked out. Relaxed: a hint for refused requests.
    rescue: AtomicU64,
    /// What an end has to care for, as flags, and how often the scheduler was changed.
    /// SeqCst, as the counters: either who ends
    /// sees who waits, or who waits sees that it has ended.
    attention: AtomicU32,
    pub(super) waiting: Waiting,
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
        let needs = scheduler.needs();
        let hub = Self {
            clock,
            random,
            observer,
            forced_recovery: AtomicU32::new(forced_recovery.into()),
            scheduler: Published::new(scheduler),
            due: AtomicU64::new(NEVER),
            rescue: AtomicU64::new(NEVER),
            attention: AtomicU32::new(attention),
            waiting: Waiting::default(),
        };
        hub.attend(ENDS, needs.contains(Needs::ENDED));
        hub
    }

    pub(super) fn forces_recovery(&self) -> bool {
        self.forced_recovery.load(Relaxed) != 0
    }

    pub(super) fn force_recovery(&self, force: bool) {
        self.forced_recovery.store(force.into(), Relaxed);
    }

    /// Tells whether the scheduler has to read the facts again, and forgets it.
    pub(super) fn must_read_again(&self) -> bool {
        // SeqCst: the flag comes down before the facts are read.
        let noted = self.attention.load(SeqCst) & READ_AGAIN != 0;
        if noted {
            self.attend(READ_AGAIN, false);
        }
        noted
    }

    /// Tells later ends about another scheduler.
    pub(super) fn set_scheduler(&self, scheduler: Arc<dyn Scheduler>) {
        let ends = scheduler.needs().contains(Needs::ENDED);
        drop(self.scheduler.swap(scheduler));
        self.attention.fetch_add(ONE_CHANGE, SeqCst);
        self.attend(ENDS, ends);
    }

    /// How often the scheduler was changed.
    fn changes(&self) -> u32 {
        self.attention.load(SeqCst) & !FLAGS
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

    pub(super) fn attend(&self, bit: u32, on: bool) {
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
        let due = self.due.load(SeqCst);
        due != NEVER && (due == DIRTY || self.clock.now().as_nanos() >= due)
    }

    pub(super) fn make_due(&self) {
        self.due.store(DIRTY, SeqCst);
    }

    /// Takes up the renewal: facts that are noted from here on make it due again.
    pub(super) fn begin_renewal(&self) -> Renewal<'_> {
        self.due.swap(NEVER, SeqCst);
        Renewal {
            hub: self,
            next: DIRTY,
        }
    }

    /// After what time a refused request may do better.
    pub(super) fn retry_after(&self, roster: &Roster) -> Option<Duration> {
        let now = self.clock.now();
        let rescue = match self.rescue.load(Relaxed) {
            NEVER => None,
            DIRTY => next_rescue(roster, now),
            known => Some(Timestamp::from_nanos(known)),
        };
        rescue.map(|rescue| rescue.since(now))
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.load(SeqCst);
        (due != NEVER).then(|| Timestamp::from_nanos(due))
    }

    /// A claim was given back that never became a lease; what waits is woken by `later`,
    /// or at once.
    #[cold]
    pub(super) fn dropped(&self, seat: &Seat, before: u32, later: Option<&Wakes<'_>>) {
        let now = Wakes::none(self);
        let room = before == seat.state.max_in_flight();
        later.unwrap_or(&now).add(room, room || before == 1);
        if room {
            self.scheduler.load().on_room(&seat.state);
        }
    }

    /// A member may have more in flight than before.
    pub(super) fn made_room(&self, state: &MemberState) {
        let _wakes = Wakes::new(self, true, true);
        self.scheduler.load().on_room(state);
    }

    /// Tells whether somebody stands in line.
    #[inline]
    pub(super) fn has_line(&self) -> bool {
        self.attention.load(SeqCst) & LINE != 0
    }

    /// Lets the first in line look, in case its time has come unnoticed.
    pub(super) fn wake_front(&self) {
        self.waiting.wake_front();
    }

    fn wake(&self, line: bool, watchers: bool) {
        let attention = self.attention.load(SeqCst);
        if line && attention & LINE != 0 {
            self.waiting.wake_front();
        }
        if watchers && attention & WATCHERS != 0 {
            self.waiting.wake_watchers();
        }
    }

    /// Wakes whoever may profit from a change of the membership.
    pub(super) fn wake_after_change(&self) {
        drop(Wakes::new(self, true, true));
    }

    /// Puts a member in error because of a request.
    pub(super) fn put_in_error(&self, state: &MemberState) {
        let Some((before, after)) = state.put_in_error(self.clock.now()) else {
            return;
        };
        if before == after {
            // No news: it lasts longer, which is seen when the old one would have ended.
            self.rescue.store(DIRTY, Relaxed);
            return;
        }
        self.make_due();
        // Somebody else may be eligible now, a standby perhaps.
        self.wake_after_change();
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
            .field("forced_recovery", &self.forces_recovery())
            .finish_non_exhaustive()
    }
}

/// A hub with the scheduler under which members are elected: what an end needs at
/// hand.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) hub: Arc<Hub>,
    scheduler: Arc<dyn Scheduler>,
    changes: u32,
}

impl Desk {
    pub(super) fn new(hub: Arc<Hub>, scheduler: Arc<dyn Scheduler>) -> Self {
        let changes = hub.changes();
        Self {
            hub,
            scheduler,
            changes,
        }
    }

    /// Notes an election by this desk's scheduler, after it is counted: the present one
    /// has to hear of it, should it be another by now.
    #[inline]
    pub(super) fn elected(&self) {
        if self.hub.changes() != self.changes {
            self.hub.attend(READ_AGAIN, true);
            self.hub.make_due();
        }
    }

    /// The desk for the scheduler that the hub is about to be told of.
    pub(super) fn next(&self, scheduler: Arc<dyn Scheduler>) -> Self {
        Self {
            hub: self.hub.clone(),
            scheduler,
            changes: self.changes.wrapping_add(ONE_CHANGE),
        }
    }

    /// Settles what follows from an end, after the count has been given back.
    #[inline]
    pub(super) fn ended(&self, seat: &Seat, before: u32, ended: impl FnOnce() -> Ended) {
        let attention = self.hub.attention.load(SeqCst);
        let room = before == seat.state.max_in_flight();
        if attention & FLAGS != 0 || room {
            self.tell_end(seat, attention, before, room, &ended());
        }
    }

    #[inline(never)]
    fn tell_end(&self, seat: &Seat, attention: u32, before: u32, room: bool, ended: &Ended) {
        {
            let _wakes = Wakes::new(&self.hub, room, room || before == 1);
            if attention & !FLAGS == self.changes {
                tell_scheduler(&*self.scheduler, seat, attention, room, ended);
            } else {
                let scheduler = self.hub.scheduler.load();
                tell_scheduler(&***scheduler, seat, attention, room, ended);
            }
        }
        if let Some(observer) = &self.hub.observer {
            observer.ended(&seat.state, ended);
        }
    }
}

fn tell_scheduler(
    scheduler: &dyn Scheduler,
    seat: &Seat,
    attention: u32,
    room: bool,
    ended: &Ended,
) {
    // The room first: should the other hook panic, the member is not left parked.
    if room {
        scheduler.on_room(&seat.state);
    }
    if attention & ENDS != 0 {
        scheduler.on_ended(&seat.state, ended);
    }
}

/// Wakes what waits when it is dropped, so also when a scheduler panics.
#[derive(Debug)]
pub(super) struct Wakes<'h> {
    hub: &'h Hub,
    line: Cell<bool>,
    watchers: Cell<bool>,
}

impl<'h> Wakes<'h> {
    fn new(hub: &'h Hub, line: bool, watchers: bool) -> Self {
        Self {
            hub,
            line: Cell::new(line),
            watchers: Cell::new(watchers),
        }
    }

    /// Wakes nothing, unless something is added.
    #[inline]
    pub(super) fn none(hub: &'h Hub) -> Self {
        Self::new(hub, false, false)
    }

    fn add(&self, line: bool, watchers: bool) {
        self.line.set(self.line.get() | line);
        self.watchers.set(self.watchers.get() | watchers);
    }
}

impl Drop for Wakes<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.line.get() | self.watchers.get() {
            self.hub.wake(self.line.get(), self.watchers.get());
        }
    }
}

/// A renewal of the picture under way; one that is not ended, because a scheduler
/// panicked, is due again at once.
pub(super) struct Renewal<'h> {
    hub: &'h Hub,
    next: u64,
}

impl Renewal<'_> {
    pub(super) fn end(mut self, next: Next) {
        let nanos = |time: Option<Timestamp>| time.map_or(NEVER, Timestamp::as_nanos);
        self.next = nanos(next.due).max(DIRTY + 1);
        let rescue = nanos(next.rescue).max(DIRTY + 1);
        self.hub.rescue.store(rescue, Relaxed);
    }
}

impl Drop for Renewal<'_> {
    fn drop(&mut self) {
        self.hub.due.fetch_min(self.next, SeqCst);
    }
}
