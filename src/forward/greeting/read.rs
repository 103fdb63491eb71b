//! Reading the first bytes of a client, within limits: [`Greeting`], [`GreetingLimits`].
//!
//! Not here: how the bytes are parsed (`records`, `client_hello`).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::client_hello::ClientHello;
use super::error::GreetingError;
use super::records::{GreetingKind, Records};
use crate::net::Replayed;
use crate::timer::timeout;

/// What a client has sent first, before any response.
///
/// # Examples
///
/// Distinguishes connections by their first bytes, and does not lose any byte:
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
    /// Nothing within the time limit: in the client's protocol the server speaks first, or
    /// the client is idle.
    Silence,
    /// TLS with a hello in the form of SSL 2.0, which contains no host name.
    Ssl2,
}

/// Limits for reading the first bytes of a client.
///
/// | limit | default | set by | beyond it |
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
    /// Creates the default limits.
    pub const fn new() -> Self {
        Self {
            bytes: 16 * 1024,
            time: Duration::from_secs(10),
        }
    }

    /// Limits how many bytes are read. All bytes count: the ClientHello, the records around
    /// it, and what a client sent after it. Most clients send less than 2 KiB.
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Limits how long reading may take, from the call on.
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

/// Practically no limit, and short enough that no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The size of the first read. It suffices for most clients.
const FIRST: usize = 2 * 1024;

impl Greeting {
    /// Reads the first bytes of a client until their kind is known. The returned stream
    /// replays all of them.
    ///
    /// A client without TLS is recognized by its first bytes, in most cases by the first
    /// one: the function never waits for bytes that such a client would not send. Memory is
    /// allocated as bytes arrive, beginning with 2 KiB.
    ///
    /// # Errors
    ///
    /// Fails if the stream fails or ends before that, or if the client begins like TLS and
    /// then violates TLS, takes too long, or sends too much.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with `enable_time`.
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

/// A stream, and the bytes read from it.
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
                // The capacity doubles.
                self.read.reserve(self.read.len().max(FIRST).min(left));
            }
            let mut room = (&mut self.read).limit(left);
            match self.stream.read_buf(&mut room).await {
                Ok(0) if self.read.is_empty() || self.records.is_tls() => {
                    return Err(GreetingError::Ended);
                }
                // One or two bytes that TLS could begin with.
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

    /// Returns the bytes read, without spare capacity.
    fn kept(&mut self) -> Bytes {
        Bytes::copy_from_slice(&self.read)
    }
}
