//! Opening a connection to a member: names, sockets, TLS, and which HTTP it speaks.
//!
//! What does not live here: the connections that are open already (`pool`).

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Notify;
use tower_service::Service;

use super::interim::{Bounded, Interim};
use super::line::{Http1Line, Http2Line, Line};
use super::outgoing::Outgoing;
use super::peer::Peer;
use super::unreached::{HandshakeFailed, Resolver};
use crate::proxy::fields::MOST_LINES;
use crate::proxy::stream::Stream;
use crate::service::{BoxError, is_exhaustion};
use crate::sync::{AtomicU32, Relaxed};

/// Which HTTP a member is spoken to in.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{Endpoint, HttpVersions};
/// use http::Uri;
///
/// // A gRPC server without TLS.
/// let member = Endpoint::builder(Uri::from_static("http://10.0.0.1:50051"))
///     .versions(HttpVersions::Http2)
///     .build()?;
/// # let _ = member;
/// # Ok::<(), equipoise::proxy::EndpointUriError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one, the other, or either")]
pub enum HttpVersions {
    /// What TLS agrees on (ALPN), HTTP/2 rather than HTTP/1.1; HTTP/1.1 without TLS.
    #[default]
    Any,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only, without asking where there is no TLS ("prior knowledge"). It cannot
    /// switch to WebSocket: such requests have a connection of HTTP/1.1 under
    /// [`Any`](Self::Any), and reach the member as plain ones under this.
    Http2,
}

impl HttpVersions {
    /// What is offered in the handshake of TLS.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS offers"))]
    pub(in crate::proxy) fn alpn(self) -> Vec<Vec<u8>> {
        let (one, two) = (b"http/1.1".to_vec(), b"h2".to_vec());
        match self {
            Self::Any => vec![two, one],
            Self::Http1 => vec![one],
            Self::Http2 => vec![two],
        }
    }
}

/// A stream under protection, and whether both sides agreed on HTTP/2.
pub(in crate::proxy) type Securing<'a> =
    Pin<Box<dyn Future<Output = io::Result<(Stream, bool)>> + Send + 'a>>;

/// Puts a stream to a member under protection; what TLS is behind its feature.
pub(in crate::proxy) trait Secure: fmt::Debug + Send + Sync {
    fn secure<'a>(&'a self, stream: Stream, host: &'a str, versions: HttpVersions) -> Securing<'a>;

    /// Whether an error says that the other side does not believe who we are, which it may
    /// find out only after we have gone on: then it has looked at nothing that was sent.
    fn is_refusal(&self, error: &(dyn Error + 'static)) -> bool;
}

/// Why no connection can be opened to anything, if that is so. The system resolves a name
/// by files and sockets of its own, and does not tell that it has none left from a name that
/// does not exist.
fn shortage() -> Option<io::Error> {
    let error = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err()?;
    is_exhaustion(&error).then_some(error)
}

/// Opens connections to one member.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) uri: Uri,
    pub(super) socket: Option<PathBuf>,
    /// Where to connect, if not where the URI says.
    pub(super) place: Option<Uri>,
    pub(super) tcp: HttpConnector<Resolver>,
    pub(super) secure: Option<Arc<dyn Secure>>,
    pub(super) versions: HttpVersions,
    pub(super) max_head: usize,
    /// How many lines the head of an answer may have, if it was said.
    pub(super) max_headers: Option<usize>,
    pub(super) windows: Windows,
    /// So many connections of HTTP/2 were opened.
    // Relaxed: each takes another number.
    pub(super) opened: AtomicU32,
    /// Is told when a member says something about a connection.
    pub(super) changed: Arc<Notify>,
    pub(super) max_interim: u32,
}

/// How much of HTTP/2 one connection has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Streams at the same time.
    pub(super) streams: u32,
    /// Bytes that a member may send on a stream before they are read.
    pub(super) stream: u32,
}

impl Windows {
    /// The same, with streams whose windows together are one that a connection can have.
    pub(super) fn fitting(self) -> Self {
        let most = MAX_WINDOW / self.streams.clamp(1, MAX_WINDOW);
        Self {
            streams: self.streams,
            stream: self.stream.clamp(1, most.max(1)),
        }
    }

    /// The window of a connection: what each of its streams may hold, so that a client
    /// that does not read holds up no other.
    pub(super) const fn connection(self) -> u32 {
        self.streams.saturating_mul(self.stream)
    }
}

/// The largest window that there is (RFC 9113, 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

impl Connector {
    /// Opens a connection that is ready for a request.
    pub(super) async fn connect(&self, versions: HttpVersions) -> Result<Line, BoxError> {
        let stream = self.stream().await?;
        let known = versions == HttpVersions::Http2;
        let (stream, agreed) = match &self.secure {
            Some(secure) => {
                let host = self.uri.host().unwrap_or_default();
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let secured = secure.secure(stream, host, versions).await;
                secured.map_err(|error| HandshakeFailed(error.into()))?
            }
            None => (stream, known),
        };
        if known && !agreed {
            return Err("it does not speak HTTP/2".into());
        }
        if agreed {
            return self.speak_2(stream).await;
        }
        self.speak_1(stream).await
    }

    async fn stream(&self) -> Result<Stream, BoxError> {
        #[cfg(unix)]
        if let Some(path) = &self.socket {
            return Ok(Stream::Unix(tokio::net::UnixStream::connect(path).await?));
        }
        let mut tcp = self.tcp.clone();
        std::future::poll_fn(|context| tcp.poll_ready(context)).await?;
        let place = self.place.as_ref().unwrap_or(&self.uri).clone();
        match tcp.call(place).await {
            Ok(stream) => Ok(Stream::Tcp(stream.into_inner())),
            Err(error) => Err(shortage().map_or_else(|| error.into(), Into::into)),
        }
    }

    async fn speak_1(&self, stream: Stream) -> Result<Line, BoxError> {
        let interim = Interim::new(self.max_interim);
        let bytes = Bounded::new(TokioIo::new(stream), interim.clone());
        let mut http1 = http1::Builder::new();
        http1.max_header_size(self.max_head);
        if let Some(lines) = self.max_headers {
            http1.max_headers(lines.min(MOST_LINES));
        }
        let (sender, connection) = http1.handshake::<_, Outgoing>(bytes).await?;
        let connection = Box::pin(async move {
            // Its errors are those of the exchanges.
            let _ = connection.with_upgrades().await;
        });
        Ok(Line::Http1(Http1Line::new(sender, connection, interim)))
    }

    async fn speak_2(&self, stream: Stream) -> Result<Line, BoxError> {
        let max_head = u32::try_from(self.max_head).unwrap_or(u32::MAX);
        let windows = self.windows;
        let (stream, peer) = Peer::watch(stream, self.changed.clone());
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // So that one that is dead is noticed by somebody who waits.
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_header_list_size(max_head)
            .initial_stream_window_size(windows.stream)
            .initial_connection_window_size(windows.connection())
            // Until the member has said how many it allows.
            .initial_max_send_streams(usize::try_from(windows.streams).unwrap_or(usize::MAX))
            .handshake::<_, Outgoing>(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let number = self.opened.fetch_add(1, Relaxed);
        let line = Http2Line::new(sender, peer, windows.streams, number);
        Ok(Line::Http2(line))
    }
}
