//! Why a request failed: [`BalanceError`].

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::balancer::PickError;
use crate::member::Cause;

/// Any error, as inner services return it.
///
/// # Examples
///
/// ```
/// use equipoise::service::BoxError;
///
/// let error: BoxError = "no route to host".into();
/// assert_eq!(error.to_string(), "no route to host");
/// ```
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request got no response from any member.
///
/// # Examples
///
/// ```
/// use equipoise::PickError;
/// use equipoise::service::BalanceError;
/// use http::StatusCode;
///
/// let error = BalanceError::from(PickError::Empty);
/// assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
/// assert_eq!(error.to_string(), "no member could be picked");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BalanceError {
    /// This machine has no descriptors, local ports or memory left for a connection to a
    /// member. No member is put in error for this.
    #[error("no descriptors, local ports or memory left for a connection")]
    Exhausted {
        /// The error of the inner service.
        source: BoxError,
    },
    /// The last member that was tried failed, and there is no other one to try, or the
    /// request must not be sent again.
    #[error("member {member:?} failed in attempt {attempts}")]
    Member {
        /// The member's name.
        member: Arc<str>,
        /// The number of attempts.
        attempts: u32,
        /// Whether the member exceeded a time limit.
        timed_out: bool,
        /// Whether it is certain that no member received a byte of the request.
        nothing_sent: bool,
        /// Why it failed.
        cause: Cause,
        /// The error of the inner service.
        source: BoxError,
    },
    /// The inner service that all members share was not ready, or failed before a member
    /// was picked.
    #[error("the inner service failed before a member was picked")]
    NotReady {
        /// The error of the inner service.
        source: BoxError,
    },
    /// The last member that was tried had no room for the request, and neither had the
    /// others that could take it. None of them received a byte of it.
    #[error(
        "member {member:?} is overloaded in attempt {attempts}, and no other can take the request"
    )]
    Overloaded {
        /// The member's name.
        member: Arc<str>,
        /// The number of attempts.
        attempts: u32,
        /// The error of the inner service.
        source: BoxError,
    },
    /// No member could be picked.
    #[error("no member could be picked")]
    Pick(
        /// The reason.
        #[from]
        #[source]
        PickError,
    ),
    /// The member of the request's session failed, and the session allows no other member.
    #[error(
        "member {member:?} failed in attempt {attempts}, and session route {route:?} allows no other"
    )]
    SessionLost {
        /// The member's name.
        member: Arc<str>,
        /// The session's route.
        route: Arc<str>,
        /// The number of attempts.
        attempts: u32,
        /// Whether it is certain that no member received a byte of the request.
        nothing_sent: bool,
        /// Why it failed.
        cause: Cause,
        /// The error of the inner service.
        source: BoxError,
    },
    /// The request itself, or its client, is at fault.
    #[error("request rejected with status {}", status.as_u16())]
    Request {
        /// 400 if the client broke off its body, 408 if the body was too slow, 414 if the
        /// URI is too long for the member, or the status of a
        /// [`RequestError`](super::RequestError) of your own.
        status: StatusCode,
        /// The reason.
        source: BoxError,
    },
}

impl BalanceError {
    /// Returns the HTTP status for this error: 502 if a member failed, 504 if it exceeded a
    /// time limit, 503 if no member could take the request, and the status of a
    /// [`Request`](Self::Request).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Member {
                timed_out: true, ..
            } => StatusCode::GATEWAY_TIMEOUT,
            Self::Member { .. } => StatusCode::BAD_GATEWAY,
            Self::Exhausted { .. }
            | Self::NotReady { .. }
            | Self::Overloaded { .. }
            | Self::Pick(_)
            | Self::SessionLost { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Request { status, .. } => *status,
        }
    }

    /// Returns why the last member that was tried failed, if one was tried.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::member::Cause;
    /// use equipoise::service::BalanceError;
    ///
    /// /// Returns whether another site may serve the request.
    /// fn is_unreachable(error: &BalanceError) -> bool {
    ///     error.cause().is_some_and(Cause::is_before_sending)
    /// }
    /// # assert!(!is_unreachable(&equipoise::PickError::Empty.into()));
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Member { cause, .. } | Self::SessionLost { cause, .. } => Some(cause),
            Self::Overloaded { .. } => Some(&Cause::Unsent),
            Self::Exhausted { .. }
            | Self::NotReady { .. }
            | Self::Pick(_)
            | Self::Request { .. } => None,
        }
    }

    /// Returns the delay after which a retry may succeed, if that is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::PickError;
    /// use equipoise::service::BalanceError;
    ///
    /// assert_eq!(BalanceError::from(PickError::Empty).retry_after(), None);
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Pick(error) => error.retry_after(),
            Self::Exhausted { .. }
            | Self::Member { .. }
            | Self::NotReady { .. }
            | Self::Overloaded { .. }
            | Self::Request { .. }
            | Self::SessionLost { .. } => None,
        }
    }
}

