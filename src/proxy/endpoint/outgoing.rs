//! Request bodies of any type as one type, which connections are created for.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use super::permit::StreamPermit;
use super::progress::Progress;
use crate::proxy::EdgeBody;
use crate::proxy::empty_frames::poll_filled;
use crate::proxy::server::ClientBody;
use crate::service::{BodyOrigin, BoxError, CountedBody, KeptInBuffer, ReplayBody, RequestError};

/// A request body of any type. The most common types are called without a box.
#[derive(Debug)]
pub(in crate::proxy) struct Outgoing {
    content: OutgoingContent,
    progress: Progress,
    /// The stream that it is sent on, if the connection is shared.
    stream: Option<Arc<StreamPermit>>,
    /// The number of bytes that must arrive before it may end.
    due: u64,
    /// The frame after those that were joined.
    next: Option<Box<NextFrame>>,
    /// What is kept of a body that is sent again.
    kept: Option<Box<KeptContent>>,
}

/// A frame, a failure, or the end.
type NextFrame = Option<Result<Frame<Bytes>, BoxError>>;

/// A frame smaller than this is joined with those that follow it without a wait.
const SMALL: usize = 1024;

/// A complete body of up to this many bytes is sent without a task. It fits into the buffer
/// of a socket, so that it does not wait for what the task that sends it waits for.
const AT_ONCE: u64 = 16 * 1024;

/// A body of which a part is kept.
#[derive(Debug)]
pub(super) struct KeptContent {
    /// `None` if it is empty.
    buffer: Option<KeptInBuffer<OutgoingContent>>,
    /// Where another member's attempt finds a client's body.
    origin: Option<BodyOrigin<EdgeBody<ClientBody>>>,
}

/// Small, because hyper moves requests, and most have no body.
#[derive(Debug)]
enum OutgoingContent {
    Client(Box<CountedBody<EdgeBody<ClientBody>>>),
    Empty,
    Incoming(Box<CountedBody<EdgeBody<Incoming>>>),
    Kept(Box<ReplayBody<Self>>),
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl Outgoing {
    /// Creates one from a body that was received over this version of HTTP.
    pub(super) fn new<B>(body: B, version: Version) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        let content = match same(body) {
            Ok(body) => OutgoingContent::Client(Box::new(body)),
            Err(body) if version == Version::HTTP_2 => {
                framed::<_, CountedBody<EdgeBody<Incoming>>>(body)
                    .or_else(framed::<_, ReplayBody<EdgeBody<Incoming>>>)
                    .or_else(framed::<_, CountedBody<Incoming>>)
                    .or_else(framed::<_, ReplayBody<Incoming>>)
                    .or_else(framed::<_, EdgeBody<Incoming>>)
                    .or_else(framed::<_, Incoming>)
                    .unwrap_or_else(OutgoingContent::other)
            }
            Err(body) => match same(body) {
                Ok(body) => OutgoingContent::Incoming(Box::new(body)),
                Err(body) => OutgoingContent::other(body),
            },
        };
        Self::of(content)
    }

    fn empty() -> Self {
        Self {
            content: OutgoingContent::Empty,
            progress: Progress::None,
            stream: None,
            due: 0,
            next: None,
            kept: None,
        }
    }

    fn of(content: OutgoingContent) -> Self {
        Self {
            due: content.size_hint().lower(),
            content,
            progress: Progress::None,
            stream: None,
            next: None,
            kept: None,
        }
    }

    /// Keeps up to `bytes` bytes of what is read from now on, or what is kept already.
    pub(super) fn keep(&mut self, bytes: usize) -> KeptContent {
        if let Some(kept) = self.kept.take() {
            return *kept;
        }
        let content = std::mem::replace(&mut self.content, OutgoingContent::Empty);
        let origin = match &content {
            OutgoingContent::Empty => {
                return KeptContent {
                    buffer: None,
                    origin: None,
                };
            }
            OutgoingContent::Client(body) => body.origin(),
            _ => None,
        };
        let mut buffer = KeptInBuffer::new(content, bytes);
        if let Some(body) = buffer.next_uncounted() {
            self.content = OutgoingContent::Kept(Box::new(body));
        }
        KeptContent {
            buffer: Some(buffer),
            origin,
        }
    }

