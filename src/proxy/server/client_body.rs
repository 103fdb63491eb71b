//! The body that a client sends, within limits: [`ClientBody`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::in_flight::InFlightRequest;
use super::linger::discard;
use super::unread::UnreadBody;
use crate::proxy::ConnectionFacts;
use crate::proxy::empty_frames::poll_filled;
use crate::service::{BoxError, RequestError, cause};
use crate::timer::Deadline;

/// The body of a request that a [`Server`](super::Server) accepted.
///
/// It fails with 413 if it has more bytes than allowed, with 408 if the next frame does not
/// arrive in time, and with 400 if it breaks off or its chunks are malformed.
///
/// # Examples
///
/// A service behind a [`Server`](super::Server) that is not a proxy:
///
/// ```
/// use equipoise::proxy::ClientBody;
/// use http::{Request, Response};
/// use http_body_util::BodyExt;
/// use std::convert::Infallible;
///
/// let count = tower::service_fn(async |request: Request<ClientBody>| {
///     let text = match request.into_body().collect().await {
///         Ok(body) => format!("{} bytes\n", body.to_bytes().len()),
///         Err(error) => format!("{error}\n"),
///     };
///     Ok::<_, Infallible>(Response::new(text))
/// });
/// # let _ = count;
/// ```
pub struct ClientBody {
    /// `None` only during the drop.
    inner: Option<Incoming>,
    /// The first frame, if it was read ahead. What is rare is boxed, because the body is
    /// moved with its request.
    ahead: Option<Result<Bytes, Box<NoData>>>,
    transport: BodyTransport,
    /// The number of bytes that may still arrive.
    left: u64,
    patience: Duration,
    alarm: Option<Pin<Box<Deadline>>>,
    waiting: bool,
    /// While this exists, the connection is not idle, even if the response is complete.
    busy: Option<InFlightRequest>,
    /// `None` if they are in the extensions of the request.
    facts: Option<FactsBeside>,
}

/// Trailers, or a failure.
type NoData = Result<Frame<Bytes>, RequestError>;

/// What the server knows of a request, beside it.
#[derive(Debug)]
pub(super) struct FactsBeside {
    pub(super) facts: Arc<ConnectionFacts>,
    /// It is the first request of its connection.
    pub(super) first: bool,
}

/// The HTTP version of the body, and the state needed when it ends or is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyTransport {
    /// The unread rest of the body precedes the next request.
    Http1 {
        turn: u32,
        /// The client waits for a 100 before it sends the body.
        expects: bool,
    },
    Http2 {
        /// How long the rest is discarded.
        linger: Duration,
    },
}

impl ClientBody {
    pub(super) fn new(
        inner: Incoming,
        transport: BodyTransport,
        most: u64,
        patience: Duration,
        busy: Option<InFlightRequest>,
    ) -> Self {
        Self {
            inner: Some(inner),
            ahead: None,
            transport,
            left: most,
            patience,
            alarm: None,
            waiting: false,
            busy,
            facts: None,
        }
    }

    /// Creates a body of which all was read before, so that nothing is left to do when it
    /// ends.
    pub(in crate::proxy) fn already_read(data: Bytes) -> Self {
        Self {
            inner: None,
            ahead: (!data.is_empty()).then_some(Ok(data)),
            transport: BodyTransport::Http2 {
                linger: Duration::ZERO,
            },
            left: 0,
            patience: Duration::ZERO,
            alarm: None,
            waiting: false,
            busy: None,
            facts: None,
        }
    }

    /// Puts back what was read so far; returns whether that is possible.
    pub(in crate::proxy) fn put_back(&mut self, read: Bytes) -> bool {
        if read.is_empty() {
            return true;
        }
        let free = self.ahead.is_none();
        if free {
            self.ahead = Some(Ok(read));
            self.waiting = false;
        }
        free
    }

    pub(super) fn with_facts(mut self, facts: Option<FactsBeside>) -> Self {
        self.facts = facts;
        self
    }

    /// Returns what the server knows of the connection, unless it is in the extensions of
    /// the request.
    pub(in crate::proxy) fn facts(&self) -> Option<&ConnectionFacts> {
        self.facts.as_ref().map(|beside| &*beside.facts)
    }

