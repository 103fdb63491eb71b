//! One attempt: its lease, the service it goes to, and the future of its answer.
//!
//! What does not live here: which attempts are made, and what becomes of their end
//! (`machine`).

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::exchange::Exchange;
use crate::balancer::Lease;
use crate::service::error::{BodyGone, Elapsed};
use crate::service::{BoxError, Fault};
use crate::timer::Sleep;

pin_project! {
    /// Room for one attempt; `S` is the service, `F` its future.
    pub(in crate::service) struct Lane<W, S, F> {
        // `None` while there is no attempt.
        lease: Option<Lease<W>>,
        // Kept for the next attempt.
        service: Option<S>,
        // The service has been polled ready already.
        ready: bool,
        alarm: Option<Sleep>,
        #[pin]
        future: Option<F>,
    }
}

/// How an attempt ended without an answer.
pub(in crate::service) enum Halt {
    /// The inner service failed.
    Failed(BoxError, Fault),
    /// It did not get ready: nothing was sent.
    NotReady(BoxError, Fault),
}

impl<W, S, F> Lane<W, S, F> {
    pub(in crate::service) fn empty() -> Self {
        Self {
            lease: None,
            service: None,
            ready: false,
            alarm: None,
            future: None,
        }
    }

    pub(in crate::service) fn new(lease: Lease<W>, service: S, ready: bool) -> Self {
        Self {
            lease: Some(lease),
            service: Some(service),
            ready,
            alarm: None,
            future: None,
        }
    }

    pub(in crate::service) fn is_busy(&self) -> bool {
        self.lease.is_some()
    }

    pub(in crate::service) fn lease(&self) -> Option<&Lease<W>> {
        self.lease.as_ref()
    }

    pub(in crate::service) fn service(&self) -> Option<&S> {
        self.service.as_ref()
    }

    /// Ends the attempt; its future is dropped before the lease is handed out.
    pub(in crate::service) fn take(self: Pin<&mut Self>) -> Option<(Lease<W>, S)> {
        let mut this = self.project();
        this.future.set(None);
        *this.alarm = None;
        Some((this.lease.take()?, this.service.take()?))
    }

    /// Carries the attempt on until there is an answer. `last` says that there will be
    /// no other.
    pub(in crate::service) fn poll<X>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        exchange: &mut X,
        last: impl Fn() -> bool,
    ) -> Poll<Result<X::Response, Halt>>
    where
        X: Exchange<W, Service = S>,
        S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
        F: Future<Output = Result<X::Response, X::Error>>,
    {
        let mut this = self.project();
        let (Some(lease), Some(service)) = (this.lease, this.service) else {
            return Poll::Pending;
        };
        loop {
            if let Some(future) = this.future.as_mut().as_pin_mut() {
                let Poll::Ready(result) = future.poll(context) else {
                    break;
                };
                this.future.set(None);
                return Poll::Ready(result.map_err(|error| {
                    let error = error.into();
                    let fault = exchange.settings().classify.error(&*error);
                    Halt::Failed(error, fault)
                }));
            }
            if !*this.ready {
                match service.poll_ready(context) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(Halt::NotReady(error.into(), Fault::NOTHING_SENT)));
                    }
                }
            }
            *this.ready = false;
            *this.alarm = None;
            match exchange.request(lease, last()) {
                Some(request) => this.future.set(Some(service.call(request))),
                None => {
                    let gone = Halt::Failed(BodyGone.into(), Fault::MAY_HAVE_BEEN_SENT);
                    return Poll::Ready(Err(gone));
                }
            }
        }
        let Some(patience) = &exchange.settings().patience else {
            return Poll::Pending;
        };
        let waiting_for_answer = this.future.is_some();
        let limit = if waiting_for_answer {
            patience.timeouts.attempt
        } else {
            Some(patience.timeouts.ready)
        };
        let Some(limit) = limit else {
            return Poll::Pending;
        };
        let alarm = this.alarm.get_or_insert_with(|| patience.sleep(limit));
        std::task::ready!(alarm.as_mut().poll(context));
        this.future.set(None);
        Poll::Ready(Err(if waiting_for_answer {
            let fault = Fault::MAY_HAVE_BEEN_SENT.and_timed_out();
            Halt::Failed(Elapsed::Answer.into(), fault)
        } else {
            let fault = Fault::NOTHING_SENT.and_timed_out();
            Halt::NotReady(Elapsed::Ready.into(), fault)
        }))
    }
}
