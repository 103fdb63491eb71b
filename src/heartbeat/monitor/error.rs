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
/// assert_eq!(error.to_string(), "the message is not a heartbeat");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The sender is not a member, and the limit of such servers is reached.
    #[error("too many servers report that are not members")]
    Full,
    /// The message cannot be parsed.
    #[error("the message is not a heartbeat")]
    Malformed(#[source] MessageError),
    /// The monitor has a key, and the message has no signature.
    #[error("the message is not signed")]
    NotSigned,
    /// The time of the signature differs too much from the local time.
    #[error("the time of the signature differs too much from the local time")]
    Outdated,
    /// The message was received before, or its sender was seen at another address.
    #[error("the message was received before")]
    Replayed,
    /// The message was not signed with the key of the monitor, or was changed afterwards.
    #[error("the signature is wrong")]
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
