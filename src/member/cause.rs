//! Why a member failed: [`Cause`].
//!
//! Not here: how an error or a response is classified (`service`).

use std::fmt;
use std::sync::Arc;

/// Why a request failed on a member, or why the member was taken out of service.
///
/// The services and the proxy set it for each failure. Other callers choose one of these
/// variants, or describe the cause in words of their own.
///
/// # Examples
///
/// ```
/// use equipoise::member::Cause;
///
/// assert!(Cause::Refused.is_before_sending());
/// assert!(!Cause::TimedOut.is_before_sending());
/// assert_eq!(Cause::Status(503).to_string(), "responded with status 503");
/// assert_eq!(Cause::from("disk full").to_string(), "disk full");
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The connection broke after the request or a part of it was sent, and before the head
    /// of the response arrived.
    Broken,
    /// The body of the response ended early.
    BrokenBody,
    /// A health check failed.
    FailedCheck,
    /// A cause in the caller's own words.
    Other(Arc<str>),
    /// The connection was refused or could not be opened.
    Refused,
    /// The member responded with this status.
    Status(u16),
    /// The time limit of the attempt elapsed.
    TimedOut,
    /// The TLS handshake failed.
    Tls,
    /// The member's name resolved to no address.
    Unresolved,
    /// Nothing was sent, for a reason that has no variant here.
    Unsent,
}

impl Cause {
    /// Returns whether nothing of the request was sent to the member.
    #[must_use]
    pub const fn is_before_sending(&self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Tls | Self::Unresolved | Self::Unsent
        )
    }
}

impl From<&str> for Cause {
    fn from(words: &str) -> Self {
        Self::Other(words.into())
    }
}

impl From<String> for Cause {
    fn from(words: String) -> Self {
        Self::Other(words.into())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => f.pad("connection broken"),
            Self::BrokenBody => f.pad("response ended early"),
            Self::FailedCheck => f.pad("health check failed"),
            Self::Refused => f.pad("connection refused"),
            Self::Status(status) => write!(f, "responded with status {status}"),
            Self::TimedOut => f.pad("timed out"),
            Self::Tls => f.pad("TLS handshake failed"),
            Self::Unresolved => f.pad("name has no address"),
            Self::Unsent => f.pad("nothing was sent"),
            Self::Other(text) => f.pad(text),
        }
    }
}
