//! The body of a member's response: [`EndpointBody`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::error::{EndpointError, TimeoutStage};
use super::member_connection::{Http1Connection, MemberConnection};
use super::progress::{ExchangeAlarm, Progress};
use super::shared::SharedEndpoint;
use crate::proxy::empty_frames::poll_filled;
use crate::timer::timeout;

/// The body of a member's response.
///
/// It holds the connection, which returns to the pool with the last frame.
pub struct EndpointBody {
    inner: Incoming,
    /// `None` once it has been returned to the pool.
    connection: Option<(Arc<SharedEndpoint>, MemberConnection)>,
    alarm: ExchangeAlarm,
    limits: BodyTimeouts,
    upload: Progress,
    /// The upload's progress when the wait for a frame began, and the deadline of that
    /// wait.
    waiting: Option<(u32, Instant)>,
    /// An error that is yet to be returned.
    broken: Option<EndpointError>,
    done: bool,
}

/// The time limits for the next frame and for the whole exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyTimeouts {
    pub(super) frame: Option<Duration>,
    pub(super) whole: Option<Instant>,
}

impl BodyTimeouts {
    fn are_over(&self) -> bool {
        self.whole.is_some_and(|whole| whole <= Instant::now())
    }
}

impl EndpointBody {
    pub(super) fn new(
        inner: Incoming,
        endpoint: Arc<SharedEndpoint>,
        connection: MemberConnection,
        alarm: ExchangeAlarm,
        limits: BodyTimeouts,
        upload: Progress,
    ) -> Self {
        let over = inner.is_end_stream();
        let mut body = Self {
            inner,
            connection: Some((endpoint, connection)),
            alarm,
            limits,
            upload,
            waiting: None,
            broken: None,
            done: false,
        };
        if over {
            body.return_to_pool();
        }
        body
    }

    /// Returns the connection to the pool.
    fn return_to_pool(&mut self) {
        let alarm = std::mem::take(&mut self.alarm);
        let (endpoint, mut connection) = match self.connection.take() {
            Some((endpoint, MemberConnection::Http1(connection))) => (endpoint, connection),
            Some((_, MemberConnection::Http2(connection))) => {
                return connection.return_alarm(alarm);
            }
            None => return,
        };
        connection.alarm = alarm;
        if self.upload.goes_on() {
            // A member that responds early may close next. The rest of the upload may still be
            // sent.
            tokio::spawn(finish_upload(connection, self.upload.clone()));
            return;
        }
        if connection.sender.is_ready() || connection.is_alive() && connection.sender.is_ready() {
            endpoint.pool.put(connection);
            return;
        }
        if connection.sender.is_closed() {
            return;
        }
        if matches!(self.upload, Progress::Complete) {
            // The member has responded before it took the whole request.
            connection.move_to_task();
        }
        if !connection.is_polled_here() {
            tokio::spawn(put_when_ready(endpoint, connection));
        }
    }

    fn poll_inner(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let inner = Pin::new(&mut self.inner);
        let Some((_, MemberConnection::Http1(connection))) = &mut self.connection else {
            return inner.poll_frame(context);
        };
        if !connection.is_polled_here() {
            return inner.poll_frame(context);
        }
        // A wake-up for work that is done here would cause a poll for nothing.
        let mut no_waker = Context::from_waker(Waker::noop());
        match inner.poll_frame(&mut no_waker) {
            Poll::Pending => {
                connection.poll_connection(context);
                Pin::new(&mut self.inner).poll_frame(&mut no_waker)
            }
            frame => frame,
        }
    }

    /// Returns whether the body ended early. hyper treats a stream reset with `NO_ERROR` as
    /// ended, which is only right if the member has sent its whole response (RFC 9113,
    /// 8.1).
    fn is_cut_short(&self) -> bool {
        matches!(self.connection, Some((_, MemberConnection::Http2(_))))
            && !self.inner.is_end_stream()
    }

    /// Returns the error with the next poll: earlier frames are yet to be written, and a
    /// writer flushes when a poll is pending.
    fn break_off<T>(&mut self, how: EndpointError, context: &mut Context<'_>) -> Poll<T> {
        self.connection = None;
        self.broken = Some(how);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns the stage that has exceeded its time limit, if any.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<TimeoutStage> {
        loop {
            let upload = self.upload.seen();
            let frame = match self.waiting {
                // The upload has not moved since the deadline was set.
                Some((seen, deadline)) if seen == upload => Some(deadline),
                _ => {
                    let deadline = self.limits.frame.map(|limit| Instant::now() + limit);
                    self.waiting = deadline.map(|deadline| (upload, deadline));
                    deadline
                }
            };
            let Some(next) = frame.into_iter().chain(self.limits.whole).min() else {
                return Poll::Pending;
            };
            std::task::ready!(self.alarm.poll(next, context));
            if self.limits.whole == Some(next) {
                return Poll::Ready(TimeoutStage::Whole);
            }
            if self.upload.seen() == upload {
                return Poll::Ready(TimeoutStage::Body);
            }
        }
    }
}

/// Returns a connection to the pool once hyper's task reports it ready.
async fn put_when_ready(endpoint: Arc<SharedEndpoint>, mut connection: Http1Connection) {
    let ready = timeout(Duration::from_secs(1), connection.sender.ready());
    if matches!(ready.await, Ok(Ok(()))) {
        endpoint.pool.put(connection);
    }
}

/// Sends the rest of an upload; gives up on a member that does not read it.
async fn finish_upload(mut connection: Http1Connection, upload: Progress) {
    loop {
        let seen = upload.seen();
        let ready = timeout(Duration::from_secs(1), connection.sender.ready());
        if ready.await.is_ok() || upload.seen() == seen {
            return;
        }
    }
}

impl Body for EndpointBody {
    type Data = Bytes;
    type Error = EndpointError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EndpointError>>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        if let Some(broken) = this.broken.take() {
            this.done = true;
            return Poll::Ready(Some(Err(broken)));
        }
        match poll_filled(context, |context| this.poll_inner(context)) {
            Poll::Ready(Some(Ok(_))) if this.limits.are_over() => {
                this.done = true;
                this.connection = None;
                let late = EndpointError::timed_out(TimeoutStage::Whole);
                Poll::Ready(Some(Err(late)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = None;
                if this.inner.is_end_stream() {
                    this.return_to_pool();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(source))) => {
                this.break_off(EndpointError::broken_off(source, true), context)
            }
            Poll::Ready(None) if this.is_cut_short() => {
                this.break_off(EndpointError::Incomplete, context)
            }
            Poll::Ready(None) => {
                this.done = true;
                this.return_to_pool();
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_late(context).map(|stage| {
                this.done = true;
                this.connection = None;
                Some(Err(EndpointError::timed_out(stage)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl fmt::Debug for EndpointBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBody")
            .field("done", &self.done)
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}
