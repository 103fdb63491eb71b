//! One attempt: its lease, the service it goes to, and the future of its answer.
//!
//! What does not live here: which attempts are made, and what becomes of their end
//! (`machine`).

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
    /// Room for one attempt; `S` is the service, `F` its future.
    pub(in crate::service) struct AttemptSlot<W, S, F> {
        // First, so that it is gone before the lease gives its count back.
        #[pin]
        future: Option<F>,
        // `None` while there is no attempt.
        lease: Option<Lease<W>>,
        // Kept for the next attempt.
        service: Option<S>,
        // The service has been polled ready already.
        ready: bool,
        // The request is sent again, as its connection turned out to be closed: on a new one.
        fresh: bool,
        alarm: Option<Sleep>,
    }
}

/// How an attempt ended without an answer.
pub(in crate::service) enum Halt {
    /// The member takes no more requests at the same time, which its lease has learned.
    /// Nothing was sent.
    AtCapacity,
    /// Another attempt has read the body before this one got it: nothing was sent.
    BodyGone,
    /// The inner service failed.
    Failed(BoxError, Fault),
    /// It did not get ready: nothing was sent.
    NotReady(BoxError, Fault),
    /// It is the request, or its client, that no member can help.
    Request(BoxError, StatusCode),
}

impl<W, S, F> AttemptSlot<W, S, F> {
    pub(in crate::service) fn empty() -> Self {
        Self {
            future: None,
            lease: None,
            service: None,
            ready: false,
            fresh: false,
            alarm: None,
        }
    }

    pub(in crate::service) fn new(lease: Lease<W>, service: S, ready: bool) -> Self {
        Self {
            future: None,
            lease: Some(lease),
            service: Some(service),
            ready,
            fresh: false,
            alarm: None,
        }
    }

    pub(in crate::service) fn is_busy(&self) -> bool {
        self.lease.is_some()
    }

    /// Its service is not ready yet: it has still to be given the request.
    pub(in crate::service) fn needs_request(&self) -> bool {
        self.is_busy() && self.future.is_none()
    }

    /// The request has been on a connection that was closed without an answer.
    pub(in crate::service) fn is_fresh(&self) -> bool {
        self.fresh
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

    /// Carries the attempt on until there is an answer. `last` says that the request is not
    /// needed once more.
    pub(in crate::service) fn poll<X>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        exchange: &mut X,
        last: bool,
    ) -> Poll<Result<X::Response, Halt>>
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
                let halt = match result {
                    Ok(response) => break Poll::Ready(Ok(response)),
                    Err(error) => failed(error.into(), lease, exchange),
                };
                if *this.fresh || !reconnects(&halt, exchange) {
                    break Poll::Ready(Err(halt));
                }
                *this.fresh = true;
                // It is the same attempt, and has no more time for it.
                keep_time(this.alarm, exchange);
            }
            if !*this.ready {
                match service.poll_ready(context) {
                    Poll::Pending => break Poll::Pending,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => {
                        let error = error.into();
                        let fault = exchange.settings().classify.error(&*error);
                        let halt = Halt::NotReady(error, fault.and_nothing_sent());
                        break Poll::Ready(Err(halt));
                    }
                }
            }
            *this.ready = false;
            if !*this.fresh {
                *this.alarm = None;
            }
            match exchange.request(lease, last, *this.fresh) {
                Ok(request) => this.future.set(Some(service.call(request))),
                Err(Unsendable::Aim(error)) => {
                    let status = error.status();
                    break Poll::Ready(Err(Halt::Request(error.into_source(), status)));
                }
                Err(Unsendable::BodyGone) => break Poll::Ready(Err(Halt::BodyGone)),
            }
        };
        let answering = this.future.is_some();
        let late = end.is_pending() && is_late(this.alarm, answering, exchange, context);
        let end = if late {
            this.future.set(None);
            Poll::Ready(Err(too_late(answering, lease)))
        } else {
            end
        };
        watched.returned = true;
        end
    }
}

/// Ends a request as a failure if the member panics while it is polled, whoever catches
/// that, and wherever.
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

/// Whose fault an error is: the client's, if it broke off its own body, or if a balancer
/// or a client behind this one says so.
fn failed<W, X: ServiceExchange<W>>(error: BoxError, lease: &Lease<W>, exchange: &X) -> Halt {
    if let Some(full) = cause::<AtCapacity>(&*error) {
        full.teach(lease);
        return Halt::AtCapacity;
    }
    let said = match cause::<BalanceError>(&*error) {
        Some(BalanceError::Request { status, .. }) => Some(*status),
        _ => cause::<RequestError>(&*error).map(RequestError::status),
    };
    // Clients of HTTP/2 do not name what broke off the body among the causes.
    let said = said.or(match lease.upload() {
        Upload::Failed(status) => StatusCode::from_u16(status).ok(),
        Upload::Flowing | Upload::Late => None,
    });
    if let Some(status) = said {
        return Halt::Request(error, status);
    }
    let fault = exchange.settings().classify.error(&*error);
    if fault.is_timed_out() && lease.upload() == Upload::Late {
        return Halt::Request(error, StatusCode::REQUEST_TIMEOUT);
    }
    Halt::Failed(error, fault)
}

/// Whether the request is sent again: on a new connection to the same member, in every
/// mode, as no answer to it has begun and doing it twice does no harm.
fn reconnects<W, X: ServiceExchange<W>>(halt: &Halt, exchange: &X) -> bool {
    let stale = matches!(halt, Halt::Failed(_, fault) if fault.is_stale());
    stale && X::RECONNECTS && exchange.is_idempotent() && exchange.is_left()
}

/// Sees to it that an attempt's alarm is set.
fn keep_time<W, X: ServiceExchange<W>>(alarm: &mut Option<Sleep>, exchange: &X) {
    let patience = exchange.settings().patience.as_ref();
    let limit = patience.and_then(|patience| Some((patience, patience.timeouts.attempt?)));
    if let (None, Some((patience, limit))) = (&alarm, limit) {
        *alarm = Some(patience.sleep(limit));
    }
}

/// Sets the alarm of the stage that the attempt is in, and listens for it.
fn is_late<W, X: ServiceExchange<W>>(
    alarm: &mut Option<Sleep>,
    answering: bool,
    exchange: &X,
    context: &mut Context<'_>,
) -> bool {
    let Some(patience) = &exchange.settings().patience else {
        return false;
    };
    let limit = if answering {
        patience.timeouts.attempt
    } else {
        Some(patience.timeouts.ready)
    };
    let Some(limit) = limit else {
        return false;
    };
    let alarm = alarm.get_or_insert_with(|| patience.sleep(limit));
    alarm.as_mut().poll(context).is_ready()
}

/// Who let the time pass: the client, if its body is what is being waited for.
fn too_late<W>(answering: bool, lease: &Lease<W>) -> Halt {
    let late = Fault::MAY_HAVE_BEEN_SENT.with_timed_out();
    match (answering, lease.upload()) {
        (false, _) => Halt::NotReady(Elapsed::Ready.into(), Fault::NOTHING_SENT.with_timed_out()),
        (true, Upload::Late) => Halt::Request(Elapsed::Upload.into(), StatusCode::REQUEST_TIMEOUT),
        (true, _) => Halt::Failed(Elapsed::Answer.into(), late),
    }
}
