//! The error of reading a greeting: [`GreetingError`].

use std::io;

/// The reason why the first bytes of a client could not be read, or are invalid. The
/// connection should be closed.
///
/// # Examples
///
/// ```
/// use equipoise::forward::{Greeting, GreetingError, GreetingLimits};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // It begins like TLS, but is not.
/// let sent: &[u8] = &[0x16, 3, 1, 0, 1, 0xff];
/// let error = Greeting::read(sent, &GreetingLimits::new()).await.unwrap_err();
/// assert!(matches!(error, GreetingError::Malformed { .. }));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GreetingError {
    /// The stream ended before the kind of client was known.
    #[error("the client ended the connection before its ClientHello was complete")]
    Ended,
    /// The stream failed.
    #[error("the client's first bytes could not be read")]
    Io {
        /// The cause.
        source: io::Error,
    },
    /// It begins like TLS, but the ClientHello violates the rules of TLS.
    #[error("the ClientHello is malformed: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The client began its ClientHello, and did not finish it in time.
    #[error("the ClientHello was not complete within the time limit")]
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
