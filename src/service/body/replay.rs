//! Request bodies that are kept while they are sent, so that they can be sent again:
//! [`BufferUpTo`] and [`ReplayBody`].
//!
//! Each attempt has its own read position. It reads the buffer first, then the client's
//! body, and appends what it reads to the buffer. A later attempt takes over the client's
//! body from an earlier one, which is woken and reads an error.
//!
//! ```text
//! buffer  ▓▓▓▓▓▓▓▓░░░░ limit      the client's body
//! attempt 1  ────────► superseded ┐
//! attempt 2  ──► replays ─────────┴─► continues from here
//! ```
//!
//! Not here: the buffer, and which attempt reads (`replay_buffer`).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::replay_buffer::{BodySource, BufferRead, ReplayBuffer};
use super::request::{KeptBody, RequestBody, Superseded};
use super::request::{note_failed, status_of};
use crate::balancer::SentMeter;
use crate::service::BoxError;
use crate::service::error::BodyGone;
use crate::sync::Mutex;

/// Buffers up to this many bytes of each request body while it is sent, so that another
/// attempt can send it again. Nothing is kept of a longer body.
///
/// Another attempt may send the body again if the method is idempotent, such as `PUT`, or
/// the request is marked [`Idempotent`](crate::service::Idempotent). For any method, such
/// as `POST`, it may do so if the member has reported that it did not process the request
/// (HTTP/2). Each request may take this much memory until its response begins.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::service::{BalanceLayer, BufferUpTo};
///
/// let balancer = Balancer::<http::Uri>::builder().build()?;
/// let layer = BalanceLayer::new(balancer).request_body(BufferUpTo(64 << 10));
/// # let _ = layer;
/// # Ok::<(), equipoise::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a number of bytes")]
pub struct BufferUpTo(pub usize);

impl<B> RequestBody<B> for BufferUpTo
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Body = ReplayBody<B>;
    type Kept = KeptInBuffer<B>;

    fn keep(&self, body: B, _may_retry: bool) -> KeptInBuffer<B> {
        if body.is_end_stream() {
            return KeptInBuffer { buffer: None };
        }
        let size = body.size_hint();
        // A body that is known to be too long is not buffered. All others are, whatever the
        // method: a request that a member provably did not process may be sent again.
        let limit = if size.lower() <= self.0 as u64 {
            self.0
        } else {
            0
        };
        KeptInBuffer::new(body, limit)
    }
}

/// A body for the next attempt, as long as everything that was read of it is in the buffer.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use equipoise::service::{BufferUpTo, KeptBody, RequestBody};
/// use http_body_util::Full;
///
/// let kept = BufferUpTo(1_024).keep(Full::new(Bytes::from("hello")), true);
/// assert!(kept.is_available());
/// assert!(!kept.is_shareable(), "not before all of it is in the buffer");
/// ```
pub struct KeptInBuffer<B> {
    /// `None` if the body is empty.
    buffer: Option<Arc<Mutex<ReplayBuffer<B>>>>,
}

impl<B> KeptBody for KeptInBuffer<B> {
    type Body = ReplayBody<B>;

    fn is_available(&self) -> bool {
        let buffer = self.buffer.as_ref();
        buffer.is_none_or(|buffer| buffer.lock().can_be_rewound())
    }

    fn is_shareable(&self) -> bool {
        let buffer = self.buffer.as_ref();
        buffer.is_none_or(|buffer| buffer.lock().is_complete())
    }

    fn next(&mut self, meter: impl FnOnce() -> SentMeter) -> Option<ReplayBody<B>> {
        self.replay(|| Some(meter()))
    }
}

impl<B: Body> KeptInBuffer<B> {
    /// Buffers up to `limit` bytes as they are read.
    pub(crate) fn new(body: B, limit: usize) -> Self {
        let size = body.size_hint();
        Self {
            buffer: Some(Arc::new(Mutex::new(ReplayBuffer::new(body, size, limit)))),
        }
    }
}