    /// Drops what is kept: the request is not sent again.
    pub(super) fn keep_no_more(&mut self) {
        self.kept = None;
    }

    /// Returns the same body from its beginning; `None` if more was read than is kept.
    pub(super) fn again(mut kept: KeptContent) -> Option<Self> {
        let Some(buffer) = &mut kept.buffer else {
            return Some(Self::empty());
        };
        let body = buffer.next_uncounted()?;
        let mut again = Self::of(OutgoingContent::Kept(Box::new(body)));
        again.kept = Some(Box::new(kept));
        Some(again)
    }

    /// Holds the stream until the body ends: hyper may drop the body after the response has
    /// ended, and a request that is sent before then would find no room.
    pub(super) fn hold(&mut self, stream: Option<Arc<StreamPermit>>) {
        self.stream = stream.filter(|_| !matches!(self.content, OutgoingContent::Empty));
    }

    /// Returns how the progress of the body can be followed.
    pub(super) fn progress(&mut self) -> Progress {
        let followed = self.progress.is_watched();
        if !followed && !matches!(self.content, OutgoingContent::Empty) {
            self.progress = Progress::watched();
        }
        self.progress.clone()
    }

    /// The same for a request that is about to be sent over HTTP/1.1. A short body that has
    /// arrived by then does not wait for anything.
    pub(super) fn progress_over_http_1(&mut self) -> Progress {
        match &self.content {
            OutgoingContent::Client(body) if is_at_hand(body) => {
                self.progress = Progress::Complete;
                Progress::Complete
            }
            _ => self.progress(),
        }
    }

    fn poll_content(&mut self, context: &mut Context<'_>) -> Poll<NextFrame> {
        let content = &mut self.content;
        poll_filled(context, |context| {
            Pin::new(&mut *content).poll_frame(context)
        })
    }