    /// Returns whether the request is the first of its connection, as far as this is known
    /// beside it.
    #[cfg_attr(
        not(feature = "config"),
        allow(dead_code, reason = "only a configuration asks")
    )]
    pub(crate) fn is_of_first_request(&self) -> bool {
        self.facts.as_ref().is_some_and(|beside| beside.first)
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(Deadline::after(patience)));
        if !self.waiting {
            self.waiting = true;
            alarm.as_mut().reset(Instant::now() + patience);
        }
        alarm.as_mut().poll(context)
    }

    /// Returns whether all of the body has arrived, in one frame, which is then read ahead.
    /// A client that waits for a 100 has sent nothing; reading would send it the 100.
    pub(in crate::proxy) fn has_arrived(&mut self) -> bool {
        let expects = matches!(self.transport, BodyTransport::Http1 { expects: true, .. });
        if self.ahead.is_none() && !expects {
            // It is polled again when it is sent.
            let mut no_waker = Context::from_waker(Waker::noop());
            if let Poll::Ready(ahead) = self.poll_arrived(&mut no_waker) {
                self.ahead = ahead.map(|frame| match frame.map(Frame::into_data) {
                    Ok(data) => data.map_err(|trailers| Box::new(Ok(trailers))),
                    Err(failure) => Err(Box::new(Err(failure))),
                });
            }
        }
        matches!(self.ahead, Some(Ok(_))) && self.has_ended()
    }

    /// Returns whether no frame follows the one that was read ahead.
    fn has_ended(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Returns the state to notify of the body's end, and the body's number.
    fn unread(&self) -> Option<(&UnreadBody, u32)> {
        match (self.transport, &self.busy) {
            (BodyTransport::Http1 { turn, .. }, Some(busy)) => Some((busy.unread(), turn)),
            _ => None,
        }
    }

    /// The first poll makes hyper send 100 to a client that waits for it.
    fn asks(&mut self) {
        if let BodyTransport::Http1 { expects, .. } = &mut self.transport {
            if std::mem::take(expects) {
                if let Some((unread, turn)) = self.unread() {
                    unread.note_continue_sent(turn);
                }
            }
        }
    }

    /// The whole body has been read.
    fn was_read(&self) {
        if let Some((unread, turn)) = self.unread() {
            unread.was_read(turn);
        }
    }

    /// The body fails, and the rest of it is of no use.
    fn lost(&self, error: RequestError) -> RequestError {
        if let Some((unread, turn)) = self.unread() {
            unread.note_lost(turn);
        }
        error
    }

    /// Returns whether the end of the frames is the end of the body. hyper also ends them
    /// when the client resets an HTTP/2 stream with `NO_ERROR`.
    fn is_whole(&self) -> bool {
        let Some(inner) = &self.inner else {
            return true;
        };
        match self.transport {
            BodyTransport::Http1 { .. } => inner.size_hint().lower() == 0,
            BodyTransport::Http2 { .. } => inner.is_end_stream(),
        }
    }
}

impl ClientBody {
    /// Polls for a frame within the limit of size, however long it takes.
    fn poll_arrived(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        self.asks();
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = ready!(poll_filled(context, |context| {
            Pin::new(&mut *inner).poll_frame(context)
        }));
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(self.lost(unreadable(error))))),
            None if self.is_whole() => {
                self.was_read();
                return Poll::Ready(None);
            }
            None => {
                let short = "the client ended the body early";
                return Poll::Ready(Some(Err(self.lost(broken(short)))));
            }
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(self.lost(too_large())))),
        }
        // Trailers come last, and not every reader polls again after them.
        if frame.is_trailers() || self.has_ended() {
            self.was_read();
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = RequestError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let this = &mut *self;
        if let Some(ahead) = this.ahead.take() {
            return Poll::Ready(Some(
                ahead.map_or_else(|other| *other, |data| Ok(Frame::data(data))),
            ));
        }
        if let Poll::Ready(frame) = this.poll_arrived(context) {
            this.waiting = false;
            return Poll::Ready(frame);
        }
        this.poll_late(context).map(|()| {
            let late = "the next part of the body did not arrive in time";
            let late = RequestError::new(StatusCode::REQUEST_TIMEOUT, late);
            Some(Err(this.lost(late)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        let mut size = inner.map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        if let Some(Ok(data)) = &self.ahead {
            let ahead = data.len() as u64;
            // The upper bound first: it may not be less than the lower one.
            if let Some(upper) = size.upper() {
                size.set_upper(upper.saturating_add(ahead));
            }
            size.set_lower(size.lower().saturating_add(ahead));
        }
        size
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        let Some(body) = self.inner.take() else {
            return;
        };
        if let Some((unread, turn)) = self.unread() {
            unread.return_rest(turn, body);
        } else if let BodyTransport::Http2 { linger } = self.transport {
            discard(body, linger);
        }
    }
}

fn broken(cause: impl Into<BoxError>) -> RequestError {
    RequestError::new(StatusCode::BAD_REQUEST, cause)
}

/// Converts an error of hyper: the body broke off, or its chunks are malformed.
fn unreadable(error: hyper::Error) -> RequestError {
    let why = cause::<io::Error>(&error);
    let detail = match why.map(io::Error::kind) {
        // hyper has no error type for this limit.
        _ if why.is_some_and(is_of_extensions) => {
            "the chunk extensions of its body add up to 16 KiB or more"
        }
        Some(ErrorKind::InvalidData | ErrorKind::InvalidInput) => {
            "the chunks of its body are malformed"
        }
        _ => "",
    };
    broken(error).with_detail(detail)
}

fn is_of_extensions(error: &io::Error) -> bool {
    error.to_string().contains("chunk extensions over limit")
}

fn too_large() -> RequestError {
    let most = "the body has more bytes than allowed";
    RequestError::new(StatusCode::PAYLOAD_TOO_LARGE, most)
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody")
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}
