//! The response future that adds the report: [`LoadReportFuture`].

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::header::add;
use super::meter::{Arrival, LoadMeter};
use crate::heartbeat::in_flight::{InFlightBody, InFlightGuard};

pin_project! {
    /// Resolves with a response that has a report, and whose request is counted until its
    /// last byte.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct LoadReportFuture<F> {
        #[pin]
        inner: F,
        // `None` once there is a response, and for a probe.
        guard: Option<InFlightGuard>,
        // `None` for a probe.
        arrival: Option<Arrival>,
        meter: LoadMeter,
    }
}

impl<F> LoadReportFuture<F> {
    pub(super) fn new(
        inner: F,
        guard: Option<InFlightGuard>,
        arrival: Option<Arrival>,
        meter: LoadMeter,
    ) -> Self {
        Self {
            inner,
            guard,
            arrival,
            meter,
        }
    }
}

impl<F, B, E> Future for LoadReportFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<InFlightBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context));
        let guard = this.guard.take();
        Poll::Ready(response.map(|mut response| {
            let has_failed = response.status().is_server_error();
            let report = match *this.arrival {
                Some(arrival) => this.meter.respond(arrival, has_failed),
                None => this.meter.report(),
            };
            add(response.headers_mut(), &report);
            response.map(|body| InFlightBody::new(body, guard))
        }))
    }
}

impl<F> fmt::Debug for LoadReportFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadReportFuture").finish_non_exhaustive()
    }
}
