//! A connection as bytes, to a client or to a member, whatever carries it: [`Stream`].
//!
//! What does not live here: who opens it (`endpoint/connect`), who accepts it
//! (`server/listener`), and how it is secured (`tls`).

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// Bytes under some protection.
pub(super) trait Secured: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Secured for T {}

/// Bytes to and from somebody else.
pub(super) enum Stream {
    /// Nobody any more.
    Closed,
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS is one"))]
    Secured(Box<dyn Secured>),
}

/// Does the same to whatever carries the bytes.
macro_rules! each {
    ($stream:expr, $carrier:ident => $done:expr, $closed:expr) => {
        match $stream {
            Stream::Closed => $closed,
            Stream::Tcp($carrier) => $done,
            #[cfg(unix)]
            Stream::Unix($carrier) => $done,
            Stream::Secured($carrier) => $done,
        }
    };
}

impl Stream {
    /// The address on this side, before it is under protection.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            _ => None,
        }
    }
}

fn closed<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), it => Pin::new(it).poll_read(context, buffer), Poll::Ready(Ok(())))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), it => Pin::new(it).poll_write(context, bytes), closed())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), it => Pin::new(it).poll_write_vectored(context, bytes), closed())
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, it => it.is_write_vectored(), false)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), it => Pin::new(it).poll_flush(context), closed())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), it => Pin::new(it).poll_shutdown(context), closed())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "Closed",
            Self::Tcp(_) => "Tcp",
            #[cfg(unix)]
            Self::Unix(_) => "Unix",
            Self::Secured(_) => "Secured",
        })
    }
}
