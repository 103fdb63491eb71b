//! The body of a response that may come from the balancer itself: [`ResponseBody`].

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The response body of an inner service, or a text of the balancer.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        content: ResponseContent<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = ContentProjected]
    enum ResponseContent<B> {
        // `None` once it has been read, and for HEAD.
        Line { text: Option<Bytes> },
        Member { #[pin] inner: B },
    }
}

impl<B> ResponseBody<B> {
    /// Creates a body from a text; an empty text ends at once.
    pub(crate) fn text(text: Bytes) -> Self {
        let text = Some(text).filter(|text| !text.is_empty());
        let content = ResponseContent::Line { text };
        Self { content }
    }

    /// Returns the body of the inner service, unless this is a text of the balancer.
    #[cfg(feature = "config")]
    pub(crate) fn inner_mut(&mut self) -> Option<&mut B> {
        match &mut self.content {
            ResponseContent::Line { .. } => None,
            ResponseContent::Member { inner } => Some(inner),
        }
    }

    /// Returns whether this is the body of the inner service.
    #[cfg(feature = "config")]
    pub(crate) fn is_of_inner(&self) -> bool {
        matches!(self.content, ResponseContent::Member { .. })
    }

    /// Creates a body from that of an inner service.
    pub(crate) fn inner(inner: B) -> Self {
        let content = ResponseContent::Member { inner };
        Self { content }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().content.project() {
            ContentProjected::Line { text } => {
                Poll::Ready(text.take().map(|text| Ok(Frame::data(text))))
            }
            ContentProjected::Member { inner } => inner.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            ResponseContent::Line { text } => text.is_none(),
            ResponseContent::Member { inner } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ResponseContent::Line { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            ResponseContent::Member { inner } => inner.size_hint(),
        }
    }
}
