//! Request bodies that are kept while they are sent, so that they can be sent again:
//! [`BufferUpTo`] and [`ReplayBody`].
//!
//! Each attempt reads with a cursor of its own: first what is in the buffer, then on
//! from the client's body, which it also puts into the buffer. A later attempt takes
//! the client's body over from an earlier one, which reads an error from then on.
//!
//! ```text
//! buffer  ▓▓▓▓▓▓▓▓░░░░ limit      the client's body
//! attempt 1  ────────► superseded ┐
//! attempt 2  ──► replays ─────────┴─► goes on from here
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::request::{KeptBody, RequestBody, Superseded};
use crate::balancer::SentMeter;
use crate::service::BoxError;
use crate::service::error::BodyGone;
use crate::sync::Mutex;

/// Keeps up to so many bytes of each request body while it is sent, so that another
/// attempt can send it again; a longer one is streamed on without being kept.
///
/// Only requests that may be sent twice need it: those of idempotent methods that have
/// a body (`PUT`), and those marked [`Idempotent`](crate::service::Idempotent).
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

    fn keep(&self, body: B) -> KeptInBuffer<B> {
        if body.is_end_stream() {
            return KeptInBuffer { tape: None };
        }
        // A body that is known to be too long is not even begun to be kept.
        let fits = body.size_hint().lower() <= self.0 as u64;
        let tape = Tape {
            size: body.size_hint(),
            source: Source::Idle(Box::pin(body)),
            frames: Vec::new(),
            room: if fits { self.0 } else { 0 },
            read: 0,
            overflown: false,
            trailers: None,
            owner: 0,
            waiting: None,
        };
        KeptInBuffer {
            tape: Some(Arc::new(Mutex::new(tape))),
        }
    }
}

/// What is known of a body, shared by the attempts that read it.
struct Tape<B> {
    size: SizeHint,
    source: Source<B>,
    frames: Vec<Bytes>,
    /// So many bytes more may be kept.
    room: usize,
    /// So many frames were read from the source.
    read: usize,
    /// Something was read that is not kept: the tape cannot be rewound.
    overflown: bool,
    trailers: Option<HeaderMap>,
    /// The attempt that may read on from the source.
    owner: u64,
    /// The owner, while an earlier attempt has the source in hand.
    waiting: Option<Waker>,
}

/// The client's body. It is polled outside the lock.
enum Source<B> {
    Idle(Pin<Box<B>>),
    InHand,
    Ended,
    Failed,
}

impl<B> Tape<B> {
    fn is_complete(&self) -> bool {
        matches!(self.source, Source::Ended) && !self.overflown
    }

    fn can_be_rewound(&self) -> bool {
        !self.overflown && !matches!(self.source, Source::Failed)
    }

    /// Keeps data if there is room for it.
    fn keep(&mut self, data: &Bytes) {
        self.read += 1;
        match self.room.checked_sub(data.len()) {
            Some(room) if !self.overflown => {
                self.room = room;
                self.frames.push(data.clone());
            }
            _ => {
                self.overflown = true;
                self.frames = Vec::new();
            }
        }
    }
}

/// A body that the next attempt gets as long as all that was read of it is in the
/// buffer.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use equipoise::service::{BufferUpTo, KeptBody, RequestBody};
/// use http_body_util::Full;
///
/// let kept = BufferUpTo(1_024).keep(Full::new(Bytes::from("hello")));
/// assert!(kept.is_left());
/// assert!(!kept.is_shareable(), "not before all of it is in the buffer");
/// ```
pub struct KeptInBuffer<B> {
    /// `None` if it is empty.
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
        let Some(shared) = &self.tape else {
            return Some(ReplayBody { reader: None });
        };
        let mut tape = shared.lock();
        if !tape.can_be_rewound() {
            return None;
        }
        if !tape.is_complete() {
            tape.owner += 1;
        }
        let reader = Reader {
            attempt: tape.owner,
            left: tape.size,
            tape: shared.clone(),
            frames_read: 0,
            done: false,
            meter: meter(),
        };
        Some(ReplayBody {
            reader: Some(reader),
        })
    }
}

impl<B> fmt::Debug for KeptInBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptInBuffer")
            .field("left", &self.is_left())
            .finish_non_exhaustive()
    }
}

