//! Skips empty body frames, which HTTP/2 allows in any number, in both directions:
//! [`poll_filled`].

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

/// The number of frames to skip before other tasks get a turn.
const AT_ONCE: u32 = 32;

/// Polls for a frame that is not empty, or for the end.
///
/// Empty frames are not progress: while only they arrive, this is pending, so the time
/// limit for the next frame continues. hyper would pass on any number of them without
/// yielding, and h2 closes a connection, which other requests may share, once it has
/// received more than a hundred.
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
