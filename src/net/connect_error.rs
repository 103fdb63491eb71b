//! Why no connection could be opened: [`ConnectError`].

use std::io;

/// Why a [`Connector`](super::Connector) opened no connection. Nothing was sent that a member
/// could act on.
///
/// # Examples
///
/// ```
/// use equipoise::net::{ConnectError, Connector};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // Nothing listens there.
/// let error = Connector::tcp(([127, 0, 0, 1], 1).into()).connect().await.unwrap_err();
/// assert!(matches!(error, ConnectError::Open { .. }));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing listens there, no way leads there, or this machine has no descriptor left.
    #[error("the connection cannot be opened")]
    Open {
        /// Why.
        source: io::Error,
    },
    /// The name does not resolve.
    #[error("the name {name:?} cannot be resolved")]
    Resolve {
        /// Which.
        name: String,
        /// Why; if this machine has no descriptor left to ask with, that.
        source: io::Error,
    },
    /// The handshake of TLS failed.
    #[error("TLS failed")]
    Secure {
        /// Why.
        source: io::Error,
    },
    /// The time limit passed.
    #[error("it took too long to connect")]
    TimedOut {
        /// [`io::ErrorKind::TimedOut`].
        source: io::Error,
    },
}

impl ConnectError {
    pub(super) fn open(source: io::Error) -> Self {
        Self::Open { source }
    }

    pub(super) fn timed_out() -> Self {
        let source = io::ErrorKind::TimedOut.into();
        Self::TimedOut { source }
    }
}
