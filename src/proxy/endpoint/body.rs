//! The body of a member's response: [`EndpointBody`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::error::{EndpointError, TimeoutStage};
use super::exchange::{BoxedRequest, Exchange, IncomingEnd};
use super::member_connection::{Http1Connection, MemberConnection};
use super::progress::Progress;
use super::shared::SharedEndpoint;
use crate::proxy::empty_frames::poll_filled;
use crate::timer::timeout;

/// The body of a member's response.
///
/// It holds the connection, which returns to the pool with the last frame.
pub struct EndpointBody {
    /// The allocation of the exchange, so that responses are small where they are moved.
    sent: BoxedRequest,
}

impl Exchange {
    /// Returns the connection to the pool.
    fn return_to_pool(&mut self) {
        let alarm = std::mem::take(&mut self.alarm);
        let mut connection = match self.connection.take() {
            Some(MemberConnection::Http1(connection)) => connection,
            Some(MemberConnection::Http2(connection)) => return connection.return_alarm(alarm),
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
            self.endpoint.pool.put(connection);
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
            tokio::spawn(put_when_ready(self.endpoint.clone(), connection));
        }
    }

    /// Polls the next frame, and the connection unless a task does.
    fn poll_incoming(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let here = match &mut self.connection {
            Some(MemberConnection::Http1(one)) if one.is_polled_here() => one,
            _ => return Pin::new(incoming).poll_frame(context),
        };
        // A wake-up for work that is done here would cause a poll for nothing.
        let mut no_waker = Context::from_waker(Waker::noop());
        match Pin::new(&mut *incoming).poll_frame(&mut no_waker) {
            Poll::Pending => {
                here.poll_connection(context);
                Pin::new(incoming).poll_frame(&mut no_waker)
            }
            frame => frame,
        }
    }

    fn has_ended(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Returns whether the body ended early. hyper treats a stream reset with `NO_ERROR` as
    /// ended, which is only right if the member has sent its whole response (RFC 9113,
    /// 8.1).
    fn is_cut_short(&self) -> bool {
        matches!(self.connection, Some(MemberConnection::Http2(_))) && !self.has_ended()
    }

    fn is_over_time(&self) -> bool {
        self.whole.is_some_and(|whole| whole <= Instant::now())
    }

    /// Returns the error with the next poll: earlier frames are yet to be written, and a
    /// writer flushes when a poll is pending.
    fn break_off<T>(&mut self, how: EndpointError, context: &mut Context<'_>) -> Poll<T> {
        self.connection = None;
        self.end = IncomingEnd::Broken(Box::new(how));
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Closes the connection, or resets the stream.
    fn late(&mut self, stage: TimeoutStage) -> EndpointError {
        self.connection = None;
        self.end = IncomingEnd::Over;
        EndpointError::timed_out(stage)
    }
}

impl EndpointBody {
    /// The body of a response whose head has arrived.
    pub(super) fn new(mut sent: BoxedRequest) -> Self {
        let exchange = sent.as_mut().project().exchange;
        if exchange.has_ended() {
            exchange.return_to_pool();
        }
        Self { sent }
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
        let this = self.sent.as_mut().project().exchange;
        if !matches!(this.end, IncomingEnd::NotYet) {
            return Poll::Ready(match std::mem::replace(&mut this.end, IncomingEnd::Over) {
                IncomingEnd::Broken(error) => Some(Err(*error)),
                IncomingEnd::NotYet | IncomingEnd::Over => None,
            });
        }
        match poll_filled(context, |context| this.poll_incoming(context)) {
            Poll::Ready(Some(Ok(_))) if this.is_over_time() => {
                Poll::Ready(Some(Err(this.late(TimeoutStage::Whole))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = None;
                if this.has_ended() {
                    this.return_to_pool();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(source))) => {
                this.break_off(EndpointError::response_broken_off(source), context)
            }
            Poll::Ready(None) if this.is_cut_short() => {
                this.break_off(EndpointError::Incomplete, context)
            }
            Poll::Ready(None) => {
                this.return_to_pool();
                this.end = IncomingEnd::Over;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let limit = this.endpoint.frame;
                let late = this.poll_late(TimeoutStage::Body, limit, context);
                late.map(|stage| Some(Err(this.late(stage))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let exchange = &self.sent.exchange;
        matches!(exchange.end, IncomingEnd::Over) || exchange.has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        let incoming = self.sent.exchange.incoming.as_ref();
        incoming.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl fmt::Debug for EndpointBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBody")
            .field("end", &self.sent.exchange.end)
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}
