//! One attempt: its lease, the service that it calls, and the future of its response.
//!
//! Not here: which attempts are made, and what happens after one has ended (`machine`).

use std::pin::Pin;
use std::task::{Context, Poll};

use http::StatusCode;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::exchange::{ServiceExchange, Unsendable};
use crate::balancer::{Lease, Upload};
use crate::service::capacity::AtCapacity;
use crate::service::dispatch::RequestError;
use crate::service::error::Elapsed;
use crate::service::{BalanceError, BoxError, Fault, cause};
use crate::timer::Sleep;

pin_project! {
    /// A slot for one attempt; `S` is the service, `F` its future.
    pub(in crate::service) struct AttemptSlot<W, S, F> {
        // The first field, so that it is dropped before the lease.
        #[pin]
        future: Option<F>,
        // `None` while there is no attempt.
        lease: Option<Lease<W>>,
        // Kept for the next attempt.
        service: Option<S>,
        // The service was already polled ready.
        ready: bool,
        // The request is sent again on a new connection, as its connection was closed.
        fresh: bool,
        timer: Option<Sleep>,
    }
}

/// Why an attempt ended without a response.
pub(in crate::service) enum AttemptError {
    /// The member is at its limit of requests at the same time, which its lease has
    /// learned. Nothing was sent.
    AtCapacity,
    /// Another attempt has read the body: nothing was sent.
    BodyGone,
    /// The inner service failed.
    Failed(BoxError, Fault),
    /// The inner service did not become ready: nothing was sent.
    NotReady(BoxError, Fault),
    /// The request itself or its client is at fault, so no member can help.
    Request(BoxError, StatusCode),
}

/// A second slot is allocated when it is needed: most requests have no hedged attempt.
pub(super) type SecondSlot<W, S, F> = Option<Pin<Box<AttemptSlot<W, S, F>>>>;

#[derive(Clone, Copy)]
pub(super) enum SlotNumber {
    One,
    Two,
}

/// The slot in question, and the other one.
pub(super) type SlotPair<'m, W, S, F> = (
    Option<Pin<&'m mut AttemptSlot<W, S, F>>>,
    Option<Pin<&'m mut AttemptSlot<W, S, F>>>,
);

pub(super) fn slots<'m, W, S, F>(
    which: SlotNumber,
    one: Pin<&'m mut AttemptSlot<W, S, F>>,
    two: &'m mut SecondSlot<W, S, F>,
) -> SlotPair<'m, W, S, F> {
    let two = two.as_mut().map(|two| two.as_mut());
    match which {
        SlotNumber::One => (Some(one), two),
        SlotNumber::Two => (two, Some(one)),
    }
}

impl<W, S, F> AttemptSlot<W, S, F> {
    pub(in crate::service) fn empty() -> Self {
        Self {
            future: None,
            lease: None,
            service: None,
            ready: false,
            fresh: false,
            timer: None,
        }
    }

    pub(in crate::service) fn new(lease: Lease<W>, service: S, ready: bool) -> Self {
        Self {
            future: None,
            lease: Some(lease),
            service: Some(service),
            ready,
            fresh: false,
            timer: None,
        }
    }

    pub(in crate::service) fn is_busy(&self) -> bool {
        self.lease.is_some()
    }

    /// Returns whether the service is not ready yet, so that it still needs the request.
    pub(in crate::service) fn needs_request(&self) -> bool {
        self.is_busy() && self.future.is_none()
    }

    /// Returns whether the request was already sent on a connection that was closed without
    /// a response.
    pub(in crate::service) fn is_fresh(&self) -> bool {
        self.fresh
    }

    pub(in crate::service) fn lease(&self) -> Option<&Lease<W>> {
        self.lease.as_ref()
    }

    pub(in crate::service) fn service(&self) -> Option<&S> {
        self.service.as_ref()
    }

    /// Ends the attempt; its future is dropped before the lease is returned.
    pub(in crate::service) fn take(self: Pin<&mut Self>) -> Option<(Lease<W>, S)> {
        let mut this = self.project();
        this.future.set(None);
        *this.timer = None;
        Some((this.lease.take()?, this.service.take()?))
    }

    /// Polls the attempt until there is a response. `last` means that no other attempt
    /// needs the request.
    #[inline]
    pub(in crate::service) fn poll<X>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        exchange: &mut X,
        last: bool,
    ) -> Poll<Result<X::Response, AttemptError>>
    where
        X: ServiceExchange<W, Service = S>,
        S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
        F: Future<Output = Result<X::Response, X::Error>>,
    {
        let mut this = self.project();
        let mut watched = PanicGuard {
            lease: this.lease,
            returned: false,
        };
        let (Some(lease), Some(service)) = (&mut *watched.lease, this.service) else {
            return Poll::Pending;
        };
        let end = loop {
            if let Some(future) = this.future.as_mut().as_pin_mut() {
                let Poll::Ready(result) = future.poll(context) else {
                    break Poll::Pending;
                };
                this.future.set(None);
                let ended = match result {
                    Ok(response) => break Poll::Ready(Ok(response)),
                    Err(error) => failed(error.into(), lease, exchange),
                };
                if *this.fresh || !reconnects(&ended, exchange) {
                    break Poll::Ready(Err(ended));
                }
                *this.fresh = true;
                // It is the same attempt, with the same time limit.
                start_timer(this.timer, exchange);
            }
            match ready_to_call(service, *this.ready, context, exchange) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
            }
            *this.ready = false;
            if !*this.fresh {
                *this.timer = None;
            }
            match exchange.request(lease, last, *this.fresh) {
                Ok(request) => this.future.set(Some(service.call(request))),
                Err(unsendable) => break Poll::Ready(Err(unsendable.into())),
            }
        };
        let waiting_for_response = this.future.is_some();
        let late = end.is_pending() && is_late(this.timer, waiting_for_response, exchange, context);
        let end = if late {
            this.future.set(None);
            Poll::Ready(Err(too_late(waiting_for_response, lease)))
        } else {
            end
        };
        watched.returned = true;
        end
    }
}

