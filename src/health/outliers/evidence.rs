//! Classifies an event of a request, as a pure function: [`Evidence`].
//!
//! Not here: counting (`tally.rs`).

use crate::member::{Cause, Ended, Outcome};

/// What one event of a request shows about its member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evidence {
    /// The response ended early, after a good head.
    BrokenAfterHead,
    /// The request failed; without a response head, unless the head itself is the failure.
    Failed(FailureKind),
    /// The response has a good head, or the member served without one.
    Good,
    /// A response with a good head was completed.
    GoodEnd,
}

/// The kind of failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FailureKind {
    /// A response with an error status, or another failure of the member.
    ErrorResponse,
    /// A response with 502, 503 or 504.
    Gateway,
    /// No response: connection refused, TLS, no address, connection broken, or timed out.
    Local,
}

/// Classifies a response head; `is_failure` classifies its status.
pub(super) fn of_head(status: Option<u16>, is_failure: impl Fn(u16) -> bool) -> Evidence {
    match status {
        Some(status) if is_failure(status) => Evidence::Failed(fault_of(status)),
        Some(_) | None => Evidence::Good,
    }
}

/// Classifies the end of a request, as far as its head was not counted.
pub(super) fn of_end(ended: &Ended, is_failure: impl Fn(u16) -> bool) -> Option<Evidence> {
    let has_response = ended.has_response;
    if ended.status.is_some_and(is_failure) {
        // The head has failed this attempt; the rest of the response does not matter.
        return None;
    }
    match (ended.outcome, &ended.cause) {
        (Outcome::Success, _) if has_response => Some(Evidence::GoodEnd),
        (Outcome::Success, _) => Some(Evidence::Good),
        (Outcome::Failure, _) if has_response => Some(Evidence::BrokenAfterHead),
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
            Some(_) | None => FailureKind::ErrorResponse,
        })),
        (Outcome::Cancelled, _) => None,
    }
}

fn fault_of(status: u16) -> FailureKind {
    if matches!(status, 502..=504) {
        FailureKind::Gateway
    } else {
        FailureKind::ErrorResponse
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, FailureKind, of_end, of_head};
    use crate::member::{Cause, Ended, Outcome};

    fn is_failure(status: u16) -> bool {
        status >= 500
    }

    /// `head` is `None` without a response head, and otherwise has its status.
    fn ended(outcome: Outcome, cause: Option<Cause>, head: Option<Option<u16>>) -> Ended {
        Ended {
            outcome,
            cause,
            at: None,
            elapsed: None,
            time_to_head: None,
            has_response: head.is_some(),
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
            (Some(500), Evidence::Failed(FailureKind::ErrorResponse)),
            (Some(501), Evidence::Failed(FailureKind::ErrorResponse)),
            (Some(502), Evidence::Failed(FailureKind::Gateway)),
            (Some(503), Evidence::Failed(FailureKind::Gateway)),
            (Some(504), Evidence::Failed(FailureKind::Gateway)),
            (Some(505), Evidence::Failed(FailureKind::ErrorResponse)),
        ];
        for (status, evidence) in table {
            assert_eq!(of_head(status, is_failure), evidence, "{status:?}");
        }
    }

    #[test]
    fn the_end_of_a_request_adds_only_what_its_head_did_not_show() {
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
                failed(FailureKind::ErrorResponse),
            ),
            (Failure, None, none, failed(FailureKind::ErrorResponse)),
        ];
        for (outcome, cause, head, evidence) in table {
            let end = ended(outcome, cause, head);
            assert_eq!(of_end(&end, is_failure), evidence, "{end:?}");
        }
    }
}
