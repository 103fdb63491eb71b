//! The body of a message that has passed the edge: [`EdgeBody`].
//!
//! Not here: the list of fields that are allowed in trailers (`fields`).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::HeaderName;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::proxy::fields;

pin_project! {
    /// The body of a request or response that has passed an
    /// [`EdgeLayer`](super::EdgeLayer).
    ///
    /// Data frames are passed on unchanged. Trailers follow the rules for heads: fields
    /// that the edge removes or sets in heads are removed. Fields that are only meaningful
    /// in heads (RFC 9110, 6.5.1), such as `Authorization`, `Content-Type`, `Host` and
    /// `Set-Cookie`, are removed, too. The trailers of gRPC pass. The response to a `HEAD`,
    /// and one with status 204 or 304, has no body, whatever the member sent.
    ///
    /// # Examples
    ///
    /// A service of your own behind an edge accepts it:
    ///
    /// ```
    /// use equipoise::proxy::{EdgeBody, EdgeLayer, Forwarding};
    /// use http::{Request, Response};
    /// use std::convert::Infallible;
    /// use tower::{Layer, service_fn};
    ///
    /// let inner = service_fn(|request: Request<EdgeBody<axum::body::Body>>| async {
    ///     Ok::<_, Infallible>(Response::new(request.into_body()))
    /// });
    /// let service = EdgeLayer::new(Forwarding::new()).layer(inner);
    /// # fn hold<S: tower_service::Service<Request<axum::body::Body>>>(_: S) {}
    /// # hold(service);
    /// ```
    #[derive(Debug)]
    pub struct EdgeBody<B> {
        #[pin]
        inner: B,
        // Further fields that were removed from the head. Empty, and unallocated, for most
        // messages.
        removed: Vec<HeaderName>,
        over: bool,
    }
}

impl<B> EdgeBody<B> {
    /// `removed` are names that trailers may not have, in addition to those that are never
    /// allowed.
    pub(in crate::proxy) fn new(inner: B, removed: Vec<HeaderName>) -> Self {
        Self {
            inner,
            removed,
            over: false,
        }
    }

    /// Removes fields with these names from the trailers, too.
    #[cfg(feature = "config")]
    pub(crate) fn without_trailers(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.removed.extend(names);
    }

    /// Returns the body as it arrives.
    pub(in crate::proxy) fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    /// Creates a body that has ended.
    pub(super) fn over(inner: B) -> Self {
        Self {
            inner,
            removed: Vec::new(),
            over: true,
        }
    }
}

impl<B: Body> Body for EdgeBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        while !*this.over {
            let frame = match ready!(this.inner.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let mut trailers = match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(data) => return Poll::Ready(Some(Ok(data))),
            };
            fields::clean_trailers(&mut trailers, this.removed);
            if !trailers.is_empty() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            // These trailers came last; without them, the body ends.
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.over {
            SizeHint::with_exact(0)
        } else {
            self.inner.size_hint()
        }
    }
}
