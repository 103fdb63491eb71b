//! Opening a connection to a member, and which HTTP it speaks.
//!
//! What does not live here: names, sockets and TLS (`net`), and the connections that are
//! open already (`pool`).

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Notify;

use super::interim::{Bounded, Interim};
use super::line::{Http1Line, Http2Line, MemberConnection};
use super::outgoing::Outgoing;
use super::peer::Peer;
use crate::net::{Connector, Stream};
use crate::proxy::fields::MOST_LINES;
use crate::service::BoxError;
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
pub(super) struct Opener {
    pub(super) uri: Uri,
    pub(super) connector: Connector,
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

impl Opener {
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
            return self.speak_2(stream).await;
        }
        self.speak_1(stream).await
    }

    async fn speak_1(&self, stream: Stream) -> Result<MemberConnection, BoxError> {
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
        Ok(MemberConnection::Http1(Http1Line::new(
            sender, connection, interim,
        )))
    }

    async fn speak_2(&self, stream: Stream) -> Result<MemberConnection, BoxError> {
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
        Ok(MemberConnection::Http2(line))
    }
}
