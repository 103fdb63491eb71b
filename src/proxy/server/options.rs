//! Everything that can be said of a server before it serves: [`Server`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use ipnet::IpNet;

use super::held_heads::HeadLimits;
use super::line::ClientTimeouts;
use crate::net::Opening;
use crate::service::{ErrorPage, Pages};
use crate::sync::AtomicU64;

/// A server of HTTP/1.1 and HTTP/2 for any tower service, within limits.
///
/// Which HTTP it is, TLS has agreed on (ALPN), or the first bytes tell. The service finds
/// the client's [`ClientAddr`](super::super::ClientAddr) in the extensions of each
/// request and, with TLS, its [`TlsSession`](crate::net::TlsSession).
///
/// | limit | by default | set by | beyond it |
/// |---|---|---|---|
/// | connections | 10 000, or as descriptors allow | [`max_connections`](Self::max_connections) | idle ones are closed, else wait for a place |
/// | a head's bytes over HTTP/1.1 | 64 KiB | [`max_head`](Self::max_head) | 431 |
/// | the same over HTTP/2 | 16 KiB | [`http2_max_header_list_size`](Self::http2_max_header_list_size) | 431 |
/// | a head's lines | 100 over HTTP/1.1, none over HTTP/2 | [`max_headers`](Self::max_headers) | 431 |
/// | heads held by one connection over HTTP/2 | 2 MiB | [`http2_max_held_heads`](Self::http2_max_held_heads) | `REFUSED_STREAM` |
/// | heads held by all connections over HTTP/2 | 256 MiB | [`http2_max_held_heads`](Self::http2_max_held_heads) | `REFUSED_STREAM` |
/// | streams at once on one connection | 100 | [`http2_max_concurrent_streams`](Self::http2_max_concurrent_streams) | `REFUSED_STREAM` |
/// | bytes of a body that nothing has read, a stream | 256 KiB | [`http2_initial_stream_window_size`](Self::http2_initial_stream_window_size) | wait at the client |
/// | frames over HTTP/2 that carry nothing | 10 000 at once, then 1 000 a second and 4 for each frame of an answer, and 1 for each KiB of it | | `ENHANCE_YOUR_CALM` |
/// | a body's bytes | none | [`max_body`](Self::max_body) | 413 |
/// | requests on one connection | none | [`max_requests`](Self::max_requests) | it is closed in good order |
/// | time for TLS, then for a head | 10 s | [`head_timeout`](Self::head_timeout) | cut |
/// | between two pieces of a body | 30 s | [`body_timeout`](Self::body_timeout) | 408 |
/// | between two reads of an answer | 60 s | [`write_timeout`](Self::write_timeout) | cut; over HTTP/2 the stream is reset |
/// | between two requests | 60 s, or until its place is wanted | [`idle_timeout`](Self::idle_timeout) | closed in good order |
/// | a rest of a body that nothing reads | 64 KiB | [`max_discard`](Self::max_discard) | `Connection: close` |
/// | for a client to close its side too | 30 s | [`linger_timeout`](Self::linger_timeout) | cut |
/// | after a client has ended its side | 30 s | [`half_close_timeout`](Self::half_close_timeout) | cut |
/// | for what runs, once it stops | 30 s | [`drain_timeout`](Self::drain_timeout) | cut |
///
/// What is no HTTP, or could be read in two ways, hyper answers with 400. It also refuses a
/// chunked body with 400 once its chunk extensions (such as `;chunk-signature=…`) add up to
/// 16 KiB over the whole body, which cannot be set.
///
/// There is no minimum rate: an upload, or an answer over HTTP/1.1, goes on as long as one byte
/// passes within each `body_timeout` or `write_timeout`. An answer over HTTP/2 needs 16 KiB in
/// each `write_timeout`. Limit the whole time of a request in your service, for members by
/// [`request_timeout`](super::super::EndpointBuilder::request_timeout).
///
/// # Memory
///
/// What a connection can make the server hold, beside its TLS (about 40 KiB) and what the
/// service keeps:
///
/// * over HTTP/1.1, one head and what was read behind it, `max_head` and up to 400 KiB of a
///   body or of an answer; an idle one costs about 8 KiB;
/// * over HTTP/2, for requests: the heads that are held (2 MiB), and a window for each
///   stream whose body is not read (100 times 256 KiB, 25 MiB). The window of the connection
///   is the sum of those of its streams, so that an upload that is not read stops no other;
/// * over HTTP/2, for answers: 64 KiB and one frame of the service's body for each stream
///   (100 times 64 KiB, 6.4 MiB), for at most the `write_timeout`.
///
/// For a server, the heads over HTTP/2 have a bound of their own; for all else it is the
/// number of connections times the above. Lower the streams and their window where many
/// clients are strangers; raise the window for fast uploads over long distances.
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

/// What [`Server`] is told.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) opening: Opening,
    pub(super) server_addr: bool,
    pub(super) pages: Option<Pages>,
    /// `None` as long as it follows what the system allows.
    pub(super) max_connections: Option<u32>,
    pub(super) max_requests: u32,
    pub(super) max_head: usize,
    pub(super) max_headers: Option<usize>,
    pub(super) http2_header_list: Option<u32>,
    pub(super) http2_streams: u32,
    pub(super) http2_stream_window: u32,
    pub(super) head_limits: HeadLimits,
    /// What is held of them; clones of a server share it.
    pub(super) heads: Arc<AtomicU64>,
    pub(super) max_body: u64,
    pub(super) max_discard: u64,
    pub(super) linger: Duration,
    pub(super) body_timeout: Duration,
    pub(super) drain: Duration,
    pub(super) patience: ClientTimeouts,
}

