//! A byte stream to a client or to a member, over any transport: [`Stream`].
//!
//! Not here: opening (`connect`), accepting (`listener`) and securing
//! (`tls`) a connection.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "forward")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::replayed::Replayed;

/// A secured byte stream.
pub(crate) trait SecureBytes: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// The stream that carries it.
    fn carrier(&self) -> &Stream;

    /// The protocol that both sides have negotiated (ALPN).
    #[cfg_attr(
        not(any(feature = "health", feature = "proxy")),
        expect(dead_code, reason = "HTTP's")
    )]
    fn alpn(&self) -> Option<&[u8]>;
}

/// A connection over TCP or a unix socket, plain or with TLS.
///
/// It implements tokio's `AsyncRead` and `AsyncWrite`. Shutting it down ends the sending
/// side only; with TLS it sends a `close_notify`.
///
/// # Examples
///
/// ```
/// use equipoise::net::Stream;
/// use std::io;
/// use tokio::io::copy_bidirectional;
///
/// /// Returns how many bytes were copied in each direction.
/// async fn relay(mut client: Stream, mut member: Stream) -> io::Result<(u64, u64)> {
///     copy_bidirectional(&mut client, &mut member).await
/// }
/// # let _ = relay;
/// ```
pub struct Stream {
    carrier: StreamCarrier,
}

/// The transport of the bytes.
pub(crate) enum StreamCarrier {
    Replayed(Box<Replayed<Stream>>),
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS is one"))]
    Secured(Box<dyn SecureBytes>),
}

/// Evaluates the same expression for each transport.
macro_rules! each {
    ($stream:expr, $it:ident => $done:expr) => {
        match $stream {
            StreamCarrier::Replayed($it) => $done,
            StreamCarrier::Tcp($it) => $done,
            #[cfg(unix)]
            StreamCarrier::Unix($it) => $done,
            StreamCarrier::Secured($it) => $done,
        }
    };
}

impl Stream {
    #[cfg(feature = "tls")]
    pub(super) fn secured(stream: impl SecureBytes + 'static) -> Self {
        StreamCarrier::Secured(Box::new(stream)).into()
    }

    /// Returns the local address; a unix socket has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Stream;
    ///
    /// fn route(stream: &Stream) -> String {
    ///     format!("{:?} to {:?}", stream.local_addr(), stream.peer_addr())
    /// }
    /// # let _ = route;
    /// ```
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp().and_then(|stream| stream.local_addr().ok())
    }

    /// Returns the remote address; a unix socket has none.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp().and_then(|stream| stream.peer_addr().ok())
    }

    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match &self.carrier {
            StreamCarrier::Replayed(stream) => stream.stream().tcp(),
            StreamCarrier::Tcp(stream) => Some(stream),
            #[cfg(unix)]
            StreamCarrier::Unix(_) => None,
            StreamCarrier::Secured(stream) => stream.carrier().tcp(),
        }
    }
}

#[cfg(any(feature = "forward", feature = "proxy"))]
impl Stream {
    /// Returns the transport of the bytes that are still to come.
    #[cfg_attr(
        not(any(feature = "proxy", target_os = "linux")),
        expect(dead_code, reason = "only Linux splices")
    )]
    pub(crate) fn carrier(&self) -> &StreamCarrier {
        match &self.carrier {
            StreamCarrier::Replayed(stream) if stream.is_over() => stream.stream().carrier(),
            carrier => carrier,
        }
    }
}

#[cfg(feature = "forward")]
impl Stream {
    /// Resolves when the connection fails, without reading or writing; never if it only
    /// ends. The next write still returns the error, and so does the next read, unless the
    /// peer had ended its side before.
    pub(crate) async fn broken(&self) {
        let mut stream = self;
        let ready = loop {
            match &stream.carrier {
                StreamCarrier::Replayed(it) => stream = it.stream(),
                StreamCarrier::Tcp(it) => break it.ready(Interest::ERROR).await,
                #[cfg(unix)]
                StreamCarrier::Unix(it) => break it.ready(Interest::ERROR).await,
                StreamCarrier::Secured(it) => stream = it.carrier(),
            }
        };
        // It fails only while the runtime shuts down.
        if !ready.is_ok_and(|ready| ready.is_error()) {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(any(feature = "health", feature = "proxy"))]
impl Stream {
    /// Returns the protocol that both sides have negotiated by TLS (ALPN).
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match &self.carrier {
            StreamCarrier::Replayed(stream) => stream.stream().alpn(),
            StreamCarrier::Secured(stream) => stream.alpn(),
            _ => None,
        }
    }
}

impl From<StreamCarrier> for Stream {
    fn from(carrier: StreamCarrier) -> Self {
        Self { carrier }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        StreamCarrier::Tcp(stream).into()
    }
}

impl From<Replayed<Self>> for Stream {
    fn from(stream: Replayed<Self>) -> Self {
        if stream.is_over() {
            return stream.into_parts().1;
        }
        StreamCarrier::Replayed(Box::new(stream)).into()
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        StreamCarrier::Unix(stream).into()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().carrier, it => Pin::new(it).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.get_mut().carrier, it => Pin::new(it).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.get_mut().carrier, it => Pin::new(it).poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.carrier, it => it.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().carrier, it => Pin::new(it).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.get_mut().carrier, it => Pin::new(it).poll_shutdown(context))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.carrier {
            StreamCarrier::Replayed(stream) => stream.fmt(f),
            StreamCarrier::Tcp(stream) => stream.fmt(f),
            #[cfg(unix)]
            StreamCarrier::Unix(stream) => stream.fmt(f),
            StreamCarrier::Secured(stream) => f
                .debug_tuple("SecureBytes")
                .field(stream.carrier())
                .finish(),
        }
    }
}

#[cfg(all(test, feature = "forward", unix))]
mod tests {
    use super::Stream;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_break_is_noticed_an_end_is_not_and_the_error_is_still_to_be_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let soon = Duration::from_secs(10);
        for ends_before in [true, false] {
            let mut peer = TcpStream::connect(address).await.unwrap();
            let mut stream = Stream::from(listener.accept().await.unwrap().0);
            peer.write_all(b"hello").await.unwrap();
            if ends_before {
                peer.shutdown().await.unwrap();
            }
            let early = timeout(Duration::from_millis(100), stream.broken()).await;
            assert!(early.is_err(), "there is no break yet");
            peer.set_zero_linger().unwrap();
            drop(peer);
            timeout(soon, stream.broken()).await.unwrap();
            let mut rest = Vec::new();
            let read = timeout(soon, stream.read_to_end(&mut rest)).await.unwrap();
            // After an end, the system reports the error to writes; all bytes have arrived.
            let reported = match read {
                Ok(_) => stream.write_all(b"x").await,
                Err(error) => Err(error),
            };
            assert!(reported.is_err(), "the error is gone: {rest:?}");
        }
    }
}
