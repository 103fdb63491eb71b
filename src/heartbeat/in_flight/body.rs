//! A response body that counts its request until the last byte: [`InFlightBody`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::counter::InFlightGuard;

pin_project! {
    /// A body whose request counts as in flight until the body ends.
    #[must_use = "a body that is dropped at once ends the request"]
    pub struct InFlightBody<B> {
        #[pin]
        inner: B,
        // `None` once the request has ended.
        guard: Option<InFlightGuard>,
        // Bytes that remain, if the length is known.
        remaining: Option<u64>,
    }
}

impl<B> InFlightBody<B>
where
    B: Body,
{
    pub(in crate::heartbeat) fn new(inner: B, guard: Option<InFlightGuard>) -> Self {
        let remaining = inner.size_hint().exact();
        let is_over = inner.is_end_stream() || remaining == Some(0);
        Self {
            inner,
            guard: guard.filter(|_| !is_over),
            remaining,
        }
    }
}

impl<B> Body for InFlightBody<B>
where
    B: Body,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(context));
        let is_last = match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                *this.remaining = this.remaining.map(|left| left.saturating_sub(length));
                // A consumer that knows the length never polls for the final `None`.
                frame.is_trailers() || *this.remaining == Some(0) || this.inner.is_end_stream()
            }
            _ => true,
        };
        if is_last {
            *this.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for InFlightBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlightBody")
            .field("is_counted", &self.guard.is_some())
            .finish_non_exhaustive()
    }
}