impl<B> KeptInBuffer<B> {
    /// Like [`next`](KeptBody::next), for bytes that are counted elsewhere.
    #[cfg_attr(
        not(feature = "proxy"),
        allow(dead_code, reason = "endpoints keep some")
    )]
    pub(crate) fn next_uncounted(&mut self) -> Option<ReplayBody<B>> {
        self.replay(|| None)
    }

    /// Takes what was read, and the rest of the body unless all of it was read; `None` if
    /// something of it is missing.
    #[cfg_attr(
        not(feature = "proxy"),
        allow(dead_code, reason = "endpoints give bodies back")
    )]
    pub(crate) fn take(&self) -> Option<(Bytes, Option<B>)>
    where
        B: Unpin,
    {
        let mut buffer = self.buffer.as_ref()?.lock();
        let (read, rest) = buffer.take()?;
        let superseded = buffer.take_waker();
        drop(buffer);
        wake(superseded);
        Some((read, rest.map(|rest| *Pin::into_inner(rest))))
    }

    fn replay(&self, meter: impl FnOnce() -> Option<SentMeter>) -> Option<ReplayBody<B>> {
        let Some(shared) = &self.buffer else {
            return Some(ReplayBody { reader: None });
        };
        let mut buffer = shared.lock();
        if !buffer.can_be_rewound() {
            return None;
        }
        let (attempt, superseded) = buffer.rewind();
        let left = buffer.size;
        drop(buffer);
        wake(superseded);
        let reader = ReplayReader {
            attempt,
            left,
            buffer: shared.clone(),
            position: 0,
            done: false,
            end_unannounced: false,
            meter: meter(),
        };
        Some(ReplayBody {
            reader: Some(reader),
        })
    }
}

impl<B> Drop for KeptInBuffer<B> {
    fn drop(&mut self) {
        // The body of an attempt may continue long after its response has begun.
        if let Some(buffer) = &self.buffer {
            buffer.lock().keep_no_more();
        }
    }
}

impl<B> fmt::Debug for KeptInBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptInBuffer")
            .field("left", &self.is_available())
            .finish_non_exhaustive()
    }
}

/// A request body that can be sent again; [`BufferUpTo`] creates it.
pub struct ReplayBody<B> {
    /// `None` if the body is empty.
    reader: Option<ReplayReader<B>>,
}

struct ReplayReader<B> {
    buffer: Arc<Mutex<ReplayBuffer<B>>>,
    attempt: u64,
    /// The number of bytes that were read.
    position: usize,
    /// The size of the rest.
    left: SizeHint,
    done: bool,
    /// The client's body has ended, but its size hint had not announced the end.
    end_unannounced: bool,
    /// `None` if the bytes are counted elsewhere.
    meter: Option<SentMeter>,
}

/// What a read returns.
enum NextChunk {
    Data(Bytes),
    End(Option<HeaderMap>),
    Error(BoxError),
}

