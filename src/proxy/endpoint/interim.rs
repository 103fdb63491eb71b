//! A limit on the interim responses (1xx) to a request over HTTP/1.1: [`InterimLimit`] counts
//! them, and [`InterimLimited`] enforces the limit where the bytes are read.
//!
//! hyper reads interim responses in a loop within one poll.
//!
//! Not here: interim responses over HTTP/2, which hyper does not show; the
//! time limits bound them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::error::EndpointError;
use crate::sync::{AtomicU32, Relaxed};

/// Counts the interim responses to the current request of a connection.
#[derive(Clone, Debug)]
pub(super) struct InterimLimit(Arc<InterimCount>);

#[derive(Debug)]
struct InterimCount {
    // Relaxed: the task that reads the connection writes and reads it. Another task reads
    // it only after it was notified that the connection has ended.
    responses: AtomicU32,
    most: u32,
}

impl InterimLimit {
    /// For a new connection with a limit of `most` per request.
    pub(super) fn new(most: u32) -> Self {
        Self(Arc::new(InterimCount {
            responses: AtomicU32::new(0),
            most,
        }))
    }

    /// Counts the interim responses to this request, starting from zero.
    pub(super) fn watch<B>(&self, request: &mut Request<B>) {
        self.0.responses.store(0, Relaxed);
        let counted = self.0.clone();
        hyper::ext::on_informational(request, move |_| {
            counted.responses.fetch_add(1, Relaxed);
        });
    }

    fn responses(&self) -> u32 {
        self.0.responses.load(Relaxed)
    }

    fn are_too_many(&self) -> bool {
        self.responses() > self.0.most
    }

    /// Returns why an exchange broke off, if the limit was exceeded.
    pub(super) fn error(&self) -> Option<EndpointError> {
        let most = self.0.most;
        self.are_too_many()
            .then_some(EndpointError::TooManyInterim { most })
    }
}

/// A stream that fails after too many interim responses. After each read that contained
/// some, it yields to other tasks.
#[derive(Debug)]
pub(super) struct InterimLimited<I> {
    io: I,
    interim: InterimLimit,
    /// The count at the last read.
    seen: u32,
    /// The last read contained some: the next one is small.
    slowly: bool,
}

/// The size of a read after an interim response.
const LITTLE: usize = 1024;

impl<I> InterimLimited<I> {
    pub(super) fn new(io: I, interim: InterimLimit) -> Self {
        Self {
            io,
            interim,
            seen: 0,
            slowly: false,
        }
    }
}

impl<I> Read for InterimLimited<I>
where
    I: Read + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let responses = self.interim.responses();
        let seen = std::mem::replace(&mut self.seen, responses);
        if self.interim.are_too_many() {
            return Poll::Ready(Err(io::Error::other("too many interim responses")));
        }
        if responses > seen {
            self.slowly = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !self.slowly {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let mut little = [0; LITTLE];
        let length = little.len().min(buffer.remaining());
        let mut read = ReadBuf::new(little.split_at_mut(length).0);
        ready!(Pin::new(&mut self.io).poll_read(context, read.unfilled()))?;
        self.slowly = false;
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<I> Write for InterimLimited<I>
where
    I: Write + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
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
