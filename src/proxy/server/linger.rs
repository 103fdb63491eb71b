//! Closes a connection so that the client can read the last response: [`Linger`]; and ends
//! an HTTP/2 stream whose response is complete while the client is still sending:
//! [`discard`].
//!
//! Closing a socket with unread data resets the connection, and a client that is still
//! sending fails before it has read its response. Therefore only the sending side is shut
//! down first; what the client sends is discarded until it closes its side, as in Apache
//! and nginx.

use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

/// A client that sends nothing for this long gets no more time.
const SILENCE: Duration = Duration::from_secs(2);

/// Discards the unread rest of a body over HTTP/2, in a task of its own. After that, or
/// without a runtime, the stream is reset with `NO_ERROR`.
///
/// HTTP/2 would allow resetting it at once, but some clients (such as curl 7.88) then fail
/// while they send, and lose the response.
pub(super) fn discard(mut body: Incoming, limit: Duration) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if limit.is_zero() || body.is_end_stream() {
        return;
    }
    runtime.spawn(async move {
        let end = Instant::now() + limit;
        loop {
            let next = (Instant::now() + SILENCE).min(end);
            let frame = timeout_at(next, body.frame()).await;
            if !matches!(frame, Ok(Some(Ok(_)))) || Instant::now() >= end {
                return;
            }
        }
    });
}

/// The number of bytes to read at once, to be discarded.
const PIECE: usize = 16 * 1024;

/// Discards what arrives after the sending side of a connection was shut down.
#[derive(Debug)]
pub(super) struct Linger {
    limit: Duration,
    end: Option<Instant>,
    /// Set once the client must be waited for.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Linger {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            end: None,
            silence: None,
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.end.is_some()
    }

    /// Resolves when the client has closed its side, or the time limit is exceeded; if it
    /// `is_over`, also when nothing more has arrived.
    pub(super) fn poll<S>(
        &mut self,
        stream: &mut S,
        is_over: bool,
        context: &mut Context<'_>,
    ) -> Poll<()>
    where
        S: AsyncRead + Unpin,
    {
        let limit = self.limit;
        let end = *self.end.get_or_insert_with(|| Instant::now() + limit);
        let mut piece = [const { MaybeUninit::uninit() }; PIECE];
        loop {
            let now = Instant::now();
            if now >= end {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(read) => {
                    if read.is_err() || buffer.filled().is_empty() {
                        return Poll::Ready(());
                    }
                    let next = (Instant::now() + SILENCE).min(end);
                    match &mut self.silence {
                        Some(silence) => silence.as_mut().reset(next),
                        None => self.silence = Some(Box::pin(sleep_until(next))),
                    }
                }
                // It has sent nothing but its request.
                Poll::Pending if is_over && self.silence.is_none() => return Poll::Ready(()),
                Poll::Pending => {
                    let next = (now + SILENCE).min(end);
                    let silence = self
                        .silence
                        .get_or_insert_with(|| Box::pin(sleep_until(next)));
                    // Without the task's budget: if it is used up, the timer would stay unset.
                    return pin!(unconstrained(silence.as_mut())).poll(context);
                }
            }
        }
    }
}