impl<B> ReplayReader<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<NextChunk> {
        let mut buffer = self.buffer.lock();
        let next = match buffer.find(self.attempt, self.position) {
            BufferRead::Data(data) => {
                self.position += data.len();
                NextChunk::Data(data)
            }
            BufferRead::End(trailers) => NextChunk::End(trailers),
            BufferRead::Gone => NextChunk::Error(BodyGone.into()),
            BufferRead::Superseded => NextChunk::Error(Superseded.into()),
            BufferRead::Wait => {
                let other = buffer.sleep(context.waker());
                drop(buffer);
                wake(other);
                return Poll::Pending;
            }
            BufferRead::ReadOn(source) => {
                drop(buffer);
                return self.read_on(source, context);
            }
        };
        Poll::Ready(next)
    }

    /// Reads from the client's body, without holding the lock.
    fn read_on(&mut self, mut source: Pin<Box<B>>, context: &mut Context<'_>) -> Poll<NextChunk> {
        let mut guard = SourceGuard {
            buffer: &self.buffer,
            empty: false,
        };
        let frame = source.as_mut().poll_frame(context);
        let frame =
            frame.map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())));
        let over = source.is_end_stream();
        guard.empty = true;
        drop(guard);
        let frame = frame.map_err(Into::into);
        if let Some(meter) = &self.meter {
            meter.upload_polled(&frame, status_of);
        }
        let mut buffer = self.buffer.lock();
        let Poll::Ready(frame) = frame else {
            buffer.source = BodySource::Idle(source);
            let other = buffer.sleep(context.waker());
            drop(buffer);
            wake(other);
            return Poll::Pending;
        };
        buffer.source = BodySource::Ended;
        let next = match frame.map(|frame| frame.map(Frame::into_data)) {
            None => {
                self.end_unannounced = !over;
                NextChunk::End(None)
            }
            Some(Err(error)) => {
                buffer.source = BodySource::Failed;
                NextChunk::Error(error)
            }
            Some(Ok(Ok(data))) => {
                if !over {
                    buffer.source = BodySource::Idle(source);
                }
                self.position = buffer.note(&data);
                self.done = over;
                NextChunk::Data(data)
            }
            Some(Ok(Err(frame))) => {
                buffer.trailers = frame.into_trailers().ok();
                NextChunk::End(buffer.trailers.clone())
            }
        };
        // An attempt that took over meanwhile continues with the client's body, or reads
        // what was just buffered.
        let other = buffer.wake(context.waker());
        drop(buffer);
        wake(other);
        Poll::Ready(next)
    }

    fn count(&mut self, data: &Bytes) {
        let length = data.len() as u64;
        if let Some(meter) = &self.meter {
            meter.record(length);
        }
        let mut left = SizeHint::new();
        if let Some(upper) = self.left.upper() {
            left.set_upper(upper.saturating_sub(length));
        }
        let lower = self.left.lower().saturating_sub(length);
        left.set_lower(lower.min(left.upper().unwrap_or(lower)));
        self.left = left;
    }
}

/// Holds the client's body while it is polled. If that panics, the other attempts see that
/// it has failed.
struct SourceGuard<'t, B> {
    buffer: &'t Mutex<ReplayBuffer<B>>,
    empty: bool,
}

impl<B> Drop for SourceGuard<'_, B> {
    fn drop(&mut self) {
        if !self.empty {
            let mut buffer = self.buffer.lock();
            buffer.source = BodySource::Failed;
            let waker = buffer.take_waker();
            drop(buffer);
            wake(waker);
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(reader) = self.reader.as_mut().filter(|reader| !reader.done) else {
            return Poll::Ready(None);
        };
        Poll::Ready(match std::task::ready!(reader.poll(context)) {
            NextChunk::Data(data) => {
                reader.count(&data);
                Some(Ok(Frame::data(data)))
            }
            NextChunk::End(trailers) => {
                reader.done = true;
                trailers.map(|trailers| Ok(Frame::trailers(trailers)))
            }
            NextChunk::Error(error) => {
                reader.done = true;
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        let said = |reader: &ReplayReader<B>| reader.done && !reader.end_unannounced;
        self.reader.as_ref().is_none_or(said)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.reader {
            Some(reader) => reader.left,
            None => SizeHint::with_exact(0),
        }
    }
}

impl<B> ReplayBody<B> {
    /// Records that the client has broken off its body; `status` is the status of the
    /// response to it.
    #[cfg_attr(
        not(feature = "proxy"),
        allow(dead_code, reason = "endpoints find out")
    )]
    pub(crate) fn note_failed(&self, status: StatusCode) {
        let meter = self
            .reader
            .as_ref()
            .and_then(|reader| reader.meter.as_ref());
        if let Some(meter) = meter {
            note_failed(meter, status);
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field("read", &self.reader.as_ref().map(|reader| reader.position))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::KeptInBuffer;
    use crate::service::body::replay_buffer::BufferRead;
    use bytes::Bytes;
    use http_body::{Body, Frame};
    use http_body_util::BodyExt;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// Sends without an end.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"some")))))
        }
    }

    #[tokio::test]
    async fn nothing_is_kept_once_no_other_attempt_can_come() {
        let mut kept = KeptInBuffer::new(Endless, 1_000);
        let buffer = kept.buffer.clone().unwrap();
        let is_kept = || matches!(buffer.lock().find(1, 0), BufferRead::Data(_));
        let mut body = kept.next_uncounted().unwrap();
        body.frame().await.unwrap().unwrap();
        assert!(is_kept());
        drop(kept);
        for _ in 0..2 {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "some");
        }
        assert!(!is_kept());
    }
}