impl From<Unsendable> for AttemptError {
    fn from(unsendable: Unsendable) -> Self {
        match unsendable {
            Unsendable::Rewrite(error) => {
                let status = error.status();
                Self::Request(error.into_source(), status)
            }
            Unsendable::BodyGone => Self::BodyGone,
        }
    }
}

/// Polls a service for an attempt, unless it is `ready` already.
fn ready_to_call<W, X: ServiceExchange<W>>(
    service: &mut X::Service,
    ready: bool,
    context: &mut Context<'_>,
    exchange: &X,
) -> Poll<Result<(), AttemptError>> {
    if ready {
        return Poll::Ready(Ok(()));
    }
    service.poll_ready(context).map_err(|error| {
        let error = error.into();
        let fault = exchange.settings().classify.error(&*error);
        AttemptError::NotReady(error, fault.and_nothing_sent())
    })
}

/// Ends the request as a failure if the member panics while it is polled.
struct PanicGuard<'l, W> {
    lease: &'l mut Option<Lease<W>>,
    returned: bool,
}

impl<W> Drop for PanicGuard<'_, W> {
    fn drop(&mut self) {
        if !self.returned {
            if let Some(lease) = self.lease.take() {
                lease.fail("the service of the member panicked");
            }
        }
    }
}

/// Classifies an error: the client is at fault if it broke off its own body, or if a
/// balancer or a client behind this one reports so.
fn failed<W, X: ServiceExchange<W>>(
    error: BoxError,
    lease: &Lease<W>,
    exchange: &X,
) -> AttemptError {
    if let Some(full) = cause::<AtCapacity>(&*error) {
        full.report_to(lease);
        return AttemptError::AtCapacity;
    }
    let said = match cause::<BalanceError>(&*error) {
        Some(BalanceError::Request { status, .. }) => Some(*status),
        _ => cause::<RequestError>(&*error).map(RequestError::status),
    };
    // With HTTP/2 clients, the error that broke off the body is not among the causes.
    let said = said.or(match lease.upload() {
        Upload::Failed(status) => StatusCode::from_u16(status).ok(),
        Upload::Flowing | Upload::Late => None,
    });
    if let Some(status) = said {
        return AttemptError::Request(error, status);
    }
    let fault = exchange.settings().classify.error(&*error);
    if fault.is_timed_out() && lease.upload() == Upload::Late {
        return AttemptError::Request(error, StatusCode::REQUEST_TIMEOUT);
    }
    AttemptError::Failed(error, fault)
}

/// Returns whether the request is sent again to the same member, on a new connection. This
/// does not depend on the settings for retries, as no response has begun and the request
/// may be processed twice.
fn reconnects<W, X: ServiceExchange<W>>(ended: &AttemptError, exchange: &X) -> bool {
    let stale = matches!(ended, AttemptError::Failed(_, fault) if fault.is_stale());
    stale && X::RECONNECTS && exchange.is_idempotent() && exchange.is_available()
}

/// Sets the timer of an attempt, unless it is set.
fn start_timer<W, X: ServiceExchange<W>>(timer: &mut Option<Sleep>, exchange: &X) {
    let limits = exchange.settings().time_limits.as_ref();
    let limit = limits.and_then(|limits| Some((limits, limits.timeouts.attempt?)));
    if let (None, Some((limits, limit))) = (&timer, limit) {
        *timer = Some(limits.sleep(limit));
    }
}

/// Sets the timer of the attempt's current stage, and polls it.
fn is_late<W, X: ServiceExchange<W>>(
    timer: &mut Option<Sleep>,
    waiting_for_response: bool,
    exchange: &X,
    context: &mut Context<'_>,
) -> bool {
    let Some(limits) = &exchange.settings().time_limits else {
        return false;
    };
    let limit = if waiting_for_response {
        limits.timeouts.attempt
    } else {
        Some(limits.timeouts.ready)
    };
    let Some(limit) = limit else {
        return false;
    };
    let timer = timer.get_or_insert_with(|| limits.sleep(limit));
    timer.as_mut().poll(context).is_ready()
}

/// Returns which side exceeded the time limit: the client if its body is awaited,
/// otherwise the member.
fn too_late<W>(waiting_for_response: bool, lease: &Lease<W>) -> AttemptError {
    let late = Fault::MAY_HAVE_BEEN_SENT.with_timed_out();
    match (waiting_for_response, lease.upload()) {
        (false, _) => {
            AttemptError::NotReady(Elapsed::Ready.into(), Fault::NOTHING_SENT.with_timed_out())
        }
        (true, Upload::Late) => {
            AttemptError::Request(Elapsed::Upload.into(), StatusCode::REQUEST_TIMEOUT)
        }
        (true, _) => AttemptError::Failed(Elapsed::Response.into(), late),
    }
}
