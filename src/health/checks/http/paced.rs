//! The bytes of a check's connection, of which a member may send only so many, and none
//! before it was asked: [`Paced`].
//!
//! hyper and h2 read on within one poll as long as there is something to read. A member that
//! floods them with what is no answer, such as interim answers or frames of SETTINGS, would keep
//! a thread from all other checks, and their time limits from being noticed.
//!
//! What does not live here: what the bytes mean (`line`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sync::{AtomicU64, Relaxed};

/// How many bytes the exchange that is under way may still read.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<AtomicU64>);

/// Heads, settings, and all else that is no body.
const BESIDES: u64 = 256 * 1024;

/// What each byte of a body may take; a chunk for one byte takes six.
const EACH: u64 = 8;

impl Allowance {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(BESIDES)))
    }

    /// For an answer of whose body so much is read.
    pub(super) fn renew(&self, most: usize) {
        let body = u64::try_from(most).unwrap_or(u64::MAX);
        let bytes = body.saturating_mul(EACH).saturating_add(BESIDES);
        // Relaxed: a connection is read, and its allowance renewed, by one task at a time.
        self.0.store(bytes, Relaxed);
    }

    /// Whether it is not used up.
    fn take(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let left = self.0.load(Relaxed).checked_sub(bytes);
        self.0.store(left.unwrap_or(0), Relaxed);
        left.is_some()
    }
}

/// A connection that is read within an allowance, a little in one go.
#[derive(Debug)]
pub(super) struct Paced<I> {
    io: I,
    allowance: Allowance,
    /// Since other tasks had their turn.
    read: usize,
    gate: Gate,
}

/// Whether something may be read.
///
/// Some members answer as soon as they are connected to, as a script behind xinetd does. hyper
/// takes bytes that come before its request for a fault, so they are left where they are.
#[derive(Debug)]
enum Gate {
    /// Nothing was written, and perhaps this task wants to read.
    Closed(Option<Waker>),
    Open,
}

/// What is read before other tasks have their turn.
const TURN: usize = 16 * 1024;

impl<I> Paced<I> {
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

impl<I> AsyncRead for Paced<I>
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
        if self.read >= TURN {
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
            let flood = "too many bytes for an answer";
            Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, flood)))
        }
    }
}

impl<I> AsyncWrite for Paced<I>
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
    use super::{Allowance, BESIDES, Paced, TURN};
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, duplex};

    #[tokio::test]
    async fn an_answer_that_is_there_before_the_request_is_its_answer() {
        let (mut member, ours) = duplex(1024);
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        member.write_all(answer).await.unwrap();
        let paced = Paced::new(ours, Allowance::new());
        let (mut sender, connection) = http1::handshake(TokioIo::new(paced)).await.unwrap();
        let connection = tokio::spawn(connection);
        // Until the connection was polled once.
        sender.ready().await.unwrap();
        tokio::task::yield_now().await;
        let request = Request::new(Full::<Bytes>::default());
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 204);
        connection.abort();
    }

    /// How much is read in one go, and in all.
    fn read_out(paced: &mut Paced<&[u8]>) -> (usize, usize) {
        let mut context = Context::from_waker(Waker::noop());
        let (mut longest, mut turn, mut all) = (0, 0, 0);
        loop {
            let mut bytes = [0; 1000];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *paced).poll_read(&mut context, &mut buffer) {
                Poll::Pending => turn = 0,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return (longest, all),
                Poll::Ready(Ok(())) => {
                    turn += buffer.filled().len();
                    all += buffer.filled().len();
                    longest = longest.max(turn);
                }
                Poll::Ready(Err(error)) => {
                    assert_eq!(error.to_string(), "too many bytes for an answer");
                    return (longest, all);
                }
            }
        }
    }

    #[test]
    fn a_flood_is_read_in_turns_and_up_to_the_allowance() {
        let besides = usize::try_from(BESIDES).unwrap();
        let flood = vec![0; 4 * besides];
        let allowance = Allowance::new();
        let mut paced = Paced::new(&flood[..], allowance.clone());
        paced.gate = super::Gate::Open;
        let (longest, all) = read_out(&mut paced);
        assert!((TURN..TURN + 1000).contains(&longest), "{longest}");
        assert!((besides - 1000..=besides).contains(&all), "{all}");
        // The next exchange has an allowance of its own, by the body that it reads.
        allowance.renew(10_000);
        let (_, all) = read_out(&mut paced);
        let most = besides + 80_000;
        assert!((most - 1000..=most).contains(&all), "{all}");
        allowance.renew(usize::MAX);
        let (_, all) = read_out(&mut paced);
        assert!(all > besides, "{all}");
    }
}
