//! Accepting connections of clients and running a task for each: [`Acceptor`].
//!
//! Not here: the accept loop (`accept`), and the PROXY header and TLS
//! handshake before the first byte (`opening`).

use std::pin::pin;
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
/// | limit | default | set by | beyond it |
/// |---|---|---|---|
/// | connections | 10 000, or as descriptors allow | [`max_connections`](Self::max_connections) | clients wait |
/// | time for a PROXY header and TLS | 10 s | [`handshake_timeout`](Self::handshake_timeout) | the connection is cut |
/// | time for open connections after the stop | 30 s | [`drain_timeout`](Self::drain_timeout) | the connection is cut |
///
/// A connection whose PROXY header or handshake fails is closed, and the task never
/// receives it.
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
/// let mut response = String::new();
/// let mut stream = Connector::tcp(address).connect().await?;
/// stream.read_to_string(&mut response).await?;
/// assert_eq!(response, "hello\n");
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
    /// Creates an acceptor with the default limits.
    pub fn new() -> Self {
        Self {
            opening: Opening::default(),
            max_connections: None,
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }

    /// Takes the client's address from the PROXY header, version 1 or 2, of these peers.
    /// Each of their connections must begin with one; a connection without it is closed. A
    /// header from any other peer is treated as content. Peers of a unix socket have no
    /// address, so their headers are never read.
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
        self.opening.set_proxy_header_peers(peers);
        self
    }

    /// Terminates TLS. No protocol is negotiated with clients (ALPN).
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

    /// Sets the maximum number of concurrent connections. When it is reached, one more
    /// connection is accepted and waits; all others wait in the system's queue.
    ///
    /// The default is half of the descriptors that this process may open beyond 64, so that
    /// there is one for each client and one for its member; it is at least 16 and at most
    /// 10 000. It is computed from the soft limit (`RLIMIT_NOFILE`, `ulimit -n`) when
    /// serving begins.
    ///
    /// The whole process shares its descriptors: the connections of all its listeners and
    /// those to members together must not exceed them. If connecting to a member fails
    /// because no descriptor is left, the client is reset, and the failure does not count
    /// against the member.
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

    /// Sets the time limit for the client's PROXY header and the TLS handshake.
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

    /// Sets how long connections may continue after the acceptor has been told to stop.
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

    /// Accepts connections until `stop` resolves, and runs `task` for each. After that it
    /// accepts the connections in the system's queue, closes the listener, lets the tasks
    /// end, and cuts those that still run after the [`drain_timeout`](Self::drain_timeout).
    ///
    /// A connection counts until its task has ended; a task that panics ends only its own
    /// connection. A client that has not finished its PROXY header or its part of the
    /// handshake has one more second after the stop.
    ///
    /// It serves one listener; for several, call it on clones and join the futures.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts all of its connections at once.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with `enable_io` and `enable_time`.
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
                let opened = {
                    let opening = pin!(opening.open(accepted));
                    stopping.opened_in(handshake, opening).await
                };
                if let Some(Ok(accepted)) = opened {
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

    /// Reads the PROXY header and terminates TLS, if each is configured, within the time
    /// limit.
    #[cfg(feature = "forward")]
    pub(crate) async fn open(&self, accepted: Accepted, stopping: &Stopping) -> Option<Accepted> {
        let opening = pin!(self.opening.open(accepted));
        stopping.opened_in(self.handshake, opening).await?.ok()
    }
}

/// Practically no limit, and short enough that no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Acceptor {
    fn default() -> Self {
        Self::new()
    }
}
