//! The streams of an HTTP/2 connection, each with a limit of its own for what its client
//! does not take: [`StreamTasks`] runs them, and an answer's body notes in [`Pieces`] what it
//! hands over.
//!
//! While a client takes nothing, h2 asks the body for nothing, so that the limit cannot be
//! kept there. It is kept beside hyper's future of the stream: dropped, that resets it.
//!
//! What does not live here: writes that find no room in the socket (`line`), which is how a
//! stalled client shows over HTTP/1.1.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::timer::Deadline;

/// The most that a body hands over at once. The limit is looked at between two pieces, so
/// this much at least has to be taken in that time.
pub(super) const PIECE: usize = 16 * 1024;

/// What the body of the stream that is being polled has handed over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Pieces {
    /// How many; it wraps.
    given: u32,
    /// The last was handed over, and no other has been asked for since.
    untaken: bool,
}

thread_local! {
    /// Those of the stream that this thread polls now. hyper has no place to put them.
    static NOW: Cell<Pieces> = const { Cell::new(Pieces { given: 0, untaken: false }) };
}

impl Pieces {
    /// Notes that a body has handed over a piece.
    pub(super) fn give() {
        let given = NOW.get().given.wrapping_add(1);
        let untaken = true;
        NOW.set(Self { given, untaken });
    }

    /// Notes that a body is asked for more: what it has given was taken.
    pub(super) fn ask() {
        let untaken = false;
        NOW.set(Self {
            untaken,
            ..NOW.get()
        });
    }

    /// Runs `poll`, and notes here what the body does meanwhile.
    fn during<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let outer = NOW.replace(*self);
        let polled = poll();
        *self = NOW.replace(outer);
        polled
    }
}

/// Runs the futures that hyper makes for streams, and for what becomes of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamTasks {
    /// How long a client may leave a piece of an answer untaken.
    pub(super) limit: Duration,
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(Limited {
            future: Some(future),
            pieces: Pieces::default(),
            limit: self.limit,
            due: None,
            deadline: None,
        });
    }
}

pin_project! {
    /// A stream that ends when its client leaves a piece untaken for too long.
    struct Limited<F> {
        // `None` once it was given up.
        #[pin]
        future: Option<F>,
        pieces: Pieces,
        limit: Duration,
        // When the piece that waits has to be taken.
        due: Option<Instant>,
        // It goes off for a moment that has moved, and is set for the one that counts.
        deadline: Option<Pin<Box<Deadline>>>,
    }
}

impl<F> Future for Limited<F>
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
        if !this.pieces.untaken {
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

    /// Runs a stream; tells for how long it was there.
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
