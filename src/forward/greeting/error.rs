//! Why a greeting could not be read: [`GreetingError`].

use std::io;

/// Why the first bytes of a client could not be read, or what is wrong with them. The connection
/// is to be closed.
///
/// # Examples
///
/// ```
/// use equipoise::forward::{Greeting, GreetingError, GreetingLimits};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // It begins like TLS, but is none.
/// let sent: &[u8] = &[0x16, 3, 1, 0, 1, 0xff];
/// let error = Greeting::read(sent, &GreetingLimits::new()).await.unwrap_err();
/// assert!(matches!(error, GreetingError::Malformed { .. }));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GreetingError {
    /// The stream ended before it was clear what the client wants.
    #[error("the client ended the connection before its ClientHello was whole")]
    Ended,
    /// The stream failed.
    #[error("the client's first bytes could not be read")]
    Io {
        /// Why.
        source: io::Error,
    },
    /// It begins like TLS, but the ClientHello breaks the rules of TLS.
    #[error("the ClientHello is malformed: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The client began its ClientHello, and did not end it in time.
    #[error("the ClientHello took too long")]
    TimedOut,
    /// The ClientHello is longer than the limit.
    #[error("the ClientHello is longer than {limit} bytes")]
    TooLong {
        /// The limit, for all bytes that are read.
        limit: usize,
    },
}

/// What is wrong with a ClientHello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) &'static str);

impl From<Malformed> for GreetingError {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Malformed { what }
    }
}
