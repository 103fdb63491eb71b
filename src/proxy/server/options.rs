//! The settings of a server: [`Server`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use ipnet::IpNet;

use super::connection_state::ClientTimeouts;
use super::held_heads::HeadLimits;
use crate::net::Opening;
use crate::service::{ErrorPage, Pages};
use crate::sync::AtomicU64;

/// A server of HTTP/1.1 and HTTP/2 for any tower service, with limits.
///
/// The version of HTTP is negotiated by TLS (ALPN), or detected by the first bytes. The
/// service finds the client's [`ClientAddr`](super::super::ClientAddr) in the extensions of
/// each request and, with TLS, its [`TlsSession`](crate::net::TlsSession).
///
/// | limit | by default | set by | beyond it |
/// |---|---|---|---|
/// | connections | 10 000, or as descriptors allow | [`max_connections`](Self::max_connections) | idle ones are closed, otherwise clients wait |
/// | bytes of a head over HTTP/1.1 | 64 KiB | [`max_head`](Self::max_head) | 431 |
/// | bytes of a head over HTTP/2 | 16 KiB | [`http2_max_header_list_size`](Self::http2_max_header_list_size) | 431 |
/// | lines of a head | 100 over HTTP/1.1, none over HTTP/2 | [`max_headers`](Self::max_headers) | 431 |
/// | heads held by one HTTP/2 connection | 2 MiB | [`http2_max_held_heads`](Self::http2_max_held_heads) | `REFUSED_STREAM` |
/// | heads held by all HTTP/2 connections | 256 MiB | [`http2_max_held_heads`](Self::http2_max_held_heads) | `REFUSED_STREAM` |
/// | concurrent streams of one connection | 100 | [`http2_max_concurrent_streams`](Self::http2_max_concurrent_streams) | `REFUSED_STREAM` |
/// | unread bytes of a body, per stream | 256 KiB | [`http2_initial_stream_window_size`](Self::http2_initial_stream_window_size) | the client waits |
/// | HTTP/2 frames without content | 10 000 at once, then 1 000 a second and 4 for each frame of a response, and 1 for each KiB of it | | `ENHANCE_YOUR_CALM` |
/// | bytes of a body | none | [`max_body`](Self::max_body) | 413 |
/// | requests on one connection | none | [`max_requests`](Self::max_requests) | closed gracefully |
/// | time for TLS, then for a head | 10 s | [`head_timeout`](Self::head_timeout) | cut off |
/// | between two frames of a body | 30 s | [`body_timeout`](Self::body_timeout) | 408 |
/// | between two reads of a response | 60 s | [`write_timeout`](Self::write_timeout) | cut off; over HTTP/2 the stream is reset |
/// | between two requests | 60 s, or until its slot is needed | [`idle_timeout`](Self::idle_timeout) | closed gracefully |
/// | unread rest of a body | 64 KiB | [`max_discard`](Self::max_discard) | `Connection: close` |
/// | for a client to close its side, too | 30 s | [`linger_timeout`](Self::linger_timeout) | cut off |
/// | after a client has shut down its sending side | 30 s | [`half_close_timeout`](Self::half_close_timeout) | cut off |
/// | for running requests, once the server stops | 30 s | [`drain_timeout`](Self::drain_timeout) | cut off |
///
/// hyper responds with 400 to messages that are malformed or ambiguous. It also rejects a
/// chunked body with 400 once its chunk extensions (such as `;chunk-signature=…`) add up to
/// 16 KiB over the whole body, which cannot be set.
///
/// There is no minimum rate: an upload, or a response over HTTP/1.1, continues as long as
/// one byte passes within each `body_timeout` or `write_timeout`. A response over HTTP/2
/// needs 16 KiB in each `write_timeout`. Limit the total time of a request in your service,
/// for members by [`request_timeout`](super::super::EndpointBuilder::request_timeout).
///
/// # Memory
///
/// The memory that one connection can use, in addition to its TLS (about 40 KiB) and to
/// what the service keeps:
///
/// * over HTTP/1.1: one head and the bytes read after it, `max_head` and up to 400 KiB of a
///   body or response; an idle connection uses about 8 KiB;
/// * over HTTP/2, for requests: the heads that are held (2 MiB), and a window for each
///   stream whose body is not read (100 times 256 KiB, 25 MiB). The window of the
///   connection is the sum of its streams' windows, so that an unread upload blocks no
///   other;
/// * over HTTP/2, for responses: 64 KiB and one frame of the service's body for each stream
///   (100 times 64 KiB, 6.4 MiB), for at most the `write_timeout`.
///
/// For the whole server, the heads over HTTP/2 have a limit of their own; for all other
/// memory, multiply by the number of connections. Lower the streams and their window if
/// many clients are untrusted; raise the window for fast uploads over long distances.
///
/// # Examples
///
/// ```no_run
/// use equipoise::net::{Listener, shutdown_signal};
/// use equipoise::proxy::Server;
/// use http::Response;
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let hello = tower::service_fn(async |_| {
///     Ok::<_, Infallible>(Response::new("hello\n".to_owned()))
/// });
/// let stopped = Server::new()
///     .max_body(1024 * 1024)
///     .drain_timeout(Duration::from_secs(10))
///     .serve(Listener::bind(([127, 0, 0, 1], 8080).into())?, hello, shutdown_signal()?)
///     .await;
/// println!("{} connections were cut", stopped.cut());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Server {
    pub(super) options: Options,
}

/// The settings of [`Server`].
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) opening: Opening,
    pub(super) server_addr: bool,
    /// The service is known to find the facts of a connection beside its requests.
    pub(super) facts_beside: bool,
    pub(super) pages: Option<Pages>,
    /// `None` for the default, which follows the system's limit.
    pub(super) max_connections: Option<u32>,
    pub(super) max_requests: u32,
    pub(super) max_head: usize,
    pub(super) max_headers: Option<usize>,
    pub(super) http2_header_list: Option<u32>,
    pub(super) http2_streams: u32,
    pub(super) http2_stream_window: u32,
    pub(super) head_limits: HeadLimits,
    /// The bytes of heads in use; clones of a server share it.
    pub(super) heads: Arc<AtomicU64>,
    pub(super) max_body: u64,
    pub(super) max_discard: u64,
    pub(super) linger: Duration,
    pub(super) body_timeout: Duration,
    pub(super) drain: Duration,
    pub(super) patience: ClientTimeouts,
}

