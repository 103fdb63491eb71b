//! What falls due as time passes, and when the picture has to be renewed: [`Agenda`].
//!
//! The publisher works out for each member what falls due next (an error's end) while it
//! walks over the members, and keeps the earliest time here, where each pick looks. What does
//! not live here: the walk itself (`editor.rs`), and what is done to a member that is due.

use std::fmt;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::member::{Flag, Retry};
use crate::snapshot::{Roster, Seat};
use crate::sync::{AtomicU64, Relaxed, SeqCst};

/// The picture is out of date.
const DIRTY: u64 = 0;
/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// When the picture must be renewed, and when a refused request may do better.
pub(super) struct Agenda {
    /// When the picture must be renewed, in nanoseconds of the clock. SeqCst: it is
    /// written after the fact that makes it due and before the waiting requests are looked
    /// for, cleared before facts are read, and read after a waiter has registered.
    due: AtomicU64,
    /// When a member in error can serve again, or [`DIRTY`] if an error has been repeated
    /// since that was worked out. Relaxed: a hint for refused requests.
    rescue: AtomicU64,
}

impl Agenda {
    pub(super) fn new() -> Self {
        Self {
            due: AtomicU64::new(NEVER),
            rescue: AtomicU64::new(NEVER),
        }
    }

    /// Tells whether the picture must be renewed. The clock is read only while
    /// something is due at all.
    #[inline]
    pub(super) fn is_due(&self, clock: &dyn Clock) -> bool {
        let due = self.due.load(SeqCst);
        due != NEVER && (due == DIRTY || clock.now().as_nanos() >= due)
    }

    pub(super) fn make_due(&self) {
        self.due.store(DIRTY, SeqCst);
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.load(SeqCst);
        (due != NEVER).then(|| Timestamp::from_nanos(due))
    }

    /// An error lasts longer than was worked out.
    pub(super) fn rescue_moved(&self) {
        self.rescue.store(DIRTY, Relaxed);
    }

    /// After what time a refused request may do better.
    pub(super) fn retry_after(&self, roster: &Roster, now: Timestamp) -> Option<Duration> {
        let rescue = match self.rescue.load(Relaxed) {
            NEVER => None,
            DIRTY => next_rescue(roster, now),
            known => Some(Timestamp::from_nanos(known)),
        };
        rescue.map(|rescue| rescue.since(now))
    }

    /// Takes up the renewal: facts that are noted from here on make it due again.
    pub(super) fn begin_renewal(&self) -> Renewal<'_> {
        self.due.swap(NEVER, SeqCst);
        Renewal {
            agenda: self,
            next: DIRTY,
        }
    }
}

impl fmt::Debug for Agenda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agenda")
            .field("next_due", &self.next_due())
            .finish_non_exhaustive()
    }
}

/// A renewal of the picture under way; one that is not ended, because a scheduler
/// panicked, is due again at once.
#[derive(Debug)]
pub(super) struct Renewal<'a> {
    agenda: &'a Agenda,
    next: u64,
}

impl Renewal<'_> {
    pub(super) fn end(mut self, next: Next) {
        let nanos = |time: Option<Timestamp>| time.map_or(NEVER, Timestamp::as_nanos);
        self.next = nanos(next.due).max(DIRTY + 1);
        let rescue = nanos(next.rescue).max(DIRTY + 1);
        self.agenda.rescue.store(rescue, Relaxed);
    }
}

impl Drop for Renewal<'_> {
    fn drop(&mut self) {
        self.agenda.due.fetch_min(self.next, SeqCst);
    }
}

/// What falls due next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Next {
    /// Any member's.
    due: Option<Timestamp>,
    /// That of a member which can serve then: what a refused request waits for.
    rescue: Option<Timestamp>,
}

impl Next {
    pub(super) fn note(&mut self, due: Timestamp, rescues: bool) {
        let earlier = |known: Option<Timestamp>| Some(known.map_or(due, |known| known.min(due)));
        self.due = earlier(self.due);
        if rescues {
            self.rescue = earlier(self.rescue);
        }
    }
}

/// When the next member that only its error keeps out can serve again.
#[cold]
fn next_rescue(roster: &Roster, now: Timestamp) -> Option<Timestamp> {
    let due = |seat: &std::sync::Arc<Seat>| {
        let live = seat.state.live();
        let rescues = live.status().without(Flag::InError).is_usable();
        match live.retry(seat.spec.recovery_delay(), now) {
            Retry::At(due) if rescues => Some(due),
            Retry::Now if rescues => Some(now),
            _ => None,
        }
    };
    roster.by_tier().filter_map(due).min()
}
