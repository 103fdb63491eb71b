//! Reading what a client sends first, within limits: [`Greeting`], [`GreetingLimits`].
//!
//! What does not live here: how the bytes are understood (`records`, `client_hello`).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::client_hello::ClientHello;
use super::error::GreetingError;
use super::records::{GreetingKind, Records};
use crate::net::Replayed;
use crate::timer::timeout;

/// What a client has sent first, without having been answered.
///
/// # Examples
///
/// Connections are told apart by what they begin with, and nothing of it is lost.
///
/// ```
/// use equipoise::forward::{Greeting, GreetingLimits};
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client: &[u8] = b"SSH-2.0-client\r\n";
/// let (greeting, mut stream) = Greeting::read(client, &GreetingLimits::new()).await?;
/// match greeting {
///     Greeting::ClientHello(hello) => println!("TLS for {:?}", hello.server_name()),
///     other => println!("no TLS: {other:?}"),
/// }
///
/// let mut all = String::new();
/// stream.read_to_string(&mut all).await?;
/// assert_eq!(all, "SSH-2.0-client\r\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Greeting {
    /// TLS, or SSL 3.0.
    ClientHello(ClientHello),
    /// Anything else.
    NotTls,
    /// Nothing in the time that there was: a protocol in which the server speaks first, or a
    /// client that is idle.
    Silence,
    /// TLS by a hello in the form of SSL 2.0, which names no host.
    Ssl2,
}

/// How much of a client is read, and for how long, until it is clear what it wants.
///
/// | limit | by default | set by | beyond it |
/// |---|---|---|---|
/// | bytes | 16 KiB | [`with_bytes`](Self::with_bytes) | an error |
/// | time | 10 s | [`with_time`](Self::with_time) | an error, or [`Greeting::Silence`] |
///
/// # Examples
///
/// ```
/// use equipoise::forward::GreetingLimits;
/// use std::time::Duration;
///
/// let limits = GreetingLimits::new()
///     .with_bytes(64 * 1024)
///     .with_time(Duration::from_secs(3));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct GreetingLimits {
    bytes: usize,
    time: Duration,
}

impl GreetingLimits {
    /// Creates the limits above.
    pub const fn new() -> Self {
        Self {
            bytes: 16 * 1024,
            time: Duration::from_secs(10),
        }
    }

    /// Limits how many bytes are read: those of the ClientHello, of the records that it comes
    /// in, and what a client may have sent after it. Most have less than 2 KiB.
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Limits how long it may take, from the call on.
    pub fn with_time(self, time: Duration) -> Self {
        let time = time.min(LONGEST);
        Self { time, ..self }
    }
}

impl Default for GreetingLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// As good as without limit, and no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// So much is read at first. It is enough for most.
const FIRST: usize = 2 * 1024;

impl Greeting {
    /// Reads what a client sends, until it is clear what that is. The stream that is returned
    /// gives all of it once more.
    ///
    /// What is not TLS is known by its first bytes, mostly by the first one: nothing waits for
    /// bytes that such a client would not send. Memory is taken as bytes come, 2 KiB at first.
    ///
    /// # Errors
    ///
    /// If the stream fails or ends before that, or the client begins like TLS, but goes on
    /// otherwise, takes too long, or sends too much.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the stream.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_time`.
    pub async fn read<S>(
        stream: S,
        limits: &GreetingLimits,
    ) -> Result<(Self, Replayed<S>), GreetingError>
    where
        S: AsyncRead + Unpin,
    {
        let mut reading = GreetingReader {
            stream,
            read: BytesMut::new(),
            records: Records::default(),
        };
        let greeting = match timeout(limits.time, reading.greeting(limits.bytes)).await {
            Ok(greeting) => greeting?,
            Err(_) if reading.read.is_empty() => Self::Silence,
            Err(_) if reading.records.is_tls() => return Err(GreetingError::TimedOut),
            Err(_) => Self::NotTls,
        };
        Ok((greeting, Replayed::new(reading.kept(), reading.stream)))
    }
}

/// A stream, and what has been read of it.
struct GreetingReader<S> {
    stream: S,
    read: BytesMut,
    records: Records,
}

impl<S: AsyncRead + Unpin> GreetingReader<S> {
    async fn greeting(&mut self, limit: usize) -> Result<Greeting, GreetingError> {
        loop {
            let left = limit.saturating_sub(self.read.len());
            if left == 0 {
                return Err(GreetingError::TooLong { limit });
            }
            if self.read.spare_capacity_mut().is_empty() {
                // As much again as has come.
                self.read.reserve(self.read.len().max(FIRST).min(left));
            }
            let mut room = (&mut self.read).limit(left);
            match self.stream.read_buf(&mut room).await {
                Ok(0) if self.read.is_empty() || self.records.is_tls() => {
                    return Err(GreetingError::Ended);
                }
                // A byte or two that TLS could begin with.
                Ok(0) => return Ok(Greeting::NotTls),
                Ok(_) => {}
                Err(source) => return Err(GreetingError::Io { source }),
            }
            match self.records.look(&self.read, limit)? {
                GreetingKind::Hello(hello) => return Ok(Greeting::ClientHello(hello)),
                GreetingKind::NotTls => return Ok(Greeting::NotTls),
                GreetingKind::Ssl2 => return Ok(Greeting::Ssl2),
                GreetingKind::More => {}
            }
        }
    }

    /// What has been read, without the room that was made for more.
    fn kept(&mut self) -> Bytes {
        Bytes::copy_from_slice(&self.read)
    }
}
