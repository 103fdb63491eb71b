//! What all members of one balancer share: the clock, the random numbers, the observers,
//! the scheduler, the agenda, and the waiting requests.
//!
//! It knows no payload, so a [`Guard`](super::Guard) can outlive the payload. Each part has
//! a file of its own; this one combines several of them.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::agenda::{Agenda, Pace};
use super::attention::{
    Attention, ELAPSED_NEEDED, ENDS, FAILURES_TIMED, HEADS_NEEDED, LINE, PICKS_WANTED, READ_AGAIN,
    WAKE_ON_END, WATCHERS,
};
use super::events::{Event, EventKind, Interest, Observer, Observers, Registry};
use super::layers::SettingLayer;
use super::wait::{Keepers, WaitList};
use crate::clock::Clock;
use crate::member::{Cause, MemberState};
use crate::random::Random;
use crate::scheduler::{Needs, Scheduler};
use crate::snapshot::Roster;
use crate::sync::{AtomicU32, AtomicU64, Published, Relaxed};

pub(super) struct Shared {
    /// The balancer's name.
    pub(super) name: Option<Arc<str>>,
    /// Shared with observers that must not keep this alive.
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
    pub(super) observers: Observers,
    /// The number of the picture that was published last. Relaxed: for events, which arrive
    /// in any order.
    generation: AtomicU64,
    /// Whether the errors and ejections of all members end when no other member is left: 0
    /// or 1. Relaxed: a reader that sees the old value acted just before the change.
    forced_recovery: AtomicU32,
    /// The scheduler, for ends of requests that began under another one.
    scheduler: Published<Arc<dyn Scheduler>>,
    pub(super) agenda: Agenda,
    pub(super) pace: Pace,
    pub(super) attention: Attention,
    pub(super) waiting: WaitList,
    pub(super) keepers: Keepers,
}

impl Shared {
    pub(super) fn new(
        name: Option<Arc<str>>,
        clock: Box<dyn Clock>,
        random: Random,
        observers: Vec<Box<dyn Observer>>,
        forced_recovery: bool,
        pace: Pace,
        scheduler: Arc<dyn Scheduler>,
    ) -> Self {
        let needs = scheduler.needs();
        let shared = Self {
            name,
            clock: clock.into(),
            random,
            observers: Observers::new(),
            generation: AtomicU64::new(0),
            forced_recovery: AtomicU32::new(forced_recovery.into()),
            scheduler: Published::new(scheduler),
            agenda: Agenda::new(),
            pace,
            attention: Attention::new(),
            waiting: WaitList::default(),
            keepers: Keepers::new(),
        };
        for observer in observers {
            shared.observers.add(observer, &shared.attention);
        }
        shared.set_needs(needs);
        shared
    }

    /// Sets the flags for what a scheduler needs to be notified of.
    fn set_needs(&self, needs: Needs) {
        for (flag, need) in [
            (ELAPSED_NEEDED, Needs::ELAPSED),
            (ENDS, Needs::ENDED),
            (FAILURES_TIMED, Needs::CLOCK.union(Needs::ENDED)),
            (HEADS_NEEDED, Needs::TIME_TO_HEAD),
            (WAKE_ON_END, Needs::WAKE_ON_END),
        ] {
            self.attention.set(flag, needs.contains(need));
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(super) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Relaxed);
    }

    pub(super) fn forces_recovery(&self) -> bool {
        self.forced_recovery.load(Relaxed) != 0
    }

    pub(super) fn force_recovery(&self, force: bool) {
        self.forced_recovery.store(force.into(), Relaxed);
    }

