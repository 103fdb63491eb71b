//! When a member in error may be tried again: the retry rule, and the word that combines a
//! member's status with the time of its last change of health.
//!
//! Not here: which members serve when none is usable; that is the table in
//! `snapshot`.

use std::time::Duration;

use super::{Flag, Status};
use crate::clock::Timestamp;

/// A member's status together with a time, in one word, so that the end of an old error
/// cannot clear a new one.
///
/// While the member is in error, the time is that of the last error; otherwise it is the
/// time since which its health is good. The status has 15 bits. One more bit is set if the
/// member joined or recovered at that time and its ramp, if it has one, is not over yet.
/// Time is stored in steps of 0.1 ms: 48 bits of them cover the range of every timestamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LiveStatus(u64);

const STATUS_BITS: u32 = 16;
const STATUS: u64 = (1 << (STATUS_BITS - 1)) - 1;
const RAMPING: u64 = 1 << (STATUS_BITS - 1);
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

    /// Returns the time of the last error, or of the last join or recovery.
    pub(crate) const fn since(self) -> Timestamp {
        Timestamp::from_nanos((self.0 >> STATUS_BITS) * STEP_NANOS)
    }

    pub(crate) const fn with_status(self, status: Status) -> Self {
        Self(self.0 & !STATUS | status.bits() as u64)
    }

    /// Returns a copy that is marked as joined or recovered at `now`.
    pub(crate) const fn with_ramp_started(self, now: Timestamp) -> Self {
        Self(Self::new(self.status(), now).0 | RAMPING)
    }

    /// Returns a copy whose ramp is over.
    pub(crate) const fn with_ramp_ended(self) -> Self {
        Self(self.0 & !RAMPING)
    }

    /// Returns whether the member's state does not change as time passes: it has no outage
    /// that ends by itself, and no ramp.
    #[inline]
    pub(crate) const fn is_settled(self) -> bool {
        self.0 & (RAMPING | Status::TIMED.bits() as u64) == 0
    }

    /// Returns whether a ramp may be in progress.
    pub(crate) const fn may_ramp(self) -> bool {
        self.0 & RAMPING != 0
    }

    /// Returns a copy after a change of flags at `now`. The flags before and after show
    /// whether the last outage has ended or a new error has begun.
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
            return changed.with_ramp_started(now);
        }
        changed
    }

    /// Applies the retry rule: returns what to do with a member whose error lasts for
    /// `delay`.
    ///
    /// Apache (`ap_proxy_retry_worker`) requires *more* than the delay, in microseconds.
    /// Here the delay itself is enough, so that a delay of 0 means at once, also on a clock
    /// that stands still.
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

/// The result of the retry rule for a member.
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
    fn a_ramp_starts_when_the_last_outage_ends() {
        let (now, none) = (SINCE + DELAY, Status::NORMAL);
        let ejected = Status::NORMAL.with(Flag::Ejected);
        let error = Status::NORMAL.with(Flag::InError);
        let live = in_error(ejected);
        assert!(!live.is_settled());
        let live = live.changed(none, error, now);
        assert!(!live.may_ramp(), "it is still ejected");
        let live = live.changed(none, ejected, now);
        assert!(live.may_ramp() && !live.is_settled());
        assert_eq!((live.status(), live.since()), (none, now));
        assert!(live.with_ramp_ended().is_settled());
        assert_eq!(live.with_ramp_ended().since(), now);
        let disabled = live.changed(none.with(Flag::Disabled), none, now + DELAY);
        assert!(disabled.may_ramp(), "an operator's flag is not health");
        assert_eq!(disabled.since(), now);
        let failed = live.changed(error, none, now + DELAY);
        assert!(!failed.may_ramp());
        assert_eq!(failed.since(), now + DELAY);
    }
}
