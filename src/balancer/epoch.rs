//! The time during which one scheduler picks: what the end of a request needs.
//!
//! A request may end under another scheduler than the one that picked its member. So each
//! lease has its [`Epoch`], and its end notifies the scheduler that is set by then.

use std::sync::Arc;

use super::attention::{
    AttentionWord, ENDS, ENDS_WANTED, READ_AGAIN, SchedulerChanges, WAKE_ON_END,
};
use super::events::EventKind;
use super::shared::{Shared, Wakes};
use crate::member::{Ended, MemberState};
use crate::scheduler::Scheduler;

/// What a balancer's members share, with the scheduler under which they are picked.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) shared: Arc<Shared>,
    scheduler: Arc<dyn Scheduler>,
    changes: SchedulerChanges,
}

impl Epoch {
    pub(super) fn new(shared: Arc<Shared>, scheduler: Arc<dyn Scheduler>) -> Self {
        let changes = shared.attention.look().changes();
        Self {
            shared,
            scheduler,
            changes,
        }
    }

    /// Returns the epoch of the scheduler that is about to be set in `shared`.
    pub(super) fn next(&self, scheduler: Arc<dyn Scheduler>) -> Self {
        Self {
            shared: self.shared.clone(),
            scheduler,
            changes: self.changes.next(),
        }
    }

    /// Notes a pick in this epoch, after it is counted. If another scheduler was set
    /// meanwhile, that one must read the facts again. Returns what else is to be done.
    #[inline]
    pub(super) fn picked(&self) -> AttentionWord {
        let seen = self.shared.attention.look();
        if seen.changes() != self.changes {
            self.shared.attention.set(READ_AGAIN, true);
            self.shared.agenda.make_due();
        }
        seen
    }

    /// Does what follows from an end, after the count was given back. `generation` is that
    /// of the picture by which the member was picked.
    #[inline]
    pub(super) fn ended(
        &self,
        state: &MemberState,
        before: u32,
        generation: u64,
        ended: impl FnOnce(AttentionWord) -> Ended,
    ) {
        let room = before == state.max_in_flight();
        // The note first: if it is that of a new scheduler, that one is notified.
        let fewer = state.take_note_below(before);
        let seen = self.shared.attention.look();
        if !seen.is_idle() || room || fewer {
            let room = (room, room || fewer);
            self.notify_end(state, seen, before, room, generation, &ended(seen));
        }
    }

    #[inline(never)]
    fn notify_end(
        &self,
        state: &MemberState,
        seen: AttentionWord,
        before: u32,
        (room, fewer): (bool, bool),
        generation: u64,
        ended: &Ended,
    ) {
        // In this order, also if the scheduler panics: the scheduler, waiters, observers.
        let _told = seen.has(ENDS_WANTED).then(|| EndedNotice {
            shared: &self.shared,
            state,
            generation,
            ended,
        });
        let looks = room || seen.has(WAKE_ON_END);
        let _wakes = Wakes::new(&self.shared, looks, looks || before == 1);
        if seen.changes() == self.changes {
            notify_scheduler(&*self.scheduler, state, seen, fewer, ended);
        } else {
            let scheduler = self.shared.scheduler();
            notify_scheduler(&*scheduler, state, seen, fewer, ended);
        }
    }
}

/// Notifies observers of an end when it is dropped.
struct EndedNotice<'e> {
    shared: &'e Shared,
    state: &'e MemberState,
    generation: u64,
    ended: &'e Ended,
}

impl Drop for EndedNotice<'_> {
    fn drop(&mut self) {
        let kind = EventKind::Ended(self.ended);
        let event = self.shared.event(self.generation, Some(self.state), kind);
        self.shared.report(event);
    }
}

fn notify_scheduler(
    scheduler: &dyn Scheduler,
    state: &MemberState,
    seen: AttentionWord,
    room: bool,
    ended: &Ended,
) {
    // The room first: if the other hook panics, the member is not left parked.
    if room {
        scheduler.on_room(state);
    }
    if seen.has(ENDS) {
        scheduler.on_ended(state, ended);
    }
}
