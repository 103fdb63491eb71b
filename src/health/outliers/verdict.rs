//! What an event tells of a member, as a pure function: [`Evidence`].
//!
//! What does not live here: what is counted of it (`tally.rs`).

use crate::member::{Cause, Ended, Outcome};

/// What one event of a request tells of its member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evidence {
    /// It broke after a head that had been good.
    BrokenAfterHead,
    /// It failed; before a head, if it was not the head that failed it.
    Failed(FailureKind),
    /// Its answer began well, or it was served without one.
    Good,
    /// An answer that began well has also ended well.
    GoodEnd,
}

/// In what way it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailureKind {
    /// It answered with an error, or failed in another way that is its own.
    Answered,
    /// It answered with 502, 503 or 504.
    Gateway,
    /// No answer came: connection refused, TLS, no address, broken off, or timed out.
    Local,
}

/// What the head of an answer tells; `is_failure` decides on its status.
pub(super) fn of_head(status: Option<u16>, is_failure: impl Fn(u16) -> bool) -> Evidence {
    match status {
        Some(status) if is_failure(status) => Evidence::Failed(fault_of(status)),
        Some(_) | None => Evidence::Good,
    }
}

/// What the end of a request tells, beyond what its head has told.
pub(super) fn of_end(ended: &Ended, is_failure: impl Fn(u16) -> bool) -> Option<Evidence> {
    let is_answered = ended.time_to_head.is_some();
    match (ended.outcome, &ended.cause) {
        (Outcome::Success, _) if is_answered => Some(Evidence::GoodEnd),
        (Outcome::Success, _) => Some(Evidence::Good),
        (Outcome::Failure, Some(Cause::Status(status))) if is_answered && is_failure(*status) => {
            None
        }
        (Outcome::Failure, _) if is_answered => Some(Evidence::BrokenAfterHead),
        (Outcome::Failure, cause) => Some(Evidence::Failed(match cause {
            Some(Cause::Status(status)) => fault_of(*status),
            Some(
                Cause::Broken
                | Cause::Refused
                | Cause::TimedOut
                | Cause::Tls
                | Cause::Unresolved
                | Cause::Unsent,
            ) => FailureKind::Local,
            Some(_) | None => FailureKind::Answered,
        })),
        (Outcome::Cancelled, _) => None,
    }
}

fn fault_of(status: u16) -> FailureKind {
    if matches!(status, 502..=504) {
        FailureKind::Gateway
    } else {
        FailureKind::Answered
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, FailureKind, of_end, of_head};
    use crate::member::{Cause, Ended, Outcome};
    use std::time::Duration;

    fn is_failure(status: u16) -> bool {
        status >= 500
    }

    fn ended(outcome: Outcome, cause: Option<Cause>, answered: bool) -> Ended {
        Ended {
            outcome,
            cause,
            elapsed: None,
            time_to_head: answered.then_some(Duration::ZERO),
            bytes_sent: 0,
            bytes_received: 0,
        }
    }

    #[test]
    fn heads_are_judged_by_their_status() {
        let table = [
            (None, Evidence::Good),
            (Some(200), Evidence::Good),
            (Some(404), Evidence::Good),
            (Some(500), Evidence::Failed(FailureKind::Answered)),
            (Some(501), Evidence::Failed(FailureKind::Answered)),
            (Some(502), Evidence::Failed(FailureKind::Gateway)),
            (Some(503), Evidence::Failed(FailureKind::Gateway)),
            (Some(504), Evidence::Failed(FailureKind::Gateway)),
            (Some(505), Evidence::Failed(FailureKind::Answered)),
        ];
        for (status, evidence) in table {
            assert_eq!(of_head(status, is_failure), evidence, "{status:?}");
        }
    }

    #[test]
    fn an_end_tells_only_what_its_head_has_not_told() {
        use Outcome::{Cancelled, Failure, Success};
        let failed = |fault| Some(Evidence::Failed(fault));
        let table = [
            (Success, None, true, Some(Evidence::GoodEnd)),
            (Success, None, false, Some(Evidence::Good)),
            (Cancelled, None, true, None),
            (Cancelled, Some(Cause::TimedOut), false, None),
            (Failure, Some(Cause::Status(503)), true, None),
            (
                Failure,
                Some(Cause::Status(404)),
                true,
                Some(Evidence::BrokenAfterHead),
            ),
            (
                Failure,
                Some(Cause::BrokenBody),
                true,
                Some(Evidence::BrokenAfterHead),
            ),
            (
                Failure,
                Some(Cause::Status(503)),
                false,
                failed(FailureKind::Gateway),
            ),
            (
                Failure,
                Some(Cause::Refused),
                false,
                failed(FailureKind::Local),
            ),
            (
                Failure,
                Some(Cause::TimedOut),
                false,
                failed(FailureKind::Local),
            ),
            (Failure, Some(Cause::Tls), false, failed(FailureKind::Local)),
            (
                Failure,
                Some(Cause::Unresolved),
                false,
                failed(FailureKind::Local),
            ),
            (
                Failure,
                Some(Cause::Broken),
                false,
                failed(FailureKind::Local),
            ),
            (
                Failure,
                Some("disk full".into()),
                false,
                failed(FailureKind::Answered),
            ),
            (Failure, None, false, failed(FailureKind::Answered)),
        ];
        for (outcome, cause, answered, evidence) in table {
            let end = ended(outcome, cause, answered);
            assert_eq!(of_end(&end, is_failure), evidence, "{end:?}");
        }
    }
}
