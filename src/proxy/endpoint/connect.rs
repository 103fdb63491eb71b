//! Opens connections to a member, and chooses the HTTP version.
//!
//! Not here: names, sockets and TLS (`net`), and connections that are
//! already open (`pool`).

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Notify;

use super::interim::{InterimLimit, InterimLimited};
use super::member_connection::{Http1Connection, Http2Connection, MemberConnection};
use super::outgoing::Outgoing;
use super::peer::Peer;
use crate::net::{Connector, Stream};
use crate::proxy::fields::MOST_LINES;
use crate::service::BoxError;
use crate::sync::{AtomicU32, Relaxed};

/// Which versions of HTTP are used with a member.
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
    /// The version that TLS negotiates (ALPN), HTTP/2 preferred to HTTP/1.1; HTTP/1.1
    /// without TLS.
    #[default]
    Any,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; without TLS, by prior knowledge. HTTP/2 cannot switch to WebSocket:
    /// such requests use an HTTP/1.1 connection under [`Any`](Self::Any), and reach the
    /// member as plain requests under this.
    Http2,
}

impl HttpVersions {
    /// Returns the protocols to offer in the TLS handshake.
    fn alpn(self) -> Vec<Vec<u8>> {
        let (one, two) = (b"http/1.1".to_vec(), b"h2".to_vec());
        match self {
            Self::Any => vec![two, one],
            Self::Http1 => vec![one],
            Self::Http2 => vec![two],
        }
    }
}

/// Opens connections to one member.
#[derive(Debug)]
pub(super) struct ConnectionOpener {
    pub(super) uri: Uri,
    pub(super) connector: Connector,
    pub(super) versions: HttpVersions,
    pub(super) max_head: usize,
    /// The maximum number of header lines in a response, if set.
    pub(super) max_headers: Option<usize>,
    pub(super) windows: FlowLimits,
    /// The number of HTTP/2 connections opened so far.
    // Relaxed: each connection gets a different number.
    pub(super) opened: AtomicU32,
    /// Notified when a member reports something about a connection.
    pub(super) changed: Arc<Notify>,
    pub(super) max_interim: u32,
}

/// The HTTP/2 flow-control limits of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowLimits {
    /// Concurrent streams.
    pub(super) streams: u32,
    /// Bytes that a member may send on a stream before they are read.
    pub(super) stream: u32,
}

impl FlowLimits {
    /// Reduces the stream window so that all of them fit into the window of one connection.
    pub(super) fn fitting(self) -> Self {
        let most = MAX_WINDOW / self.streams.clamp(1, MAX_WINDOW);
        Self {
            streams: self.streams,
            stream: self.stream.clamp(1, most.max(1)),
        }
    }

    /// Returns the window of a connection: the sum of its stream windows, so that a client
    /// that does not read delays no other.
    pub(super) const fn connection(self) -> u32 {
        self.streams.saturating_mul(self.stream)
    }
}

/// The largest window that HTTP/2 allows (RFC 9113, 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

impl ConnectionOpener {
    /// Opens a connection that is ready for a request.
    pub(super) async fn connect(
        &self,
        versions: HttpVersions,
    ) -> Result<MemberConnection, BoxError> {
        let stream = self.connector.open(versions.alpn()).await?;
        let known = versions == HttpVersions::Http2;
        let agreed = if self.connector.is_secured() {
            stream.alpn() == Some(b"h2")
        } else {
            known
        };
        if known && !agreed {
            return Err("it does not speak HTTP/2".into());
        }
        if agreed {
            return self.http2_handshake(stream).await;
        }
        self.http1_handshake(stream).await
    }

    async fn http1_handshake(&self, stream: Stream) -> Result<MemberConnection, BoxError> {
        let interim = InterimLimit::new(self.max_interim);
        let bytes = TokioIo::new(InterimLimited::new(stream, interim.clone()));
        let mut http1 = http1::Builder::new();
        http1.max_header_size(self.max_head);
        if let Some(lines) = self.max_headers {
            http1.max_headers(lines.min(MOST_LINES));
        }
        let (sender, connection) = http1.handshake::<_, Outgoing>(bytes).await?;
        let connection = Box::pin(async move {
            // The exchanges report its errors.
            let _ = connection.with_upgrades().await;
        });
        Ok(MemberConnection::Http1(Http1Connection::new(
            sender, connection, interim,
        )))
    }

    async fn http2_handshake(&self, stream: Stream) -> Result<MemberConnection, BoxError> {
        let max_head = u32::try_from(self.max_head).unwrap_or(u32::MAX);
        let windows = self.windows;
        let (stream, peer) = Peer::watch(stream, self.changed.clone());
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // Detects a dead connection while a request waits on it.
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_header_list_size(max_head)
            .initial_stream_window_size(windows.stream)
            .initial_connection_window_size(windows.connection())
            // Until the member's SETTINGS arrive.
            .initial_max_send_streams(usize::try_from(windows.streams).unwrap_or(usize::MAX))
            .handshake::<_, Outgoing>(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let number = self.opened.fetch_add(1, Relaxed);
        let connection = Http2Connection::new(sender, peer, windows.streams, number);
        Ok(MemberConnection::Http2(connection))
    }
}
