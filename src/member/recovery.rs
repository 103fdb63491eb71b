//! When a member in error may be tried again: the retry rule, and the word that
//! keeps a member's status and the time of its health together.
//!
//! What does not live here: who comes to the rescue when nobody is usable; that is
//! the table in `snapshot`.

use std::time::Duration;

use super::{Flag, Status};
use crate::clock::Timestamp;

/// A member's status together with a time, as one word, so that an old error that is
/// forgiven cannot wipe out a new one.
///
/// The time is that of the last error while the member is in error, and otherwise that
/// since which its health is good. The status has 15 bits; the last one says that the
/// member has come (back) at that time, and that its ramp, if it has one, is not over
/// yet. Time is kept in steps of 0.1 ms: 48 bits of them last longer than any timestamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LiveStatus(u64);

const STATUS_BITS: u32 = 16;
const STATUS: u64 = (1 << (STATUS_BITS - 1)) - 1;
const ARRIVED: u64 = 1 << (STATUS_BITS - 1);
const STEP_NANOS: u64 = 100_000;

impl LiveStatus {
    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    pub(crate) const fn new(status: Status, since: Timestamp) -> Self {
        let steps = since.as_nanos() / STEP_NANOS;
        Self(steps << STATUS_BITS | status.bits() as u64)
    }

    pub(crate) const fn status(self) -> Status {
        Status::from_bits((self.0 & STATUS) as u16)
    }

    /// Since when its health is as it is: the last error's time, or that of its arrival.
    pub(crate) const fn since(self) -> Timestamp {
        Timestamp::from_nanos((self.0 >> STATUS_BITS) * STEP_NANOS)
    }

    pub(crate) const fn with_status(self, status: Status) -> Self {
        Self(self.0 & !STATUS | status.bits() as u64)
    }

    /// The same with the mark of an arrival at `now`.
    pub(crate) const fn arriving(self, now: Timestamp) -> Self {
        Self(Self::new(self.status(), now).0 | ARRIVED)
    }

    /// The same once the ramp of the last arrival is over.
    pub(crate) const fn arrived(self) -> Self {
        Self(self.0 & !ARRIVED)
    }

    /// Returns whether time has nothing in store for the member: no outage that ends by
    /// itself, and no ramp.
    #[inline]
    pub(crate) const fn is_settled(self) -> bool {
        self.0 & (ARRIVED | Status::TIMED.bits() as u64) == 0
    }

    /// Returns whether a ramp may be under way.
    pub(crate) const fn is_arriving(self) -> bool {
        self.0 & ARRIVED != 0
    }

    /// The same after a change of flags at `now`; whether it is the last outage that ends or
    /// a new error is seen from the flags before and after.
    pub(crate) fn changed(self, set: Status, clear: Status, now: Timestamp) -> Self {
        let before = self.status();
        let after = before.union(set).difference(clear);
        let is_new = |flag| !before.contains(flag) && after.contains(flag);
        if is_new(Flag::InError) {
            return Self::new(after, now);
        }
        let is_well = |status: Status| status.intersection(Status::HEALTH) == Status::NORMAL;
        let changed = self.with_status(after);
        if !is_well(before) && is_well(after) {
            return changed.arriving(now);
        }
        changed
    }

    /// The retry rule, for the time after an error that is the member's to rest.
    ///
    /// Apache (`ap_proxy_retry_worker`) asks for *more* than the delay, in
    /// microseconds; here the delay itself is enough, so that a delay of 0 means at
    /// once, also on a clock that stands still.
    pub(crate) fn retry(self, delay: Duration, now: Timestamp) -> Retry {
        let status = self.status();
        if !status.contains(Flag::InError) {
            return Retry::NotInError;
        }
        if status.contains(Flag::Stopped) {
            return Retry::Never;
        }
        let due = self.since() + delay;
        if status.contains(Flag::IgnoreErrors) || now >= due {
            Retry::Now
        } else {
            Retry::At(due)
        }
    }
}

/// What the retry rule says of a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Retry {
    NotInError,
    Now,
    At(Timestamp),
    /// A stopped member does not recover by itself.
    Never,
}

#[cfg(test)]
mod tests {
    use super::{LiveStatus, Retry};
    use crate::clock::Timestamp;
    use crate::member::{Flag, Status};
    use std::time::Duration;

    const SINCE: Timestamp = Timestamp::from_nanos(5_000_000);
    const DELAY: Duration = Duration::from_secs(60);

    fn in_error(status: Status) -> LiveStatus {
        LiveStatus::new(status.with(Flag::InError), SINCE)
    }

    #[test]
    fn a_member_recovers_when_its_delay_is_over() {
        let live = in_error(Status::NORMAL);
        let due = SINCE + DELAY;
        assert_eq!(live.retry(DELAY, SINCE), Retry::At(due));
        assert_eq!(live.retry(DELAY, due), Retry::Now);
        assert_eq!(live.retry(Duration::ZERO, SINCE), Retry::Now);
    }

    #[test]
    fn a_stopped_member_never_recovers_and_one_that_ignores_errors_does_at_once() {
        let late = SINCE + DELAY * 100;
        assert_eq!(
            in_error(Status::NORMAL.with(Flag::Stopped)).retry(DELAY, late),
            Retry::Never
        );
        assert_eq!(
            in_error(Status::NORMAL.with(Flag::IgnoreErrors)).retry(DELAY, SINCE),
            Retry::Now
        );
        assert_eq!(
            LiveStatus::new(Status::NORMAL, SINCE).retry(DELAY, SINCE),
            Retry::NotInError
        );
    }

    #[test]
    fn a_clock_that_goes_backwards_only_delays() {
        let live = in_error(Status::NORMAL);
        assert_eq!(
            live.retry(DELAY, Timestamp::ORIGIN),
            Retry::At(SINCE + DELAY)
        );
    }

    #[test]
    fn status_and_time_share_one_word_without_touching_each_other() {
        let live = in_error(Status::NORMAL).with_status(Status::NORMAL.with(Flag::Stopped));
        assert_eq!(live.since(), SINCE);
        assert_eq!(live.status(), Status::NORMAL.with(Flag::Stopped));
    }

    #[test]
    fn a_member_arrives_when_its_last_outage_ends() {
        let (now, none) = (SINCE + DELAY, Status::NORMAL);
        let ejected = Status::NORMAL.with(Flag::Ejected);
        let error = Status::NORMAL.with(Flag::InError);
        let live = in_error(ejected);
        assert!(!live.is_settled());
        let live = live.changed(none, error, now);
        assert!(!live.is_arriving(), "it is ejected still");
        let live = live.changed(none, ejected, now);
        assert!(live.is_arriving() && !live.is_settled());
        assert_eq!((live.status(), live.since()), (none, now));
        assert!(live.arrived().is_settled());
        assert_eq!(live.arrived().since(), now);
        let disabled = live.changed(none.with(Flag::Disabled), none, now + DELAY);
        assert!(disabled.is_arriving(), "an operator's flag is none of it");
        assert_eq!(disabled.since(), now);
        let failed = live.changed(error, none, now + DELAY);
        assert!(!failed.is_arriving());
        assert_eq!(failed.since(), now + DELAY);
    }
}
