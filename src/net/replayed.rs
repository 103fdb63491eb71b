//! A stream that returns bytes again that have already been read from it: [`Replayed`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that first returns bytes that have already been read from it, then all others.
///
/// A `Replayed<Stream>` can be converted back to a [`Stream`](super::Stream) (`From`).
/// Writes go directly to the inner stream.
///
/// # Examples
///
/// ```
/// use equipoise::net::Replayed;
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let mut stream: &[u8] = b"hello";
/// let mut first = [0; 2];
/// stream.read_exact(&mut first).await?;
///
/// let mut replayed = Replayed::new(first.to_vec(), stream);
/// let mut all = String::new();
/// replayed.read_to_string(&mut all).await?;
/// assert_eq!(all, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Replayed<S> {
    ahead: Bytes,
    stream: S,
}

impl<S> Replayed<S> {
    /// Creates a stream that returns `ahead` before the bytes of `stream`.
    #[must_use]
    pub fn new(ahead: impl Into<Bytes>, stream: S) -> Self {
        Self {
            ahead: ahead.into(),
            stream,
        }
    }

    /// Returns the bytes that have not been replayed yet, and the inner stream. Code that
    /// reads from the inner stream must use these bytes first.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::net::Replayed;
    ///
    /// let (ahead, stream) = Replayed::new("he", &b"llo"[..]).into_parts();
    /// assert_eq!(ahead, "he");
    /// assert_eq!(stream, b"llo");
    /// ```
    #[must_use]
    pub fn into_parts(self) -> (Bytes, S) {
        (self.ahead, self.stream)
    }

    pub(super) const fn stream(&self) -> &S {
        &self.stream
    }

    pub(super) const fn is_over(&self) -> bool {
        self.ahead.is_empty()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let length = this.ahead.len().min(buffer.remaining());
        buffer.put_slice(&this.ahead[..length]);
        this.ahead.advance(length);
        if this.ahead.is_empty() {
            // Frees the memory, because the connection may live for days.
            this.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