    /// Over HTTP/2, joins small frames that are available at once. h2 closes a connection
    /// on which too many small frames wait to be read (some 2 000, by hyper's defaults),
    /// and the connection is shared.
    fn poll_joined(&mut self, context: &mut Context<'_>) -> Poll<NextFrame> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(*next);
        }
        let first = match ready!(self.poll_content(context)) {
            Some(Ok(frame)) if self.stream.is_some() => match frame.into_data() {
                Ok(first) => first,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            },
            next => return Poll::Ready(next),
        };
        let mut joined = BytesMut::new();
        while first.len() + joined.len() < SMALL && !self.content.is_end_stream() {
            let Poll::Ready(next) = self.poll_content(context) else {
                break;
            };
            match next {
                Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data.len() < SMALL) => {
                    joined.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                }
                next => {
                    self.next = Some(Box::new(next));
                    break;
                }
            }
        }
        let data = if joined.is_empty() {
            first
        } else {
            [&first[..], &joined].concat().into()
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl KeptContent {
    /// Gives a client's body back, for an attempt with another member. Other bodies are of
    /// no known type, and those that nothing was read of are available already.
    pub(super) fn give_back(self) {
        let (Some(buffer), Some(origin)) = (self.buffer, self.origin) else {
            return;
        };
        match buffer.take() {
            Some((read, None)) => {
                let body = ClientBody::already_read(read);
                origin.put_back(EdgeBody::new(body, Vec::new()));
            }
            Some((read, Some(OutgoingContent::Client(body)))) => {
                if let Some(mut body) = body.into_read() {
                    if body.inner_mut().put_back(read) {
                        origin.put_back(body);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Returns whether all of a short body has arrived.
fn is_at_hand(body: &CountedBody<EdgeBody<ClientBody>>) -> bool {
    let length = body.size_hint().exact();
    length.is_some_and(|bytes| bytes <= AT_ONCE)
        && body.look(|body| body.inner_mut().has_arrived()) == Some(true)
}

/// Returns the value as a `B`, if that is its type.
fn same<A: 'static, B: 'static>(value: A) -> Result<B, A> {
    let mut value = Some(value);
    let any: &mut dyn Any = &mut value;
    if let Some(same) = any.downcast_mut::<Option<B>>().and_then(Option::take) {
        return Ok(same);
    }
    match value {
        Some(other) => Err(other),
        None => unreachable!("a value of type `A` is taken once"),
    }
}

/// A client's body, as received by hyper's server over HTTP/2. hyper treats a stream that
/// the client has reset with `NO_ERROR` as ended; the end is real only if the client has
/// sent `END_STREAM`.
#[derive(Debug)]
struct FramedBody<B>(B);

/// A body that can report a failure of the client.
trait ReportFailure {
    fn note_failed(&self, status: StatusCode);
}

/// A body that was passed on as received has no lease to report to.
impl ReportFailure for Incoming {
    fn note_failed(&self, _: StatusCode) {}
}

impl ReportFailure for EdgeBody<Incoming> {
    fn note_failed(&self, _: StatusCode) {}
}

impl<B> ReportFailure for CountedBody<B> {
    fn note_failed(&self, status: StatusCode) {
        Self::note_failed(self, status);
    }
}

impl<B> ReportFailure for ReplayBody<B> {
    fn note_failed(&self, status: StatusCode) {
        Self::note_failed(self, status);
    }
}

/// Wraps the body with a check of its end, if it is of type `T`.
fn framed<B, T>(body: B) -> Result<OutgoingContent, B>
where
    B: 'static,
    T: ReportFailure + Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    same::<B, T>(body).map(|body| OutgoingContent::other(FramedBody(body)))
}

fn cut_short() -> RequestError {
    RequestError::new(StatusCode::BAD_REQUEST, "its body ended early")
}

impl<B> Body for FramedBody<B>
where
    B: ReportFailure + Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = &mut self.get_mut().0;
        match Pin::new(&mut *body).poll_frame(context) {
            Poll::Ready(None) if !body.is_end_stream() => {
                let error = cut_short();
                body.note_failed(error.status());
                Poll::Ready(Some(Err(error.into())))
            }
            polled => polled.map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl OutgoingContent {
    fn other<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self::Other(body.map_err(Into::into).boxed_unsync())
    }
}

impl Body for OutgoingContent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Client(body) => Pin::new(body).poll_frame(context),
            Self::Empty => Poll::Ready(None),
            Self::Incoming(body) => Pin::new(body).poll_frame(context),
            Self::Kept(body) => Pin::new(body).poll_frame(context),
            Self::Other(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Client(body) => body.is_end_stream(),
            Self::Empty => true,
            Self::Incoming(body) => body.is_end_stream(),
            Self::Kept(body) => body.is_end_stream(),
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Client(body) => body.size_hint(),
            Self::Empty => SizeHint::with_exact(0),
            Self::Incoming(body) => body.size_hint(),
            Self::Kept(body) => body.size_hint(),
            Self::Other(body) => body.size_hint(),
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let mut polled = this.poll_joined(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.due = this.due.saturating_sub(length as u64);
            }
            Poll::Ready(None) if this.due > 0 => {
                this.due = 0;
                polled = Poll::Ready(Some(Err(cut_short().into())));
            }
            _ => {}
        }
        match &polled {
            Poll::Ready(Some(Ok(_))) if !this.is_end_stream() => this.progress.note(),
            Poll::Ready(_) => {
                this.progress.end();
                this.stream = None;
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.content.is_end_stream()
    }

    /// Returns the size of the remaining body. It is used before the first frame only.
    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn a_value_is_found_to_be_of_its_type_or_given_back() {
        assert_eq!(same::<_, u8>(7_u8), Ok(7));
        assert_eq!(same::<_, u16>(7_u8), Err(7));
    }
}