impl Server {
    /// Creates a server with the limits above.
    pub fn new() -> Self {
        let patience = ClientTimeouts {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            reading: Duration::from_secs(60),
            half_closed: Duration::from_secs(30),
        };
        let options = Options {
            opening: Opening::default(),
            server_addr: false,
            facts_beside: false,
            pages: None,
            max_connections: None,
            max_requests: u32::MAX,
            max_head: 64 * 1024,
            max_headers: None,
            http2_header_list: None,
            http2_streams: 100,
            http2_stream_window: 256 * 1024,
            head_limits: HeadLimits {
                connection: 2 * 1024 * 1024,
                server: 256 * 1024 * 1024,
            },
            heads: Arc::default(),
            max_body: u64::MAX,
            max_discard: 64 * 1024,
            linger: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            patience,
        };
        Self { options }
    }

    /// Reads the client's address from a PROXY header, version 1 or 2, of these peers. They
    /// must send one on each connection; from other peers, the header is invalid HTTP.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    ///
    /// let server = Server::new().proxy_protocol(["10.0.0.0/8".parse()?]);
    /// # let _ = server;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy_protocol(mut self, peers: impl IntoIterator<Item = IpNet>) -> Self {
        self.options.opening.set_proxy_header_peers(peers);
        self
    }

    /// Adds the address at which the client connected to the extensions of each request, as
    /// [`ServerAddr`](super::super::ServerAddr): for a server that listens on several
    /// addresses.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    ///
    /// let server = Server::new().server_addr();
    /// # let _ = server;
    /// ```
    pub fn server_addr(mut self) -> Self {
        self.options.server_addr = true;
        self
    }

    /// Sets how many connections may be open at once, including tunnels. When the limit is
    /// reached and another client connects, the connection that has been idle between two
    /// requests for the longest is closed, whatever is left of its `idle_timeout`: one for
    /// each waiting client. If none is idle, one client waits for a slot, and all others
    /// wait in the system's queue.
    ///
    /// The default is half of the descriptors beyond 64 that this process may open, so that
    /// there is one for each client and one for its member; at least 16, at most 10 000. It
    /// is based on the soft limit (`RLIMIT_NOFILE`, `ulimit -n`) when the server begins to
    /// serve: 1024 allow 480 connections. Each listener takes it for itself; with several,
    /// or with HTTP/1 members that keep many idle connections, set a suitable number. If
    /// descriptors run out nevertheless, the server continues to accept as soon as some are
    /// free again.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    ///
    /// let server = Server::new().max_connections(50_000).max_requests(1_000);
    /// # let _ = server;
    /// ```
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.options.max_connections = Some(connections);
        self
    }

    /// Sets the number of requests after which a connection is closed.
    pub fn max_requests(mut self, requests: u32) -> Self {
        self.options.max_requests = requests.max(1);
        self
    }

    /// Sets the maximum size of a request head over HTTP/1.1 in bytes; 64 KiB by default. A
    /// value below 16 KiB is also the default over HTTP/2.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    ///
    /// let server = Server::new().max_head(16 * 1024).max_body(10 * 1024 * 1024);
    /// # let _ = server;
    /// ```
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.options.max_head = bytes;
        self
    }

    /// Sets the maximum number of header lines in a request.
    ///
    /// The default is 100 over HTTP/1.1; over HTTP/2 only
    /// [`http2_max_header_list_size`](Self::http2_max_header_list_size) applies. Over
    /// HTTP/1.1, setting it costs an allocation of 64 bytes per allowed line for each
    /// request, and the maximum is 24 576.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    ///
    /// let server = Server::new().max_headers(50);
    /// # let _ = server;
    /// ```
    pub fn max_headers(mut self, lines: usize) -> Self {
        self.options.max_headers = Some(lines);
        self
    }

    /// Sets the maximum size of a request's body in bytes. If the length is declared, a
    /// larger request is rejected before the service gets it.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.options.max_body = bytes;
        self
    }

    /// Sets how many bytes of an unread body are discarded so that the connection can be
    /// kept; 64 KiB by default. The rest must be known in advance to be no larger.
    /// Otherwise the response contains `Connection: close`, and the connection is closed
    /// after it. This applies to HTTP/1; over HTTP/2, an unread rest does not precede the
    /// next request.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    ///
    /// let server = Server::new().max_discard(256 * 1024);
    /// # let _ = server;
    /// ```
    pub fn max_discard(mut self, bytes: u64) -> Self {
        self.options.max_discard = bytes;
        self
    }

    /// Sets how long a connection that the server closes may linger; 30 s by default. The
    /// server shuts down its sending side, and discards what the client still sends until
    /// the client closes its side, has sent nothing for 2 s, or this time has elapsed. A
    /// client that is still sending its request would otherwise get an error instead of the
    /// response. Zero closes at once. A client whose first request on the connection
    /// announces that it is the last (`Connection: close`, or HTTP/1.0) is not waited for,
    /// unless more has arrived already.
    ///
    /// Over HTTP/2, the same applies to a stream whose request body is not read; it is then
    /// reset with `NO_ERROR`.
    ///
    /// A lingering connection counts towards [`max_connections`](Self::max_connections). A
    /// server that stops waits for it for one second at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    /// use std::time::Duration;
    ///
    /// let server = Server::new().linger_timeout(Duration::from_secs(5));
    /// # let _ = server;
    /// ```
    pub fn linger_timeout(mut self, limit: Duration) -> Self {
        self.options.linger = limit.min(LONGEST);
        self
    }

    /// Sets how long a request over HTTP/1 continues after its client has shut down its
    /// sending side; 30 s by default, starting anew whenever the client reads some of the
    /// response.
    ///
    /// A client that has sent everything may shut down its sending side and wait for the
    /// response, as `nc -N` does. To the server this looks the same as a client that has
    /// closed the connection and wants no response. The default is longer than most
    /// responses take, and bounds the cost of requests that are no longer waited for. With
    /// zero, the end of the sending side always ends the request.
    ///
    /// A connection that is reset ends its request at once, whatever is set here. So does
    /// the end of the connection before the request is complete, and over HTTP/2, where
    /// clients end streams and not their side of the connection. With TLS, a client may
    /// shut down its side of TCP alone, without `close_notify`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    /// use std::time::Duration;
    ///
    /// let server = Server::new().half_close_timeout(Duration::from_secs(5));
    /// # let _ = server;
    /// ```
    pub fn half_close_timeout(mut self, limit: Duration) -> Self {
        self.options.patience.half_closed = limit.min(LONGEST);
        self
    }

    /// Sets the time limit for the TLS handshake, and then for the head of a request. For
    /// the first head of a connection it starts with the connection, for others with their
    /// first byte.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    /// use std::time::Duration;
    ///
    /// let server = Server::new()
    ///     .head_timeout(Duration::from_secs(5))
    ///     .body_timeout(Duration::from_secs(10))
    ///     .write_timeout(Duration::from_secs(30))
    ///     .idle_timeout(Duration::from_secs(15));
    /// # let _ = server;
    /// ```
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.options.patience.head = limit.min(LONGEST);
        self
    }

    /// Sets the time limit between two frames of a request's body, while the service waits
    /// for one.
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.options.body_timeout = limit.min(LONGEST);
        self
    }

    /// Sets how long a client may leave a response unread. Over HTTP/2 this applies to each
    /// stream: the client must read at least 16 KiB in this time. A stream that is too slow
    /// is reset, and the others continue. A response that has no data to send is not slow.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.options.patience.reading = limit.min(LONGEST);
        self
    }

    /// Sets how long a connection stays open between two requests.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.patience.idle = limit.min(LONGEST);
        self
    }

    /// Sets how long running requests may continue once the server stops.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.options.drain = limit.min(LONGEST);
        self
    }

    /// Creates the server's own responses with a function; see [`ErrorPage`]. hyper's
    /// responses to malformed requests, 400 and 431, have no body and are not created here.
    /// A client that is too slow with a head is cut off without a response.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    /// use http::Response;
    ///
    /// let server = Server::new()
    ///     .error_page(|refusal| Response::new(format!("{}\n", refusal.title()).into()));
    /// # let _ = server;
    /// ```
    pub fn error_page(
        mut self,
        page: impl Fn(&ErrorPage<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.options.pages = Some(Pages::new(page));
        self
    }
}

/// Practically unlimited, and adding it to a time cannot overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}
