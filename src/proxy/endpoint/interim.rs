//! Interim answers (1xx) to a request over HTTP/1.1, of which a member may send only so
//! many: [`Interim`] counts them, and [`Bounded`] acts on that where the bytes come in.
//!
//! hyper reads on as long as there are interim answers, within one poll.
//!
//! What does not live here: those of HTTP/2, which hyper does not show; the time limits
//! hold for them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::error::EndpointError;
use crate::sync::{AtomicU32, Relaxed};

/// Counts the interim answers to the request that is on a connection now.
#[derive(Clone, Debug)]
pub(super) struct Interim(Arc<InterimCount>);

#[derive(Debug)]
struct InterimCount {
    // Relaxed: it is written and read by the task that reads the connection, and read by
    // another only after that has told it of its end.
    answers: AtomicU32,
    most: u32,
}

impl Interim {
    /// For a new connection, on which a request may have so many.
    pub(super) fn new(most: u32) -> Self {
        Self(Arc::new(InterimCount {
            answers: AtomicU32::new(0),
            most,
        }))
    }

    /// Counts those that come for this request, from none on.
    pub(super) fn watch<B>(&self, request: &mut Request<B>) {
        self.0.answers.store(0, Relaxed);
        let counted = self.0.clone();
        hyper::ext::on_informational(request, move |_| {
            counted.answers.fetch_add(1, Relaxed);
        });
    }

    fn answers(&self) -> u32 {
        self.0.answers.load(Relaxed)
    }

    fn are_too_many(&self) -> bool {
        self.answers() > self.0.most
    }

    /// Why an exchange broke off, if it is for these.
    pub(super) fn error(&self) -> Option<EndpointError> {
        let most = self.0.most;
        self.are_too_many()
            .then_some(EndpointError::TooManyInterim { most })
    }
}

/// A connection that breaks off after too many interim answers. After each read of some,
/// other tasks have their turn.
#[derive(Debug)]
pub(super) struct Bounded<I> {
    io: I,
    interim: Interim,
    /// As many had come when it was last read.
    seen: u32,
    /// There were some in what was read last: what is read next is little.
    slowly: bool,
}

/// What is read at once behind an interim answer.
const LITTLE: usize = 1024;

impl<I> Bounded<I> {
    pub(super) fn new(io: I, interim: Interim) -> Self {
        Self {
            io,
            interim,
            seen: 0,
            slowly: false,
        }
    }
}

impl<I> Read for Bounded<I>
where
    I: Read + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let answers = self.interim.answers();
        let seen = std::mem::replace(&mut self.seen, answers);
        if self.interim.are_too_many() {
            return Poll::Ready(Err(io::Error::other("too many interim answers")));
        }
        if answers > seen {
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

impl<I> Write for Bounded<I>
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