/// A request body that can be sent again; made by [`BufferUpTo`].
///
/// # Examples
///
/// See [`CountedBody`](crate::service::CountedBody), which is used in the same way.
pub struct ReplayBody<B> {
    /// `None` if it is empty.
    reader: Option<Reader<B>>,
}

struct Reader<B> {
    tape: Arc<Mutex<Tape<B>>>,
    attempt: u64,
    frames_read: usize,
    /// The size of what is still to be read.
    left: SizeHint,
    done: bool,
    meter: SentMeter,
}

/// What a look at the tape gives.
enum Look<B> {
    Frame(Bytes),
    Trailers(HeaderMap),
    End,
    Error(BoxError),
    Wait,
    /// The reader's turn to read on.
    ReadOn(Pin<Box<B>>),
}

impl<B> Reader<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    fn look(&mut self, context: &Context<'_>) -> Look<B> {
        let mut tape = self.tape.lock();
        if let Some(frame) = tape.frames.get(self.frames_read) {
            let frame = frame.clone();
            self.frames_read += 1;
            return Look::Frame(frame);
        }
        if tape.is_complete() {
            self.done = true;
            return tape.trailers.clone().map_or(Look::End, Look::Trailers);
        }
        if tape.owner != self.attempt {
            self.done = true;
            return Look::Error(Superseded.into());
        }
        if self.frames_read < tape.read {
            // An earlier attempt had the last word, and it was too long to be kept.
            self.done = true;
            return Look::Error(BodyGone.into());
        }
        match std::mem::replace(&mut tape.source, Source::InHand) {
            Source::Idle(source) => Look::ReadOn(source),
            Source::InHand => {
                tape.waiting = Some(context.waker().clone());
                Look::Wait
            }
            over @ (Source::Ended | Source::Failed) => {
                tape.source = over;
                self.done = true;
                Look::End
            }
        }
    }

    /// Reads on from the client's body, outside the lock.
    fn read_on(&mut self, mut source: Pin<Box<B>>, context: &mut Context<'_>) -> Poll<Look<B>> {
        let frame = source.as_mut().poll_frame(context);
        let ended = match &frame {
            Poll::Ready(None | Some(Err(_))) => true,
            Poll::Ready(Some(Ok(_))) => source.is_end_stream(),
            Poll::Pending => false,
        };
        let mut tape = self.tape.lock();
        tape.source = if ended {
            Source::Ended
        } else {
            Source::Idle(source)
        };
        let look = match frame {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.done = true;
                Poll::Ready(Look::End)
            }
            Poll::Ready(Some(Err(error))) => {
                tape.source = Source::Failed;
                self.done = true;
                Poll::Ready(Look::Error(error.into()))
            }
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(mut data) => {
                    let data = data.copy_to_bytes(data.remaining());
                    tape.keep(&data);
                    self.frames_read = tape.read;
                    self.done |= ended;
                    Poll::Ready(Look::Frame(data))
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    tape.trailers = Some(trailers.clone());
                    tape.source = Source::Ended;
                    self.done = true;
                    Poll::Ready(Look::Trailers(trailers))
                }
            },
        };
        // Whoever took over meanwhile reads on, or replays what has just been kept.
        let waiting = tape.waiting.take();
        drop(tape);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        look
    }

    fn count(&mut self, data: &Bytes) {
        let length = data.len() as u64;
        self.meter.record(length);
        let mut left = SizeHint::new();
        if let Some(upper) = self.left.upper() {
            left.set_upper(upper.saturating_sub(length));
        }
        let lower = self.left.lower().saturating_sub(length);
        left.set_lower(lower.min(left.upper().unwrap_or(lower)));
        self.left = left;
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
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(None);
        };
        if reader.done {
            return Poll::Ready(None);
        }
        let look = match reader.look(context) {
            Look::ReadOn(source) => std::task::ready!(reader.read_on(source, context)),
            look => look,
        };
        Poll::Ready(match look {
            Look::Frame(data) => {
                reader.count(&data);
                Some(Ok(Frame::data(data)))
            }
            Look::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Look::End => None,
            Look::Error(error) => Some(Err(error)),
            Look::Wait | Look::ReadOn(_) => return Poll::Pending,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.reader.as_ref().is_none_or(|reader| reader.done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.reader {
            Some(reader) => reader.left,
            None => SizeHint::with_exact(0),
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field(
                "frames_read",
                &self.reader.as_ref().map(|it| it.frames_read),
            )
            .finish_non_exhaustive()
    }
}
