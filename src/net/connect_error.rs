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
    /// Returns whether this machine has run out of descriptors, memory or local ports. That
    /// says nothing about the member.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::ConnectError;
    /// use std::io::{Error, ErrorKind};
    ///
    /// let no_port = ConnectError::Open { source: ErrorKind::AddrNotAvailable.into() };
    /// assert!(no_port.is_exhaustion());
    /// let refused = ConnectError::Open { source: ErrorKind::ConnectionRefused.into() };
    /// assert!(!refused.is_exhaustion());
    /// ```
    #[must_use]
    pub fn is_exhaustion(&self) -> bool {
        match self {
            Self::Open { source } | Self::Resolve { source, .. } => is_exhaustion(source),
            Self::Secure { .. } | Self::TimedOut { .. } => false,
        }
    }

    pub(super) fn open(source: io::Error) -> Self {
        Self::Open { source }
    }

    pub(super) fn timed_out() -> Self {
        let source = io::ErrorKind::TimedOut.into();
        Self::TimedOut { source }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    // Every local port is taken; or the address is of a kind that this machine has none of.
    error.kind() == io::ErrorKind::AddrNotAvailable || is_shortage(error)
}

/// Whether this machine has run out of descriptors or memory. The numbers are those of Unix and
/// of Winsock for which there is no [`io::ErrorKind`].
pub(super) fn is_shortage(error: &io::Error) -> bool {
    const NUMBERS: &[i32] = if cfg!(windows) {
        &[10_024, 10_055]
    } else if cfg!(any(target_os = "linux", target_os = "android")) {
        &[23, 24, 105]
    } else {
        &[23, 24, 55]
    };
    let number = error.raw_os_error();
    number.is_some_and(|number| NUMBERS.contains(&number))
        || error.kind() == io::ErrorKind::OutOfMemory
}
