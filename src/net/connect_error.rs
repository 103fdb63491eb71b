//! The error of opening a connection: [`ConnectError`].

use std::io;

/// The reason why a [`Connector`](super::Connector) did not open a connection. The member
/// has not received anything that it could act on.
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
    /// Nothing listens at the address, it is unreachable, or this machine has no descriptor
    /// left.
    #[error("the connection cannot be opened")]
    Open {
        /// The cause.
        source: io::Error,
    },
    /// The name does not resolve.
    #[error("the name {name:?} cannot be resolved")]
    Resolve {
        /// The name.
        name: String,
        /// The cause; if this machine had no descriptor left for the lookup, that shortage.
        source: io::Error,
    },
    /// The time limit passed.
    #[error("connecting timed out")]
    TimedOut {
        /// [`io::ErrorKind::TimedOut`].
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls {
        /// The cause.
        source: io::Error,
    },
}

impl ConnectError {
    /// Returns whether this machine has run out of descriptors, memory or local ports. Such
    /// an error does not concern the member.
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
            Self::TimedOut { .. } | Self::Tls { .. } => false,
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
    // Every local port is in use, or this machine has no address of that version of IP.
    error.kind() == io::ErrorKind::AddrNotAvailable || is_shortage(error)
}

/// Returns whether this machine has run out of descriptors or memory. The numbers are the
/// error codes of Unix and of Winsock that have no [`io::ErrorKind`].
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
