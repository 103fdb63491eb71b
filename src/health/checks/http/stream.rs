//! The byte stream of a check's connection, with a limit on what a member may send:
//! [`CheckStream`].
//!
//! Nothing is read before the request is written. hyper and h2 read within one poll for as
//! long as there are bytes. A member that floods the connection, for example with interim
//! responses or SETTINGS frames, would block the thread for other checks, and would delay
//! their time limits.
//!
//! Not here: what the bytes mean (`connection`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sync::{AtomicU64, Relaxed};

/// How many bytes the current exchange may still read.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<AtomicU64>);

/// Heads, settings, and everything else that is not a body.
const OVERHEAD: u64 = 256 * 1024;

/// Bytes on the wire for each byte of a body; a chunk for one byte takes six.
const WIRE_BYTES_PER_BODY_BYTE: u64 = 8;

impl Allowance {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(OVERHEAD)))
    }

    /// Renews the allowance for a response with at most `most` bytes of body.
    pub(super) fn renew(&self, most: usize) {
        let body = u64::try_from(most).unwrap_or(u64::MAX);
        let bytes = body
            .saturating_mul(WIRE_BYTES_PER_BODY_BYTE)
            .saturating_add(OVERHEAD);
        // Relaxed: a connection is read, and its allowance renewed, by one task at a time.
        self.0.store(bytes, Relaxed);
    }

    /// Takes bytes from the allowance; returns whether it is not used up.
    fn take(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let left = self.0.load(Relaxed).checked_sub(bytes);
        self.0.store(left.unwrap_or(0), Relaxed);
        left.is_some()
    }
}

/// A connection that is read within an allowance, with a limit for each turn.
#[derive(Debug)]
pub(super) struct CheckStream<I> {
    io: I,
    allowance: Allowance,
    /// Bytes read since other tasks had their turn.
    read: usize,
    gate: Gate,
}

/// Whether the connection may be read.
///
/// Some members respond on connect, as a script behind xinetd does. hyper treats bytes
/// before its request as an error; they are not read until the request is written.
#[derive(Debug)]
enum Gate {
    /// Nothing was written yet; a task may wait to read.
    Closed(Option<Waker>),
    Open,
}

/// The most bytes that are read before other tasks have their turn.
const MAX_READ_PER_TURN: usize = 16 * 1024;

impl<I> CheckStream<I> {
    pub(super) fn new(io: I, allowance: Allowance) -> Self {
        Self {
            io,
            allowance,
            read: 0,
            gate: Gate::Closed(None),
        }
    }

    fn written(&mut self, written: &Poll<io::Result<usize>>) {
        if !matches!(written, Poll::Ready(Ok(1..))) {
            return;
        }
        if let Gate::Closed(Some(waker)) = std::mem::replace(&mut self.gate, Gate::Open) {
            waker.wake();
        }
    }
}

impl<I> AsyncRead for CheckStream<I>
where
    I: AsyncRead + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Gate::Closed(waker) = &mut self.gate {
            *waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        if self.read >= MAX_READ_PER_TURN {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if polled.is_pending() {
            self.read = 0;
        }
        ready!(polled)?;
        let bytes = buffer.filled().len() - before;
        self.read += bytes;
        if self.allowance.take(bytes) {
            Poll::Ready(Ok(()))
        } else {
            let flood = "the response has too many bytes";
            Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, flood)))
        }
    }
}

impl<I> AsyncWrite for CheckStream<I>
where
    I: AsyncWrite + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, CheckStream, MAX_READ_PER_TURN, OVERHEAD};
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, duplex};

    #[tokio::test]
    async fn a_response_that_arrives_before_the_request_is_read() {
        let (mut member, ours) = duplex(1024);
        let response = b"HTTP/1.1 204 No Content\r\n\r\n";
        member.write_all(response).await.unwrap();
        let stream = CheckStream::new(ours, Allowance::new());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        // Until the connection was polled once.
        sender.ready().await.unwrap();
        tokio::task::yield_now().await;
        let request = Request::new(Full::<Bytes>::default());
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 204);
        connection.abort();
    }

    /// How much is read in one turn, and in total.
    fn read_out(stream: &mut CheckStream<&[u8]>) -> (usize, usize) {
        let mut context = Context::from_waker(Waker::noop());
        let (mut longest, mut turn, mut all) = (0, 0, 0);
        loop {
            let mut bytes = [0; 1000];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(&mut context, &mut buffer) {
                Poll::Pending => turn = 0,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return (longest, all),
                Poll::Ready(Ok(())) => {
                    turn += buffer.filled().len();
                    all += buffer.filled().len();
                    longest = longest.max(turn);
                }
                Poll::Ready(Err(error)) => {
                    assert_eq!(error.to_string(), "the response has too many bytes");
                    return (longest, all);
                }
            }
        }
    }

    #[test]
    fn a_flood_is_read_in_turns_and_up_to_the_allowance() {
        let overhead = usize::try_from(OVERHEAD).unwrap();
        let flood = vec![0; 4 * overhead];
        let allowance = Allowance::new();
        let mut stream = CheckStream::new(&flood[..], allowance.clone());
        stream.gate = super::Gate::Open;
        let (longest, all) = read_out(&mut stream);
        assert!(
            (MAX_READ_PER_TURN..MAX_READ_PER_TURN + 1000).contains(&longest),
            "{longest}"
        );
        assert!((overhead - 1000..=overhead).contains(&all), "{all}");
        // The next exchange has its own allowance, by the size of the body that it reads.
        allowance.renew(10_000);
        let (_, all) = read_out(&mut stream);
        let most = overhead + 80_000;
        assert!((most - 1000..=most).contains(&all), "{all}");
        allowance.renew(usize::MAX);
        let (_, all) = read_out(&mut stream);
        assert!(all > overhead, "{all}");
    }
}