/// A limit of [`Timeouts`](super::Timeouts) was exceeded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Elapsed {
    #[error("the response did not start in time")]
    Response,
    #[error("the member was not ready in time")]
    Ready,
    #[error("the request body did not arrive in time")]
    Upload,
}

/// A failed attempt has read the body, which cannot be sent again.
#[derive(Debug, thiserror::Error)]
#[error("the request body cannot be sent again")]
pub(super) struct BodyGone;

#[cfg(test)]
mod tests {
    use super::{BalanceError, BodyGone, Elapsed};
    use crate::balancer::PickError;
    use crate::member::Cause;
    use http::StatusCode;
    use std::error::Error;
    use std::time::Duration;

    #[test]
    fn errors_read_as_sentences_that_help() {
        let member = |timed_out| BalanceError::Member {
            member: "a".into(),
            attempts: 2,
            timed_out,
            nothing_sent: false,
            cause: Cause::TimedOut,
            source: Elapsed::Response.into(),
        };
        assert_eq!(member(true).to_string(), "member \"a\" failed in attempt 2");
        assert_eq!(
            member(true).source().unwrap().to_string(),
            "the response did not start in time"
        );
        assert_eq!(member(true).cause(), Some(&Cause::TimedOut));
        assert_eq!(member(true).status(), 504);
        assert_eq!(member(false).status(), 502);
        let overloaded = BalanceError::Overloaded {
            member: "a".into(),
            attempts: 3,
            source: "no room".into(),
        };
        assert_eq!(
            overloaded.to_string(),
            "member \"a\" is overloaded in attempt 3, and no other can take the request"
        );
        assert_eq!(overloaded.cause(), Some(&Cause::Unsent));
        assert_eq!(overloaded.status(), 503);
        assert!(overloaded.retry_after().is_none());
        let source = Elapsed::Ready.into();
        let not_ready = BalanceError::NotReady { source };
        assert_eq!(
            not_ready.to_string(),
            "the inner service failed before a member was picked"
        );
        assert_eq!(
            not_ready.source().unwrap().to_string(),
            "the member was not ready in time"
        );
        assert_eq!(not_ready.status(), 503);
        let source = "too many open files".into();
        let exhausted = BalanceError::Exhausted { source };
        let said = "no descriptors, local ports or memory left for a connection";
        assert_eq!(exhausted.to_string(), said);
        assert_eq!(exhausted.status(), 503);
        let slow = BalanceError::Request {
            status: StatusCode::REQUEST_TIMEOUT,
            source: Elapsed::Upload.into(),
        };
        assert_eq!(slow.to_string(), "request rejected with status 408");
        assert_eq!(
            slow.source().unwrap().to_string(),
            "the request body did not arrive in time"
        );
        assert_eq!(slow.status(), 408);
        assert_eq!(
            BodyGone.to_string(),
            "the request body cannot be sent again"
        );
    }

    #[test]
    fn a_failed_pick_says_when_to_come_again() {
        let error = BalanceError::from(PickError::NoneUsable {
            members: 1,
            tried: 0,
            retry_after: Some(Duration::from_secs(9)),
        });
        assert_eq!(error.to_string(), "no member could be picked");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
        assert_eq!(error.status(), 503);
    }
}
