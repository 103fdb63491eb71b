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
    let is_answered = ended.is_answered;
    if ended.status.is_some_and(is_failure) {
        // The head has failed this attempt, whatever became of the rest of the answer.
        return None;
    }
    match (ended.outcome, &ended.cause) {
        (Outcome::Success, _) if is_answered => Some(Evidence::GoodEnd),
        (Outcome::Success, _) => Some(Evidence::Good),
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

    fn is_failure(status: u16) -> bool {
        status >= 500
    }

    /// `head` is `None` without one, and has the status that it has.
    fn ended(outcome: Outcome, cause: Option<Cause>, head: Option<Option<u16>>) -> Ended {
        Ended {
            outcome,
            cause,
            elapsed: None,
            time_to_head: None,
            is_answered: head.is_some(),
            status: head.flatten(),
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
        let (none, good, bad) = (None, Some(Some(200)), Some(Some(503)));
        let status = || Some(Cause::Status(503));
        let broken = Some(Evidence::BrokenAfterHead);
        let table = [
            (Success, None, good, Some(Evidence::GoodEnd)),
            (Success, None, Some(None), Some(Evidence::GoodEnd)),
            (Success, None, none, Some(Evidence::Good)),
            (Success, None, bad, None),
            (Cancelled, None, good, None),
            (Cancelled, Some(Cause::TimedOut), none, None),
            (Failure, status(), bad, None),
            (Failure, Some(Cause::BrokenBody), bad, None),
            (Failure, Some(Cause::TimedOut), bad, None),
            (Failure, None, bad, None),
            (Failure, Some(Cause::Status(404)), Some(Some(404)), broken),
            (Failure, Some(Cause::BrokenBody), good, broken),
            (Failure, status(), Some(None), broken),
            (Failure, status(), none, failed(FailureKind::Gateway)),
            (
                Failure,
                Some(Cause::Refused),
                none,
                failed(FailureKind::Local),
            ),
            (
                Failure,
                Some(Cause::TimedOut),
                none,
                failed(FailureKind::Local),
            ),
            (Failure, Some(Cause::Tls), none, failed(FailureKind::Local)),
            (
                Failure,
                Some(Cause::Unresolved),
                none,
                failed(FailureKind::Local),
            ),
            (
                Failure,
                Some(Cause::Broken),
                none,
                failed(FailureKind::Local),
            ),
            (
                Failure,
                Some("disk full".into()),
                none,
                failed(FailureKind::Answered),
            ),
            (Failure, None, none, failed(FailureKind::Answered)),
        ];
        for (outcome, cause, head, evidence) in table {
            let end = ended(outcome, cause, head);
            assert_eq!(of_end(&end, is_failure), evidence, "{end:?}");
        }
    }
}
