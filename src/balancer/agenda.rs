//! What becomes due as time passes, and when the picture must be renewed: [`Agenda`].
//!
//! The publisher walks over the members and computes the [`Pace::outlook`] of each: when an
//! error ends, when an ejection ends, when a ramp takes its next step. The earliest of
//! these times is kept here, and each pick compares it with the clock. There is no second
//! list of members that could get out of step with the first. What does not live here: the
//! walk itself (`publish.rs`), and waking the futures that apply timed changes
//! (`keepers.rs`).

use std::fmt;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::member::{Backoff, Flag, LiveStatus, Ramp, Retry, Status};
use crate::snapshot::{FULL_WEIGHT, Roster, Seat};
use crate::sync::{AtomicU64, Relaxed, SeqCst};

/// The picture is out of date.
const DIRTY: u64 = 0;
/// As [`DIRTY`], while a refused request computes the time.
const WORKING: u64 = 1;
/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// When the picture must be renewed, and when a refused request may succeed.
#[repr(align(64))] // Each pick reads it: what changes often must not share its line.
pub(super) struct Agenda {
    /// When the picture must be renewed, in nanoseconds of the clock. SeqCst: it is written
    /// after the fact that makes it due and before the waiting requests are read; it is
    /// cleared before facts are read; and it is read after a waiter has registered.
    due: AtomicU64,
    /// When a member in error can serve again, or [`DIRTY`] if another error occurred since
    /// that was computed. The next refused request computes it, and stores it unless
    /// another error occurs meanwhile. Relaxed: a hint for refused requests.
    rescue: AtomicU64,
}

impl Agenda {
    pub(super) fn new() -> Self {
        Self {
            due: AtomicU64::new(NEVER),
            rescue: AtomicU64::new(NEVER),
        }
    }

    /// Returns whether the picture must be renewed. Reads the clock only while something is
    /// due at some time.
    #[inline]
    pub(super) fn is_due(&self, clock: &dyn Clock) -> bool {
        let due = self.due.load(SeqCst);
        due != NEVER && (due == DIRTY || clock.now().as_nanos() >= due)
    }

    pub(super) fn make_due(&self) {
        self.due.store(DIRTY, SeqCst);
    }

    /// Returns what is due, as a number: a smaller number is sooner.
    pub(super) fn due_nanos(&self) -> u64 {
        self.due.load(SeqCst)
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        Self::time_of(self.due_nanos())
    }

    /// Converts such a number to a time.
    pub(super) fn time_of(due: u64) -> Option<Timestamp> {
        (due != NEVER).then(|| Timestamp::from_nanos(due))
    }

    /// Notes that an error lasts longer than was computed.
    pub(super) fn rescue_moved(&self) {
        self.rescue.store(DIRTY, Relaxed);
    }

    /// Returns the delay after which a refused request may succeed.
    pub(super) fn retry_after(
        &self,
        roster: &Roster,
        pace: Pace,
        now: Timestamp,
    ) -> Option<Duration> {
        let exchange = |seen, new| self.rescue.compare_exchange(seen, new, Relaxed, Relaxed);
        let rescue = match self.rescue.load(Relaxed) {
            DIRTY | WORKING => {
                let first = exchange(DIRTY, WORKING).is_ok();
                let rescue = rescue_nanos(next_rescue(roster, pace, now));
                if first {
                    // Fails if the value has changed meanwhile.
                    let _ = exchange(WORKING, rescue);
                }
                rescue
            }
            known => known,
        };
        Self::time_of(rescue).map(|rescue| rescue.since(now))
    }

    /// Begins a renewal: facts that are noted from here on make it due again.
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

/// A renewal of the picture that is in progress. If it is dropped before its end, because a
/// scheduler panicked, the picture is due again at once.
#[derive(Debug)]
pub(super) struct Renewal<'a> {
    agenda: &'a Agenda,
    next: u64,
}

impl Renewal<'_> {
    pub(super) fn end(mut self, next: NextDue) {
        self.next = nanos(next.due).max(DIRTY + 1);
        self.agenda.rescue.store(rescue_nanos(next.rescue), Relaxed);
    }
}

impl Drop for Renewal<'_> {
    fn drop(&mut self) {
        self.agenda.due.fetch_min(self.next, SeqCst);
    }
}

/// What is due next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NextDue {
    /// The earliest time of any member.
    due: Option<Timestamp>,
    /// The earliest time of a member that can serve then: a refused request waits for it.
    rescue: Option<Timestamp>,
}

impl NextDue {
    pub(super) fn note(&mut self, outlook: &Outlook) {
        self.due = earlier(self.due, outlook.due);
        self.rescue = earlier(self.rescue, outlook.rescue);
    }
}

/// Converts a time to a number.
fn nanos(time: Option<Timestamp>) -> u64 {
    time.map_or(NEVER, Timestamp::as_nanos)
}

