//! The I/O of a client's connection, with its time limits: [`ClientStream`].
//!
//! Not here: for how long the client has done something
//! (`connection_state`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::SockRef;

use super::connection_state::ConnectionState;
use super::frame_budget::{FrameBudget, FrameCounter};
use super::half_close::HalfClose;
use super::linger::Linger;
use crate::net::{ConnectionPermit, Stream, StreamCarrier};

/// The I/O of a client's connection, and its slot among the server's connections.
pub(super) struct ClientStream {
    io: TokioIo<FrameCounter<Stream>>,
    /// The bytes that were read to detect the HTTP version.
    first: Bytes,
    connection: Arc<ConnectionState>,
    /// Incoming bytes are the beginning of a head; over HTTP/2 they may be anything.
    heads: bool,
    half_close: HalfClose,
    linger: Linger,
    _place: ConnectionPermit,
}

impl ClientStream {
    pub(super) fn new(
        stream: Stream,
        first: Bytes,
        connection: Arc<ConnectionState>,
        heads: bool,
        linger: Duration,
        place: ConnectionPermit,
    ) -> Self {
        let control = (!heads).then(|| {
            let mut control = Box::new(FrameBudget::new());
            // These bytes are too few to exceed the limit.
            control.has_read(&first);
            control
        });
        Self {
            io: TokioIo::new(FrameCounter::new(stream, control)),
            first,
            connection,
            heads,
            half_close: HalfClose::default(),
            linger: Linger::new(linger),
            _place: place,
        }
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.connection.is_cut_short() {
            // A client of HTTP/1.0 would take an orderly end for the end of the response.
            // With TLS, the missing `close_notify` shows that it is not.
            if let StreamCarrier::Tcp(stream) = self.io.inner().get_ref().carrier() {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        }
    }
}

impl Read for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.first.is_empty() {
            let length = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first[..length]);
            this.first.advance(length);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        if this.heads && read.is_ready() {
            this.connection.has_read();
        }
        read
    }
}

impl Write for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.connection.has_written(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.connection.has_written(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        // hyper calls this each time before it waits.
        if self.heads && self.connection.owes_answers() {
            let this = &mut *self;
            let (stream, connection) = (this.io.inner_mut().get_mut(), &this.connection);
            this.half_close
                .check(stream, &mut this.first, connection, context)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.linger.has_begun() {
            ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
            if this.half_close.is_seen() || !this.connection.start_linger() {
                return Poll::Ready(Ok(()));
            }
        }
        let is_over = this.connection.expects_nothing_more();
        let stream = this.io.inner_mut();
        this.linger.poll(stream, is_over, context).map(Ok)
    }
}
