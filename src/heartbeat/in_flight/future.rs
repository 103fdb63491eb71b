//! The response future that counts its request: [`InFlightFuture`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::InFlightBody;
use super::counter::InFlightGuard;

pin_project! {
    /// Resolves with a response whose request is counted until its last byte.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct InFlightFuture<F> {
        #[pin]
        inner: F,
        // `None` once there is a response.
        guard: Option<InFlightGuard>,
    }
}

impl<F> InFlightFuture<F> {
    pub(super) fn new(inner: F, guard: InFlightGuard) -> Self {
        Self {
            inner,
            guard: Some(guard),
        }
    }
}

impl<F, B, E> Future for InFlightFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<InFlightBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context));
        let guard = this.guard.take();
        Poll::Ready(response.map(|response| response.map(|body| InFlightBody::new(body, guard))))
    }
}

impl<F> fmt::Debug for InFlightFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlightFuture").finish_non_exhaustive()
    }
}