    pub(super) fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::clone(&self.scheduler.load())
    }

    /// Returns whether the scheduler has to read the facts again, and clears that: before
    /// the facts are read.
    pub(super) fn must_read_again(&self) -> bool {
        self.attention.take(READ_AGAIN)
    }

    /// Sets the scheduler that later ends notify.
    pub(super) fn set_scheduler(&self, scheduler: Arc<dyn Scheduler>) {
        let needs = scheduler.needs();
        drop(self.scheduler.swap(scheduler));
        self.attention.count_change();
        self.set_needs(needs);
    }

    /// Returns whether the picture must be renewed.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.agenda.is_due(&*self.clock)
    }

    /// Returns the delay after which a refused request may succeed.
    pub(super) fn retry_after(&self, roster: &Roster) -> Option<Duration> {
        let now = self.clock.now();
        self.agenda.retry_after(roster, self.pace, now)
    }

    /// A claim was given back and never became a lease; waiting requests are woken by
    /// `later`, or at once.
    #[cold]
    pub(super) fn dropped(&self, state: &MemberState, before: u32, later: Option<&Wakes<'_>>) {
        let now = Wakes::none(self);
        let room = before == state.max_in_flight();
        later.unwrap_or(&now).add(room, room || before == 1);
        if state.take_note_below(before) || room {
            self.scheduler.load().on_room(state);
        }
    }

    /// A member may have more requests in flight than before.
    pub(super) fn made_room(&self, state: &MemberState) {
        let _wakes = Wakes::new(self, true, true);
        self.scheduler.load().on_room(state);
    }

    /// A member's trial has begun or ended, so that other members may be eligible now.
    pub(super) fn trial_changed(&self) {
        self.agenda.make_due();
        self.wake_after_change();
        self.wake_keepers();
    }

    /// Returns whether a request stands in line.
    #[inline]
    pub(super) fn has_line(&self) -> bool {
        self.attention.look().has(LINE)
    }

    /// Returns whether picks have more to do than to find a member.
    #[inline]
    pub(super) fn is_observed_or_has_line(&self) -> bool {
        self.attention.look().has(LINE | PICKS_WANTED)
    }

    /// Returns whether an observer wants picks.
    #[inline]
    pub(super) fn reports_picks(&self) -> bool {
        self.attention.look().has(PICKS_WANTED)
    }

    /// Wakes the first request in line, in case it can be served and was not woken.
    pub(super) fn wake_front(&self) {
        self.waiting.wake_front();
    }

    #[inline]
    fn wake(&self, line: bool, watchers: bool) {
        let seen = self.attention.look();
        if line && seen.has(LINE) {
            self.waiting.wake_front();
        }
        if watchers && seen.has(WATCHERS) {
            self.waiting.wake_watchers();
        }
    }

    /// Wakes what a change of the membership may serve.
    pub(super) fn wake_after_change(&self) {
        drop(Wakes::new(self, true, true));
    }

    /// Wakes the futures that apply timed changes if something becomes due sooner than they
    /// expect; called after each change of what is due.
    #[inline]
    pub(super) fn wake_keepers(&self) {
        if self.keepers.is_sooner(self.agenda.due_nanos()) {
            self.keepers.wake_all();
        }
    }

    /// Puts a member in error because of a request; observers receive
    /// [`EventKind::Changed`].
    pub(super) fn put_in_error(&self, state: &MemberState, cause: Option<&Cause>) {
        let Some((before, after)) = state.put_in_error(self.clock.now(), cause) else {
            return;
        };
        if before == after {
            // Not a change: the error lasts longer, which is seen when the old one would
            // have ended.
            self.agenda.rescue_moved();
            return;
        }
        self.agenda.make_due();
        // Another member may be eligible now, for example a standby.
        self.wake_after_change();
        self.wake_keepers();
        if self.observers.want(Interest::CHANGED) {
            let changed = EventKind::Changed {
                before,
                after,
                layer: SettingLayer::Health,
                cause,
            };
            // The next picture is the first that shows it.
            self.report(self.event(self.generation() + 1, Some(state), changed));
        }
    }

    /// Creates an event of this balancer.
    pub(super) fn event<'e>(
        &'e self,
        generation: u64,
        member: Option<&'e MemberState>,
        kind: EventKind<'e>,
    ) -> Event<'e> {
        Event {
            balancer: self.name.as_deref(),
            generation,
            member,
            kind,
        }
    }

    /// Delivers one event; never under a lock.
    pub(super) fn report(&self, event: Event<'_>) {
        let mut delivery = self.observers.deliver();
        delivery.event(&event);
        delivery.end();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("clock", &self.clock)
            .field("observers", &self.observers)
            .field("forced_recovery", &self.forces_recovery())
            .field("agenda", &self.agenda)
            .finish_non_exhaustive()
    }
}

impl Registry for Shared {
    fn remove_observer(&self, number: u64) {
        self.observers.remove(number, &self.attention);
    }
}

/// Wakes waiting requests when it is dropped, also when a scheduler panics.
#[derive(Debug)]
pub(super) struct Wakes<'s> {
    shared: &'s Shared,
    line: Cell<bool>,
    watchers: Cell<bool>,
}

impl<'s> Wakes<'s> {
    pub(super) fn new(shared: &'s Shared, line: bool, watchers: bool) -> Self {
        Self {
            shared,
            line: Cell::new(line),
            watchers: Cell::new(watchers),
        }
    }

    /// Wakes nothing, unless something is added.
    #[inline]
    pub(super) fn none(shared: &'s Shared) -> Self {
        Self::new(shared, false, false)
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
            self.shared.wake(self.line.get(), self.watchers.get());
        }
    }
}
