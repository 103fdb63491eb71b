//! One request through a service: [`RequestAttempts`]. It picks a member, and its first poll
//! starts the first attempt. Most requests need no more.
//!
//! ```text
//! call ─► pick ─► first attempt ─► response
//!           │            │
//!           ▼            ▼ failed, a status to retry, or to be hedged
//!       no member? ─► the machine takes over
//! ```
//!
//! Not here: what happens then (`machine`).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::exchange::{Judgement, Served, ServiceExchange};
use super::machine::{Machine, Steps};
use super::slot::{AttemptError, AttemptSlot, SlotNumber};
use super::wait::{NextService, Wait};
use crate::balancer::{PickError, may_change};
use crate::service::BalanceError;

pin_project! {
    /// One request in progress. `X` is its kind, `S` the service and `F` its future, `H`
    /// the service that was polled ready.
    #[project = RequestAttemptsProjected]
    pub(in crate::service) struct RequestAttempts<W, X, S, F, H> {
        exchange: X,
        #[pin]
        one: AttemptSlot<W, S, F>,
        // Allocated once it is needed.
        machine: Option<Box<Machine<W, S, F, H>>>,
    }
}

impl<W, X, S, F, H> fmt::Debug for RequestAttempts<W, X, S, F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.machine.as_deref();
        let lease = self.one.lease();
        let lease = lease.or_else(|| machine.and_then(Machine::second_lease));
        f.debug_struct("RequestAttempts")
            .field("attempts", &machine.map_or(1, Machine::attempts))
            .field("member", &lease.map(|lease| lease.member().name()))
            .finish_non_exhaustive()
    }
}

impl<W, X, S, F> RequestAttempts<W, X, S, F, X::Held>
where
    X: ServiceExchange<W, Service = S>,
    S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
    F: Future<Output = Result<X::Response, X::Error>>,
{
    /// Picks a member at once, so that it is counted before the future is polled.
    #[inline]
    pub(in crate::service) fn start(mut exchange: X, held: X::Held) -> Self {
        let settings = exchange.settings();
        if settings.failover.retries && exchange.is_idempotent() {
            settings.failover.budget.deposit();
        }
        let max_wait = settings.max_wait();
        let begins_in_machine = settings.begins_in_machine();
        let waits = |error: &PickError| max_wait.filter(|_| may_change(error));
        let picked = exchange.pick(|balancer, pick| {
            let picked = balancer.pick_without_events(&pick);
            if let Err(error) = &picked {
                if waits(error).is_none() {
                    balancer.report_refused(&pick, error);
                }
            }
            picked
        });
        let (one, machine) = match picked {
            Ok(lease) => {
                let service = X::first(held, &lease);
                let one = AttemptSlot::new(lease, service, X::SHARED);
                (one, begins_in_machine.then(Machine::attempting))
            }
            Err(error) => {
                let machine = match waits(&error) {
                    Some(most) => {
                        let service = NextService::Held(X::release(held));
                        Machine::waiting(Wait::new(exchange.balancer(), service, most))
                    }
                    None => Machine::failed(error.into()),
                };
                (AttemptSlot::empty(), Some(machine))
            }
        };
        Self {
            exchange,
            one,
            machine,
        }
    }

    #[inline]
    pub(in crate::service) fn poll_response(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<X::Output, BalanceError>> {
        let mut this = self.project();
        if this.machine.is_some() {
            return take_over(this, context, None);
        }
        assert!(
            this.one.is_busy(),
            "a future was polled after it had completed"
        );
        let last = this.exchange.settings().is_last(1);
        let ended = std::task::ready!(this.one.as_mut().poll(context, this.exchange, last));
        let response = match ended {
            Ok(response) => response,
            Err(error) => return take_over(this, context, Some(Err(error))),
        };
        let judged = this.exchange.judge(&response);
        if judged.retry {
            return take_over(this, context, Some(Ok((response, judged))));
        }
        let Some((mut lease, _)) = this.one.as_mut().take() else {
            return Poll::Pending;
        };
        judged.report(&mut lease);
        Poll::Ready(Ok(this.exchange.respond(Served {
            renew: lease.session().route_changed(),
            response,
            lease,
            outcome: judged.outcome,
            attempts: 1,
        })))
    }
}

/// How a first attempt ended that was not simply a success.
type FirstEnd<R> = Result<(R, Judgement), AttemptError>;

/// Lets the machine go on, once the first attempt has ended if it did so just now.
#[cold]
fn take_over<W, X, S, F>(
    this: RequestAttemptsProjected<'_, W, X, S, F, X::Held>,
    context: &mut Context<'_>,
    ended: Option<FirstEnd<X::Response>>,
) -> Poll<Result<X::Output, BalanceError>>
where
    X: ServiceExchange<W, Service = S>,
    S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
    F: Future<Output = Result<X::Response, X::Error>>,
{
    let mut steps = Steps {
        machine: this.machine.get_or_insert_with(Machine::attempting),
        exchange: this.exchange,
        one: this.one,
    };
    let then = match ended {
        None => return steps.poll_response(context),
        Some(Ok((response, judged))) => steps.handle_response(SlotNumber::One, response, judged),
        Some(Err(error)) => steps.handle_error(SlotNumber::One, error),
    };
    match steps.go_on(then) {
        Some(result) => Poll::Ready(result),
        None => steps.poll_response(context),
    }
}
