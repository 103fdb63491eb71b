//! When a member in error may be tried again: the retry rule, and the word that
//! keeps status and time of the error together.
//!
//! What does not live here: who comes to the rescue when nobody is usable; that is
//! the table in `snapshot`.

use std::time::Duration;

use super::{Flag, Status};
use crate::clock::Timestamp;

/// A member's status together with the time at which it was last put in error, as
/// one word, so that an old error that is forgiven cannot wipe out a new one.
///
/// The status has 16 bits. Time is kept in steps of 0.1 ms: 48 bits of them last
/// longer than any timestamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LiveStatus(u64);

const STATUS_BITS: u32 = 16;
const STATUS: u64 = (1 << STATUS_BITS) - 1;
const STEP_NANOS: u64 = 100_000;

impl LiveStatus {
    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    pub(crate) const fn new(status: Status, error_since: Timestamp) -> Self {
        let steps = error_since.as_nanos() / STEP_NANOS;
        Self(steps << STATUS_BITS | status.bits() as u64)
    }

    pub(crate) const fn status(self) -> Status {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
        Status::from_bits(self.0 as u16)
    }

    pub(crate) const fn error_since(self) -> Timestamp {
        Timestamp::from_nanos((self.0 >> STATUS_BITS) * STEP_NANOS)
    }

    pub(crate) const fn with_status(self, status: Status) -> Self {
        Self(self.0 & !STATUS | status.bits() as u64)
    }

    /// The retry rule.
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
        let due = self.error_since() + delay;
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
        assert_eq!(live.error_since(), SINCE);
        assert_eq!(live.status(), Status::NORMAL.with(Flag::Stopped));
    }
}
