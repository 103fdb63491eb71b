//! The response future that reads the report: [`OrcaFuture`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http::header::HeaderName;
use pin_project_lite::pin_project;

use super::report::OrcaReport;
use super::sink::Sink;
use crate::service::ServedBy;

const HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics");

pin_project! {
    /// Resolves with a response, after its report was read.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct OrcaFuture<F> {
        #[pin]
        inner: F,
        sink: Sink,
    }
}

impl<F> OrcaFuture<F> {
    pub(super) fn new(inner: F, sink: Sink) -> Self {
        Self { inner, sink }
    }
}

impl<F, B, E> Future for OrcaFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        if let Some(served) = response.extensions().get::<ServedBy>() {
            // The last text form counts: a member that is a proxy appends its own. Another
            // form may be present for other readers.
            let values = || response.headers().get_all(HEADER).iter().rev();
            let in_text = values().find(|it| OrcaReport::is_text(it.as_bytes()));
            if let Some(value) = in_text.or_else(|| values().next()) {
                this.sink.take(&served.member, value.as_bytes());
            }
        }
        if !this.sink.keeps_header {
            response.headers_mut().remove(HEADER);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for OrcaFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrcaFuture").finish_non_exhaustive()
    }
}