impl Server {
    /// Creates a server with the limits of above.
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

    /// Takes the client's address from a PROXY header, version 1 or 2, of these peers. They
    /// must send one with each connection; from all others it would be no HTTP.
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

    /// Puts the address at which the client came in into the extensions of each request, as
    /// [`ServerAddr`](super::super::ServerAddr): for a server that listens on several at once.
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

    /// Sets how many connections there may be at once, tunnels included. If there are as many
    /// and another client connects, the connection that has been idle between two requests for
    /// the longest is closed, whatever is left of its `idle_timeout`: one for each client that
    /// waits. If none is idle, one client waits for a place, and all others in the system's
    /// queue.
    ///
    /// By default, half of the descriptors that this process may open beyond 64, so that there is
    /// one for each client and one for its member; at least 16, at most 10 000. The soft limit
    /// (`RLIMIT_NOFILE`, `ulimit -n`) counts, as it is when the server begins to serve: 1024 make
    /// 480 connections. It is taken for each listener alone; with several, or with members by
    /// HTTP/1 that keep many idle connections, set what fits. If descriptors run out all the
    /// same, the server goes on to accept as soon as there are some again.
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

    /// Sets after how many requests a connection is closed.
    pub fn max_requests(mut self, requests: u32) -> Self {
        self.options.max_requests = requests.max(1);
        self
    }

    /// Sets how many bytes the head of a request may have over HTTP/1.1; 64 KiB by default.
    /// If it is less than 16 KiB, it is the default over HTTP/2 too.
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

    /// Sets how many header lines a request may have. By default these are 100 over HTTP/1.1,
    /// while over HTTP/2 only [`http2_max_header_list_size`](Self::http2_max_header_list_size)
    /// counts. To set it costs an allocation for each request over HTTP/1.1, of 64 bytes
    /// for each line that is allowed. There, more than 24 576 count as that.
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

    /// Sets how many bytes the body of a request may have. If its length is said in
    /// advance, the request is refused before the service sees it.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.options.max_body = bytes;
        self
    }

    /// Sets up to how many bytes of a body that the service has not read are waited for, and
    /// discarded, so that the connection can be kept: 64 KiB by default. It must be known in
    /// advance that there are not more. Otherwise the answer says `Connection: close`, and the
    /// connection is closed after it. This is for HTTP/1; over HTTP/2, such a rest does not
    /// stand before the next request.
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

    /// Sets how long a connection that the server closes may linger: 30 s by default. Its own
    /// side is shut down, and what the client still sends is discarded until the client closes
    /// its side, has sent nothing for 2 s, or this time is over. A client that is still sending
    /// its request would otherwise get an error instead of the answer. Zero closes at once.
    ///
    /// Over HTTP/2, the same holds for a stream whose request body nothing reads; it is then reset
    /// with `NO_ERROR`.
    ///
    /// It counts among the [`max_connections`](Self::max_connections). A server that stops waits
    /// no longer than one second for it.
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

    /// Sets how long a request over HTTP/1 goes on after its client has ended its side of the
    /// connection: 30 s by default, counted anew whenever the client takes some of the answer.
    ///
    /// A client that has sent all it wants to send may end its side and wait for the answer, as
    /// `nc -N` does; to the server that looks the same as a client that was closed altogether
    /// and wants no answer. The default is longer than most answers take, and bounds what those
    /// requests cost that are not waited for any more. Zero takes each such end for the end of
    /// the request. A connection that is reset ends its request at once, whatever is set here;
    /// so does the end of the connection before the request is complete, and over HTTP/2, where
    /// clients end streams and not their side of the connection. With TLS, a client may end its
    /// side of TCP alone, without `close_notify`.
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

    /// Sets how long a client may take for TLS, and then for the head of a request from
    /// its first byte on; for the first of a connection, from its beginning on.
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

    /// Sets how long may pass between two pieces of a request's body, while somebody waits
    /// for it.
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.options.body_timeout = limit.min(LONGEST);
        self
    }

    /// Sets how long a client may read nothing of an answer that waits for it. Over HTTP/2
    /// that holds for each stream, of which 16 KiB at least have to be read in this time; a
    /// stream that is late is reset, and the others go on. An answer that has nothing to give
    /// is not late.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.options.patience.reading = limit.min(LONGEST);
        self
    }

    /// Sets how long a connection stays open between two requests.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.patience.idle = limit.min(LONGEST);
        self
    }

    /// Sets how long what runs may go on once the server stops.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.options.drain = limit.min(LONGEST);
        self
    }

    /// Creates the answers of the server's own by a function; see [`ErrorPage`]. Those that
    /// hyper gives to what is no HTTP, 400 and 431, have no body and are not made here; who
    /// is too slow with a head is cut without an answer.
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
    pub fn answers(
        mut self,
        page: impl Fn(&ErrorPage<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.options.pages = Some(Pages::new(page));
        self
    }
}

/// As good as without limit, and no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}
