//! Requests in flight and number of picks, in one atomic word: a pick is one
//! read-modify-write, and one load reads both ([`CountersSeen`]).
//!
//! # Orderings
//!
//! The word is sequentially consistent. After a release, the waiters are read; after a
//! waiter has registered, the word is read; one of the two must see the other. On x86-64
//! this costs the same as a relaxed addition.

use crate::sync::{AtomicU64, SeqCst};

const IN_FLIGHT_BITS: u32 = 24;
const IN_FLIGHT: u64 = (1 << IN_FLIGHT_BITS) - 1;
/// The member was removed: no more requests are counted in.
const CLOSED: u64 = 1 << IN_FLIGHT_BITS;
/// A scheduler learns of picks from here, and is not notified of them.
const READ: u64 = 1 << (IN_FLIGHT_BITS + 1);
const PICKED_SHIFT: u32 = IN_FLIGHT_BITS + 2;
const ONE_PICK: u64 = 1 << PICKED_SHIFT;

/// The most requests that one member can have in flight: 16 777 215. It is the cap of a
/// member for which no cap is set.
///
/// # Examples
///
/// ```
/// use equipoise::member::MAX_IN_FLIGHT;
///
/// let balancer = equipoise::Balancer::new([("a", ())])?;
/// assert_eq!(balancer.member("a").unwrap().max_in_flight(), MAX_IN_FLIGHT);
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[expect(clippy::cast_possible_truncation, reason = "24 bits")]
pub const MAX_IN_FLIGHT: u32 = IN_FLIGHT as u32;

/// The reason why a request could not be counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Uncounted {
    /// The counters are not those that were seen.
    Changed,
    /// The member was removed.
    Closed,
    /// The member has as many requests in flight as its cap allows.
    Full,
}

/// The result of [`MemberCounters::count_out`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CountedOut {
    /// Requests in flight before it.
    pub(crate) before: u32,
}

/// Requests in flight and picks at one time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct CountersSeen(u64);

impl CountersSeen {
    #[inline]
    pub(crate) fn in_flight(self) -> u32 {
        low(self.0)
    }

    /// Returns the picks without the last `count`, as a number for
    /// [`picks_since`](Self::picks_since).
    pub(crate) fn picks_before(self, count: u64) -> u64 {
        (self.0 >> PICKED_SHIFT).wrapping_sub(count) << PICKED_SHIFT
    }

    /// Returns whether a scheduler learns of the picks from the counters.
    #[inline]
    pub(crate) fn is_read(self) -> bool {
        self.0 & READ != 0
    }

    /// Returns how many picks there were since [`picks_before`](Self::picks_before), if there were fewer
    /// than 2^38.
    #[inline]
    pub(crate) fn picks_since(self, picks: u64) -> u64 {
        self.0.wrapping_sub(picks) >> PICKED_SHIFT
    }
}

/// Requests in flight (24 bits), closed or not and read or not (1 bit each), and picks so
/// far (38 bits, then again from 0).
#[derive(Debug)]
pub(crate) struct MemberCounters(AtomicU64);

impl MemberCounters {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more request in, unless `cap` are in flight already or the member is
    /// closed.
    ///
    /// Returns the counters as they are with it.
    #[inline]
    pub(crate) fn count_in(&self, cap: u32) -> Result<CountersSeen, Uncounted> {
        let mut seen = self.look();
        loop {
            match self.count_in_as(seen, cap) {
                Err(Uncounted::Changed) => seen = self.look(),
                counted => return counted,
            }
        }
    }

    /// As [`count_in`](Self::count_in), if the counters are still as they were `seen`.
    #[inline]
    pub(crate) fn count_in_as(
        &self,
        seen: CountersSeen,
        cap: u32,
    ) -> Result<CountersSeen, Uncounted> {
        if seen.in_flight() >= cap {
            return Err(Uncounted::Full);
        }
        if seen.0 & CLOSED != 0 {
            return Err(Uncounted::Closed);
        }
        let next = seen.0.wrapping_add(ONE_PICK + 1);
        let done = self.0.compare_exchange(seen.0, next, SeqCst, SeqCst);
        match done {
            Ok(_) => Ok(CountersSeen(next)),
            Err(_) => Err(Uncounted::Changed),
        }
    }

    #[inline]
    pub(crate) fn look(&self) -> CountersSeen {
        CountersSeen(self.0.load(SeqCst))
    }

    /// Counts one request out; each call matches one successful
    /// [`count_in`](Self::count_in).
    #[inline]
    pub(crate) fn count_out(&self) -> CountedOut {
        CountedOut {
            before: low(self.0.fetch_sub(1, SeqCst)),
        }
    }

    #[inline]
    pub(crate) fn in_flight(&self) -> u32 {
        self.look().in_flight()
    }

    pub(crate) fn picked(&self) -> u64 {
        self.0.load(SeqCst) >> PICKED_SHIFT
    }

