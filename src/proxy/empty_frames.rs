//! Frames of a body that carry nothing, which HTTP/2 allows in any number: [`poll_filled`]
//! leaves them out, on both sides.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

/// How many are left out before other tasks have their turn.
const AT_ONCE: u32 = 32;

/// Polls for a frame that carries something, or for the end.
///
/// Empty frames are no progress: while only they come it is pending, so that the limit for
/// the next frame goes on. hyper would pass them on without a bound and without a pause, and
/// h2 ends a connection, which others may use too, on which it has got more than a hundred.
pub(super) fn poll_filled<E>(
    context: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Polled<E>,
) -> Polled<E> {
    for _ in 0..AT_ONCE {
        match poll(context) {
            Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
            polled => return polled,
        }
    }
    context.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::poll_filled;
    use bytes::Bytes;
    use http_body::Frame;
    use std::convert::Infallible;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn empty_frames_are_left_out_and_other_tasks_have_their_turn() {
        let mut context = Context::from_waker(Waker::noop());
        let mut left = 100;
        let mut poll = |_: &mut Context<'_>| {
            let data = match left {
                0 => Bytes::from_static(b"some"),
                _ => Bytes::new(),
            };
            left -= 1;
            Poll::Ready(Some(Ok::<_, Infallible>(Frame::data(data))))
        };
        for _ in 0..3 {
            assert!(poll_filled(&mut context, &mut poll).is_pending());
        }
        let Poll::Ready(Some(Ok(frame))) = poll_filled(&mut context, &mut poll) else {
            panic!("no frame");
        };
        assert_eq!(frame.into_data().unwrap(), "some");
    }
}
