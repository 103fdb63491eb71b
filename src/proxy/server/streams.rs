//! Limits how long a client may leave a response unread, for each stream of an HTTP/2
//! connection: [`StreamTasks`] runs the streams, and a response's body records in
//! [`Pieces`] what it returns.
//!
//! While a client reads nothing, h2 does not poll the body, so the limit cannot be enforced
//! there. It is enforced around hyper's future of the stream: dropping that future resets
//! the stream.
//!
//! Not here: writes that are blocked by the socket (`connection_state`),
//! which show a slow client over HTTP/1.1.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::timer::Deadline;

/// The maximum number of bytes that a body returns at once. The limit is checked between
/// two pieces, so at least this much must be read in that time.
pub(super) const PIECE: usize = 16 * 1024;

/// What the body of the stream that is being polled has returned.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Pieces {
    /// The number of pieces; it wraps.
    given: u32,
    /// Whether the last piece was returned, and none has been requested since.
    unread: bool,
}

thread_local! {
    /// The pieces of the stream that this thread polls now. hyper has no place to store
    /// them.
    static NOW: Cell<Pieces> = const { Cell::new(Pieces { given: 0, unread: false }) };
}

impl Pieces {
    /// Records that a body has returned a piece.
    pub(super) fn give() {
        let given = NOW.get().given.wrapping_add(1);
        let unread = true;
        NOW.set(Self { given, unread });
    }

    /// Records that a body is polled for more: the previous piece was sent.
    pub(super) fn ask() {
        let unread = false;
        NOW.set(Self {
            unread,
            ..NOW.get()
        });
    }

    /// Runs `poll`, and records here what the body does meanwhile.
    fn during<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let outer = NOW.replace(*self);
        let polled = poll();
        *self = NOW.replace(outer);
        polled
    }
}

/// Runs the futures that hyper creates for streams, with the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamTasks {
    /// How long a client may leave a piece of a response unread.
    pub(super) limit: Duration,
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(LimitedStream {
            future: Some(future),
            pieces: Pieces::default(),
            limit: self.limit,
            due: None,
            deadline: None,
        });
    }
}

pin_project! {
    /// A stream that ends when its client leaves a piece unread for too long.
    struct LimitedStream<F> {
        // `None` once it was cancelled.
        #[pin]
        future: Option<F>,
        pieces: Pieces,
        limit: Duration,
        // When the waiting piece must have been read.
        due: Option<Instant>,
        // It fires at the first deadline, and is then set to the current one.
        deadline: Option<Pin<Box<Deadline>>>,
    }
}

impl<F> Future for LimitedStream<F>
where
    F: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let before = *this.pieces;
        if this.pieces.during(|| future.poll(context)).is_ready() {
            return Poll::Ready(());
        }
        if !this.pieces.unread {
            *this.due = None;
            return Poll::Pending;
        }
        let due = match *this.due {
            Some(due) if before == *this.pieces => due,
            _ => *this.due.insert(Instant::now() + *this.limit),
        };
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(Deadline::at(due)));
        loop {
            ready!(deadline.as_mut().poll(context));
            if deadline.moment() >= due {
                this.future.set(None);
                return Poll::Ready(());
            }
            deadline.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pieces, StreamTasks};
    use hyper::rt::Executor;
    use std::time::Duration;
    use tokio::sync::oneshot;
    use tokio::time::{Instant, sleep};

    const LIMIT: Duration = Duration::from_secs(10);

    /// Runs a stream; returns how long it existed.
    async fn lasts(stream: impl Future<Output = ()> + Send + 'static) -> Duration {
        let (alive, gone) = oneshot::channel::<()>();
        let began = Instant::now();
        StreamTasks { limit: LIMIT }.execute(async move {
            stream.await;
            drop(alive);
        });
        let _ = gone.await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_piece_is_not_taken_is_dropped() {
        let stalled = async {
            Pieces::give();
            std::future::pending::<()>().await;
        };
        assert_eq!(lasts(stalled).await.as_secs(), LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_give_may_wait() {
        let silent = async {
            Pieces::give();
            Pieces::ask();
            sleep(LIMIT * 3).await;
        };
        assert_eq!(lasts(silent).await.as_secs(), LIMIT.as_secs() * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_whose_pieces_are_taken_slowly_goes_on_until_one_is_not() {
        let slow = async {
            for _ in 0..5 {
                Pieces::ask();
                Pieces::give();
                sleep(LIMIT / 2).await;
            }
            std::future::pending::<()>().await;
        };
        assert_eq!(lasts(slow).await.as_secs(), LIMIT.as_secs() * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_stream_does_is_not_held_against_another() {
        let stalled = lasts(async {
            Pieces::give();
            std::future::pending::<()>().await;
        });
        let silent = lasts(sleep(LIMIT * 2));
        let (stalled, silent) = tokio::join!(stalled, silent);
        assert_eq!(stalled.as_secs(), LIMIT.as_secs());
        assert_eq!(silent.as_secs(), LIMIT.as_secs() * 2);
    }
}
