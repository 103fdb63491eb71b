//! How a connection is closed so that the client reads the last answer: [`Linger`].
//!
//! To close a socket of which something is unread resets the connection, and a client that
//! still sends fails before it has read its answer. So only the own side is shut down first;
//! what the client sends is discarded until it closes its side, as Apache and nginx do.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// A client that sends nothing for so long gets no more time.
const SILENCE: Duration = Duration::from_secs(2);

/// What is read at once, to be discarded.
const PIECE: usize = 16 * 1024;

/// Discards what comes after the own side of a connection was shut down.
#[derive(Debug)]
pub(super) struct Linger {
    until: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Linger {
    pub(super) fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            until: now + limit,
            alarm: Box::pin(sleep_until(now + limit.min(SILENCE))),
        }
    }

    /// Resolves when the client has closed its side, or the time is up.
    pub(super) fn poll<S>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<()>
    where
        S: AsyncRead + Unpin,
    {
        let mut piece = [0; PIECE];
        loop {
            // First, so that no flood keeps it from being looked at.
            let alarm = unconstrained(self.alarm.as_mut());
            if pin!(alarm).poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
            let next = (Instant::now() + SILENCE).min(self.until);
            self.alarm.as_mut().reset(next);
        }
    }
}
