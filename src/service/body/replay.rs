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
//! attempt 2  ──► replays ─────────┴─► goes on from here
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

use super::request::{KeptBody, RequestBody, Superseded};
use super::request::{note_failed, status_of};
use super::tape::{BodySource, Tape, TapeRead};
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

    fn keep(&self, body: B, _repeatable: bool) -> KeptInBuffer<B> {
        if body.is_end_stream() {
            return KeptInBuffer { tape: None };
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
/// assert!(kept.is_left());
/// assert!(!kept.is_shareable(), "not before all of it is in the buffer");
/// ```
pub struct KeptInBuffer<B> {
    /// `None` if the body is empty.
    tape: Option<Arc<Mutex<Tape<B>>>>,
}

impl<B> KeptBody for KeptInBuffer<B> {
    type Body = ReplayBody<B>;

    fn is_left(&self) -> bool {
        let tape = self.tape.as_ref();
        tape.is_none_or(|tape| tape.lock().can_be_rewound())
    }

    fn is_shareable(&self) -> bool {
        let tape = self.tape.as_ref();
        tape.is_none_or(|tape| tape.lock().is_complete())
    }

    fn next(&mut self, meter: impl FnOnce() -> SentMeter) -> Option<ReplayBody<B>> {
        self.rewound(|| Some(meter()))
    }
}

impl<B: Body> KeptInBuffer<B> {
    /// Buffers up to `limit` bytes as they are read.
    pub(crate) fn new(body: B, limit: usize) -> Self {
        let size = body.size_hint();
        Self {
            tape: Some(Arc::new(Mutex::new(Tape::new(body, size, limit)))),
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
        self.rewound(|| None)
    }

    fn rewound(&self, meter: impl FnOnce() -> Option<SentMeter>) -> Option<ReplayBody<B>> {
        let Some(shared) = &self.tape else {
            return Some(ReplayBody { reader: None });
        };
        let mut tape = shared.lock();
        if !tape.can_be_rewound() {
            return None;
        }
        let (attempt, superseded) = tape.rewind();
        let left = tape.size;
        drop(tape);
        wake(superseded);
        let reader = TapeReader {
            attempt,
            left,
            tape: shared.clone(),
            position: 0,
            done: false,
            unsaid: false,
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
        if let Some(tape) = &self.tape {
            tape.lock().keep_no_more();
        }
    }
}

impl<B> fmt::Debug for KeptInBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptInBuffer")
            .field("left", &self.is_left())
            .finish_non_exhaustive()
    }
}

/// A request body that can be sent again; [`BufferUpTo`] creates it.
pub struct ReplayBody<B> {
    /// `None` if the body is empty.
    reader: Option<TapeReader<B>>,
}

struct TapeReader<B> {
    tape: Arc<Mutex<Tape<B>>>,
    attempt: u64,
    /// The number of bytes that were read.
    position: usize,
    /// The size of the rest.
    left: SizeHint,
    done: bool,
    /// The client's body has ended, but its size hint had not announced the end.
    unsaid: bool,
    /// `None` if the bytes are counted elsewhere.
    meter: Option<SentMeter>,
}

/// What a read returns.
enum NextChunk {
    Data(Bytes),
    End(Option<HeaderMap>),
    Error(BoxError),
}

impl<B> TapeReader<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<NextChunk> {
        let mut tape = self.tape.lock();
        let next = match tape.find(self.attempt, self.position) {
            TapeRead::Data(data) => {
                self.position += data.len();
                NextChunk::Data(data)
            }
            TapeRead::End(trailers) => NextChunk::End(trailers),
            TapeRead::Gone => NextChunk::Error(BodyGone.into()),
            TapeRead::Superseded => NextChunk::Error(Superseded.into()),
            TapeRead::Wait => {
                let other = tape.sleep(context.waker());
                drop(tape);
                wake(other);
                return Poll::Pending;
            }
            TapeRead::ReadOn(source) => {
                drop(tape);
                return self.read_on(source, context);
            }
        };
        Poll::Ready(next)
    }

    /// Reads from the client's body, without holding the lock.
    fn read_on(&mut self, mut source: Pin<Box<B>>, context: &mut Context<'_>) -> Poll<NextChunk> {
        let mut hand = Hand {
            tape: &self.tape,
            empty: false,
        };
        let frame = source.as_mut().poll_frame(context);
        let frame =
            frame.map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())));
        let over = source.is_end_stream();
        hand.empty = true;
        drop(hand);
        let frame = frame.map_err(Into::into);
        if let Some(meter) = &self.meter {
            meter.upload_polled(&frame, status_of);
        }
        let mut tape = self.tape.lock();
        let Poll::Ready(frame) = frame else {
            tape.source = BodySource::Idle(source);
            let other = tape.sleep(context.waker());
            drop(tape);
            wake(other);
            return Poll::Pending;
        };
        tape.source = BodySource::Ended;
        let next = match frame.map(|frame| frame.map(Frame::into_data)) {
            None => {
                self.unsaid = !over;
                NextChunk::End(None)
            }
            Some(Err(error)) => {
                tape.source = BodySource::Failed;
                NextChunk::Error(error)
            }
            Some(Ok(Ok(data))) => {
                if !over {
                    tape.source = BodySource::Idle(source);
                }
                self.position = tape.note(&data);
                self.done = over;
                NextChunk::Data(data)
            }
            Some(Ok(Err(frame))) => {
                tape.trailers = frame.into_trailers().ok();
                NextChunk::End(tape.trailers.clone())
            }
        };
        // An attempt that took over meanwhile continues with the client's body, or reads
        // what was just buffered.
        let other = tape.wake(context.waker());
        drop(tape);
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
struct Hand<'t, B> {
    tape: &'t Mutex<Tape<B>>,
    empty: bool,
}

impl<B> Drop for Hand<'_, B> {
    fn drop(&mut self) {
        if !self.empty {
            let mut tape = self.tape.lock();
            tape.source = BodySource::Failed;
            let asleep = tape.asleep();
            drop(tape);
            wake(asleep);
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
        let said = |reader: &TapeReader<B>| reader.done && !reader.unsaid;
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
    use crate::service::body::tape::TapeRead;
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
        let tape = kept.tape.clone().unwrap();
        let is_kept = || matches!(tape.lock().find(1, 0), TapeRead::Data(_));
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
