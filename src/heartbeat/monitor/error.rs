//! Why a report was dropped: [`ReportError`].

use crate::heartbeat::MessageError;
use crate::heartbeat::signature::{Unacceptable, Unverified};

/// Why a report was dropped.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::{HeartbeatMonitor, ReportError};
///
/// let monitor = HeartbeatMonitor::new();
/// let error = monitor.receive([10, 0, 0, 1].into(), b"v=1&busy=2").unwrap_err();
/// assert!(matches!(error, ReportError::Malformed(_)));
/// assert_eq!(error.to_string(), "it is no heartbeat");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is of no member, and as many other servers are remembered as may be.
    #[error("too many servers report that are no members")]
    Full,
    /// It cannot be read.
    #[error("it is no heartbeat")]
    Malformed(#[source] MessageError),
    /// The monitor has a key, and the message has no code.
    #[error("it is not signed")]
    NotSigned,
    /// It was signed at another time than now, or one of the clocks is wrong.
    #[error("the time of its signature is too far from the time here")]
    Outdated,
    /// It was received before, or its sender was seen at another address.
    #[error("it was received before")]
    Replayed,
    /// It was not signed with the key of the monitor, or was changed on its way.
    #[error("its signature is wrong")]
    WrongSignature,
}

impl From<MessageError> for ReportError {
    fn from(error: MessageError) -> Self {
        Self::Malformed(error)
    }
}

impl From<Unverified> for ReportError {
    fn from(why: Unverified) -> Self {
        match why {
            Unverified::NotSigned => Self::NotSigned,
            Unverified::Wrong => Self::WrongSignature,
        }
    }
}

impl From<Unacceptable> for ReportError {
    fn from(why: Unacceptable) -> Self {
        match why {
            Unacceptable::Full => Self::Full,
            Unacceptable::Outdated => Self::Outdated,
            Unacceptable::Replayed => Self::Replayed,
        }
    }
}