fn rescue_nanos(rescue: Option<Timestamp>) -> u64 {
    nanos(rescue).max(WORKING + 1)
}

fn earlier(known: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    known.into_iter().chain(other).min()
}

/// The balancer's defaults for how long errors last and how weights ramp up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub(super) backoff: Backoff,
    /// For members without a ramp of their own.
    pub(super) ramp: Option<Ramp>,
}

/// How one member's state depends on the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Outlook {
    /// The outages whose time has elapsed.
    pub(super) over: Status,
    /// When its error ends, if it is in error and that is known.
    pub(super) error_until: Option<Timestamp>,
    /// The share of its weight that counts, in sixteenths.
    pub(super) sixteenths: u32,
    /// When this changes next.
    due: Option<Timestamp>,
    /// When it can serve, if only outages that end by themselves keep it out.
    rescue: Option<Timestamp>,
}

impl Outlook {
    /// Nothing changes as time passes.
    const SETTLED: Self = Self {
        over: Status::NORMAL,
        error_until: None,
        sixteenths: FULL_WEIGHT,
        due: None,
        rescue: None,
    };

    /// Returns whether the ramp has ended, or there is none.
    pub(super) fn is_at_full_weight(&self) -> bool {
        self.sixteenths == FULL_WEIGHT
    }
}

impl Pace {
    /// Computes the outlook at `now` of a member whose live status is `live`.
    pub(super) fn outlook(self, seat: &Seat, live: LiveStatus, now: Timestamp) -> Outlook {
        if live.is_settled() {
            return Outlook::SETTLED;
        }
        let status = live.status();
        if status.intersection(Status::HEALTH) == Status::NORMAL {
            return self.ramp(seat, live.since(), now);
        }
        let mut outlook = Outlook::SETTLED;
        // Whether each outage that holds ends by itself.
        let mut ends = true;
        if status.contains(Flag::InError) {
            let spec = &seat.spec;
            let delay = |errors| self.backoff.delay(spec.recovery_delay(), errors);
            match live.retry(seat.state.error_delay(delay), now) {
                Retry::Now => outlook.over = outlook.over.with(Flag::InError),
                Retry::At(due) => {
                    outlook.error_until = Some(due);
                    outlook.due = Some(due);
                    outlook.rescue = Some(due);
                }
                Retry::Never | Retry::NotInError => ends = false,
            }
        }
        if status.contains(Flag::Ejected) {
            match seat.state.ejected_until() {
                Some(until) if until <= now => outlook.over = outlook.over.with(Flag::Ejected),
                Some(until) => {
                    outlook.due = earlier(outlook.due, Some(until));
                    outlook.rescue = outlook.rescue.max(Some(until));
                }
                None => ends = false,
            }
        }
        if !(ends && status.difference(Status::TIMED).is_usable()) {
            outlook.rescue = None;
        } else if outlook.rescue.is_none() {
            outlook.rescue = Some(now);
        }
        if status.difference(outlook.over).intersection(Status::HEALTH) == Status::NORMAL {
            // The member becomes usable now.
            outlook.sixteenths = self.ramp(seat, now, now).sixteenths;
        }
        outlook
    }

    fn ramp(self, seat: &Seat, since: Timestamp, now: Timestamp) -> Outlook {
        let Some(ramp) = seat.spec.ramp().or(self.ramp) else {
            return Outlook::SETTLED;
        };
        let stage = ramp.at(since, now);
        Outlook {
            sixteenths: stage.sixteenths,
            due: stage.next,
            ..Outlook::SETTLED
        }
    }
}

/// Returns when the next member that only an error or an ejection keeps out can serve
/// again.
#[cold]
fn next_rescue(roster: &Roster, pace: Pace, now: Timestamp) -> Option<Timestamp> {
    let rescue = |seat: &std::sync::Arc<Seat>| pace.outlook(seat, seat.state.live(), now).rescue;
    roster.by_tier().filter_map(rescue).min()
}

#[cfg(test)]
mod tests {
    use super::{Agenda, DIRTY, Pace, WORKING};
    use crate::clock::Timestamp;
    use crate::snapshot::Roster;
    use crate::sync::Relaxed;

    #[test]
    fn what_a_refused_request_has_worked_out_serves_the_next_ones() {
        let agenda = Agenda::new();
        let look = || agenda.retry_after(&Roster::default(), Pace::default(), Timestamp::ORIGIN);
        agenda.rescue_moved();
        assert_eq!(agenda.rescue.load(Relaxed), DIRTY);
        assert_eq!(look(), None);
        assert!(agenda.rescue.load(Relaxed) > WORKING);
        agenda.rescue.store(WORKING, Relaxed);
        assert_eq!(look(), None, "another request is at it");
        assert_eq!(agenda.rescue.load(Relaxed), WORKING);
    }
}