    /// Lets a scheduler learn of all later picks from here; returns the counters.
    pub(crate) fn begin_reading(&self) -> CountersSeen {
        CountersSeen(self.0.fetch_or(READ, SeqCst))
    }

    /// Lets the scheduler be notified of later picks again; returns the counters.
    pub(crate) fn end_reading(&self) -> CountersSeen {
        CountersSeen(self.0.fetch_and(!READ, SeqCst))
    }

    /// Stops counting requests in, also for picks that use an older picture.
    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSED, SeqCst);
    }

    pub(crate) fn open(&self) {
        self.0.fetch_and(!CLOSED, SeqCst);
    }
}

const fn low(word: u64) -> u32 {
    (word & IN_FLIGHT) as u32
}

#[cfg(all(test, not(equipoise_loom)))]
mod tests {
    use super::{CountersSeen, MAX_IN_FLIGHT, MemberCounters, PICKED_SHIFT, Uncounted};
    use crate::sync::{AtomicU64, Relaxed};

    /// Counts a request in; returns how many are in flight then.
    fn count_in(counters: &MemberCounters, cap: u32) -> Result<u32, Uncounted> {
        counters.count_in(cap).map(CountersSeen::in_flight)
    }

    #[test]
    fn the_last_slot_is_given_once() {
        let counters = MemberCounters::new();
        assert_eq!(count_in(&counters, 2), Ok(1));
        assert_eq!(count_in(&counters, 2), Ok(2));
        assert_eq!(count_in(&counters, 2), Err(Uncounted::Full));
        assert_eq!(counters.count_out().before, 2);
        assert_eq!(count_in(&counters, 2), Ok(2));
        assert_eq!((counters.in_flight(), counters.picked()), (2, 3));
    }

    #[test]
    fn a_closed_member_counts_out_but_not_in() {
        let counters = MemberCounters::new();
        assert_eq!(count_in(&counters, 9), Ok(1));
        counters.close();
        assert_eq!(count_in(&counters, 9), Err(Uncounted::Closed));
        assert_eq!(counters.count_out().before, 1);
        counters.open();
        assert_eq!(count_in(&counters, 9), Ok(1));
        assert_eq!(counters.picked(), 2);
    }

    #[test]
    fn a_request_is_counted_in_only_as_the_counters_were_seen() {
        let counters = MemberCounters::new();
        let seen = counters.look();
        assert_eq!(
            counters.count_in_as(seen, 9).map(CountersSeen::in_flight),
            Ok(1)
        );
        assert_eq!(counters.count_in_as(seen, 9), Err(Uncounted::Changed));
        counters.count_out();
        let changed = Err(Uncounted::Changed);
        assert_eq!(counters.count_in_as(seen, 9), changed, "as many in flight");
        assert_eq!(counters.look().picks_since(seen.picks_before(0)), 1);
        assert_eq!(
            counters.count_in_as(counters.look(), 0),
            Err(Uncounted::Full)
        );
    }

    #[test]
    fn each_pick_is_read_or_notified() {
        let counters = MemberCounters::new();
        let is_read = || counters.count_in(9).map(CountersSeen::is_read);
        assert_eq!(is_read(), Ok(false));
        let before = counters.begin_reading();
        assert_eq!((is_read(), is_read()), (Ok(true), Ok(true)));
        let seen = counters.look();
        assert_eq!(
            counters.end_reading().picks_since(before.picks_before(0)),
            2
        );
        let changed = Err(Uncounted::Changed);
        assert_eq!(counters.count_in_as(seen, 9), changed, "as it was read");
        assert_eq!(is_read(), Ok(false));
        assert_eq!((counters.in_flight(), counters.picked()), (4, 4));
    }

    #[test]
    fn picks_are_counted_across_a_wrap() {
        let counters = MemberCounters(AtomicU64::new(u64::MAX << PICKED_SHIFT | 5));
        let before = counters.look().picks_before(0);
        for _ in 0..3 {
            assert!(count_in(&counters, 9).is_ok());
        }
        assert_eq!(counters.look().picks_since(before), 3);
    }

    #[test]
    fn a_wrap_of_picks_leaves_in_flight_alone() {
        let counters = MemberCounters(AtomicU64::new(u64::MAX << PICKED_SHIFT | 5));
        assert_eq!(count_in(&counters, MAX_IN_FLIGHT), Ok(6));
        assert_eq!((counters.in_flight(), counters.picked()), (6, 0));
        assert_eq!(counters.0.load(Relaxed), 6);
    }

    #[test]
    fn in_flight_never_spills_into_picks() {
        let counters = MemberCounters(AtomicU64::new(u64::from(MAX_IN_FLIGHT)));
        assert_eq!(count_in(&counters, MAX_IN_FLIGHT), Err(Uncounted::Full));
        assert_eq!(counters.picked(), 0);
    }
}
