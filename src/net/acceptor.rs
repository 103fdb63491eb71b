//! Connections of clients, each given to a task: [`Acceptor`].
//!
//! What does not live here: the loop that accepts (`accept`), and what comes before the
//! first byte (`opening`).

use std::time::Duration;

use ipnet::IpNet;

use super::accept::{Accepting, Arrived};
use super::accepted::Accepted;
use super::descriptors::default_connections;
use super::listener::Listener;
use super::opening::Opening;
use super::stopped::Stopped;
#[cfg(feature = "forward")]
use super::stopping::Stopping;

/// Accepts connections within limits, runs a task for each, and stops gracefully.
///
/// | limit | by default | set by | beyond it |
/// |---|---|---|---|
/// | connections | 10 000, or as descriptors allow | [`max_connections`](Self::max_connections) | wait for a place |
/// | time for a PROXY header and TLS | 10 s | [`handshake_timeout`](Self::handshake_timeout) | cut |
/// | for what runs, once it stops | 30 s | [`drain_timeout`](Self::drain_timeout) | cut |
///
/// A connection whose PROXY header or handshake fails is closed, and the task never sees it.
///
/// # Examples
///
/// ```
/// use equipoise::net::{Acceptor, Connector, Listener};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
/// let address = listener.local_addr().ok_or("no address")?;
/// let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
/// let serving = tokio::spawn(Acceptor::new().serve(
///     listener,
///     async |accepted| {
///         let _ = accepted.into_stream().write_all(b"hello\n").await;
///     },
///     async { drop(stopping.await) },
/// ));
///
/// let mut answer = String::new();
/// let mut stream = Connector::tcp(address).connect().await?;
/// stream.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "hello\n");
///
/// drop(stop);
/// assert_eq!(serving.await?.cut(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Acceptor {
    opening: Opening,
    max_connections: Option<u32>,
    handshake: Duration,
    drain: Duration,
}

impl Acceptor {
    /// Creates an acceptor with the limits above.
    pub fn new() -> Self {
        Self {
            opening: Opening::default(),
            max_connections: None,
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }

    /// Takes the client's address from a PROXY header, version 1 or 2, of these peers. They
    /// must send one with each connection; a connection of theirs without one is closed. A header
    /// of any other peer is content. Peers of a unix socket have no address, so none of theirs is
    /// read.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Acceptor;
    ///
    /// let acceptor = Acceptor::new().proxy_protocol(["10.0.0.0/8".parse()?]);
    /// # let _ = acceptor;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy_protocol(mut self, peers: impl IntoIterator<Item = IpNet>) -> Self {
        self.opening.set_announcers(peers);
        self
    }

    /// Terminates TLS. No protocol is agreed on with clients (ALPN).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::{Acceptor, Identity, ServerTls};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["db.example.com".to_owned()])?;
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())?;
    /// let acceptor = Acceptor::new().tls(&ServerTls::new([identity])?);
    /// # let _ = acceptor;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: &super::ServerTls) -> Self {
        self.opening.set_handshake(tls.handshake(Vec::new()));
        self
    }

    /// Sets how many connections there may be at once. If there are as many, one more is
    /// accepted and waits for a place; all others wait in the system's queue.
    ///
    /// By default, half of the descriptors that this process may open beyond 64, so that there
    /// is one for each client and one for its member; at least 16, at most 10 000. The soft
    /// limit (`RLIMIT_NOFILE`, `ulimit -n`) counts, as it is when serving begins.
    ///
    /// Descriptors are shared by the whole process: the connections of all its listeners, and those
    /// to members, must not be more than there are. Beyond that, a client whose member cannot be
    /// connected for want of a descriptor is reset, and the member is not blamed.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Acceptor;
    ///
    /// let acceptor = Acceptor::new().max_connections(50_000);
    /// # let _ = acceptor;
    /// ```
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// Sets how long a client may take for its PROXY header and the handshake of TLS.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Acceptor;
    /// use std::time::Duration;
    ///
    /// let acceptor = Acceptor::new().handshake_timeout(Duration::from_secs(3));
    /// # let _ = acceptor;
    /// ```
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake = limit.min(LONGEST);
        self
    }

    /// Sets how long connections may go on after the acceptor has been told to stop.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Acceptor;
    /// use std::time::Duration;
    ///
    /// let acceptor = Acceptor::new().drain_timeout(Duration::from_secs(300));
    /// # let _ = acceptor;
    /// ```
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.drain = limit.min(LONGEST);
        self
    }

    /// Accepts connections until `stop` resolves, and runs `task` for each. Then it takes what
    /// waits in the system's queue, closes the listener, lets the tasks end, and cuts those
    /// that still run after the [`drain_timeout`](Self::drain_timeout).
    ///
    /// A connection counts until its task has ended; a task that panics ends its own connection
    /// only. A client that has not sent its PROXY header, or not done its part of the handshake,
    /// has one more second after the stop.
    ///
    /// It serves one listener; for several, join it with clones.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it cuts all of its connections at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with `enable_io` and `enable_time`.
    pub async fn serve<F, T>(
        self,
        listener: Listener,
        task: F,
        stop: impl Future<Output = ()>,
    ) -> Stopped
    where
        F: Fn(Accepted) -> T + Clone + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let accepting = self.accepting();
        let Self {
            opening, handshake, ..
        } = self;
        let serve = move |arrived: Arrived| {
            let (opening, task) = (opening.clone(), task.clone());
            async move {
                let Arrived {
                    accepted,
                    place,
                    stopping,
                    ..
                } = arrived;
                let opened = stopping.opened_in(handshake, opening.open(accepted));
                if let Some(Ok(accepted)) = opened.await {
                    task(accepted).await;
                }
                drop(place);
            }
        };
        accepting.serve(listener, serve, stop).await
    }

    pub(crate) fn accepting(&self) -> Accepting {
        Accepting {
            most: self.max_connections.unwrap_or_else(default_connections),
            drain: self.drain,
        }
    }

    /// Reads the PROXY header and terminates TLS, as far as it is set so, within the limit.
    #[cfg(feature = "forward")]
    pub(crate) async fn open(&self, accepted: Accepted, stopping: &Stopping) -> Option<Accepted> {
        let opening = self.opening.open(accepted);
        stopping.opened_in(self.handshake, opening).await?.ok()
    }
}

/// As good as without limit, and no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Acceptor {
    fn default() -> Self {
        Self::new()
    }
}
