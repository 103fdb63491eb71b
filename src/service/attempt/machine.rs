//! The state machine of both services: it picks a member, sends the request, retries or
//! hedges it, and returns the response.
//!
//! ```text
//! start ─► pick ─► attempt ──────────────► response
//!     none? │ ▲        │ failed?  ▲ first of the two
//!           ▼ │        ▼          │
//!          wait     pick ─► attempt, on another member
//!                     ▲
//!       late? ────────┘ (hedge: beside the first)
//! ```
//!
//! An attempt's future and response are dropped before the next attempt polls the service.
//! Not here: the kinds of requests (`exchange`), one attempt (`slot`), what was tried
//! (`progress`), and the wait (`wait`).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::exchange::{Served, ServiceExchange, ServiceSettings};
use super::next_step::{FailedAttempt, NextStep, NextStepOf, next_step};
use super::progress::{PickScope, RequestProgress, keeps_route};
use super::slot::{AttemptError, AttemptSlot, SecondSlot, SlotNumber, slots};
use super::wait::{NextService, Wait};
use crate::balancer::{Balancer, Lease, PickError, may_change};
use crate::member::Outcome;
use crate::service::BalanceError;
use crate::service::error::BodyGone;
use crate::session::Session;
use crate::timer::Sleep;

pin_project! {
    /// One request in progress. `X` is its kind, `S` the service and `F` its future, `H`
    /// the service that was polled ready.
    pub(in crate::service) struct Machine<W, X, S, F, H> {
        balancer: Balancer<W>,
        exchange: X,
        stage: AttemptStage<W, S, H>,
        progress: RequestProgress,
        hedge: Hedge,
        #[pin]
        one: AttemptSlot<W, S, F>,
        // Allocated when it is needed: most requests have no second attempt at the same
        // time.
        two: SecondSlot<W, S, F>,
    }
}

enum AttemptStage<W, S, H> {
    Attempting,
    Failed(BalanceError),
    Over,
    Waiting(Box<Wait<W, S, H>>),
}

impl<W, X, S, F, H> fmt::Debug for Machine<W, X, S, F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = [Some(&self.one), self.two.as_deref()];
        let member = slots.into_iter().flatten().find_map(AttemptSlot::lease);
        f.debug_struct("Machine")
            .field("attempts", &self.progress.attempts)
            .field("member", &member.map(|lease| lease.member().name()))
            .finish_non_exhaustive()
    }
}

/// The state of the hedged attempt.
enum Hedge {
    /// It has been started, or there will be none.
    Done,
    Due(Sleep),
    /// The first attempt has not been polled yet.
    NotStarted,
}

impl<W, X, S, F> Machine<W, X, S, F, X::Held>
where
    X: ServiceExchange<W, Service = S>,
{
    /// Picks a member at once, so that it is counted before the future is polled.
    pub(in crate::service) fn start(balancer: Balancer<W>, exchange: X, held: X::Held) -> Self {
        let settings = exchange.settings();
        if settings.failover.retries && exchange.is_idempotent() {
            settings.failover.budget.deposit();
        }
        let picked = exchange.pick(&balancer, |pick| {
            let picked = balancer.pick_without_events(&pick);
            if waits(settings, &picked).is_none() {
                picked.inspect_err(|error| balancer.report_refused(&pick, error))
            } else {
                picked
            }
        });
        let waits = waits(settings, &picked);
        let mut one = AttemptSlot::empty();
        let mut progress = RequestProgress::default();
        let stage = match (picked, waits) {
            (Ok(lease), _) => {
                let service = X::first(held, &lease);
                one = AttemptSlot::new(lease, service, X::SHARED);
                progress.attempts = 1;
                AttemptStage::Attempting
            }
            (Err(_), Some(max_wait)) => {
                let wait = Wait::new(&balancer, NextService::Held(X::release(held)), max_wait);
                AttemptStage::Waiting(Box::new(wait))
            }
            (Err(error), None) => AttemptStage::Failed(error.into()),
        };
        Self {
            balancer,
            exchange,
            stage,
            progress,
            hedge: Hedge::NotStarted,
            one,
            two: None,
        }
    }
}

/// Returns how long a request waits after a failed pick, if it waits.
fn waits<W>(settings: &ServiceSettings, picked: &Result<Lease<W>, PickError>) -> Option<Duration> {
    let max_wait = settings.time_limits.as_ref()?.timeouts.member?;
    let error = picked.as_ref().err()?;
    may_change(error).then_some(max_wait)
}

impl<W, X, S, F> Machine<W, X, S, F, X::Held>
where
    X: ServiceExchange<W, Service = S>,
    S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
    F: Future<Output = Result<X::Response, X::Error>>,
{
    pub(in crate::service) fn poll_response(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<X::Output, BalanceError>> {
        loop {
            match std::mem::replace(self.as_mut().project().stage, AttemptStage::Over) {
                AttemptStage::Failed(error) => return Poll::Ready(Err(error)),
                AttemptStage::Over => panic!("a future was polled after it had completed"),
                AttemptStage::Waiting(wait) => {
                    if self.as_mut().wait(context, wait) {
                        return Poll::Pending;
                    }
                }
                AttemptStage::Attempting => {
                    let Some(then) = self.as_mut().attempt(context) else {
                        *self.project().stage = AttemptStage::Attempting;
                        return Poll::Pending;
                    };
                    *self.as_mut().project().stage = match then {
                        NextStep::Continue => AttemptStage::Attempting,
                        NextStep::Return(result) => return Poll::Ready(result),
                        NextStep::Wait(wait) => AttemptStage::Waiting(wait),
                    };
                }
            }
        }
    }

    /// Polls for a member; returns whether the wait continues.
    fn wait(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut wait: Box<Wait<W, S, X::Held>>,
    ) -> bool {
        let mut this = self.project();
        this.progress.forget_replaced(this.balancer);
        let picked = wait.poll(context, this.balancer, this.exchange, this.progress);
        *this.stage = match picked {
            Poll::Pending => {
                *this.stage = AttemptStage::Waiting(wait);
                return true;
            }
            Poll::Ready(Ok(lease)) => {
                let service = match wait.service {
                    NextService::Held(held) => X::first(held, &lease),
                    NextService::Used(used) => X::after(used, &lease),
                };
                this.one.set(AttemptSlot::new(lease, service, false));
                this.progress.attempts += 1;
                AttemptStage::Attempting
            }
            Poll::Ready(Err(error)) => {
                let settings = this.exchange.settings();
                this.progress.refund(&settings.failover.budget);
                let failed = this.progress.failed.take();
                AttemptStage::Failed(failed.unwrap_or_else(|| error.into()))
            }
        };
        false
    }

    /// Polls the attempts until one of them ends; `None` if none has ended yet.
    fn attempt(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Option<NextStepOf<X, W, S>> {
        loop {
            for which in [SlotNumber::One, SlotNumber::Two] {
                let this = self.as_mut().project();
                let (slot, other) = slots(which, this.one, this.two);
                let Some(slot) = slot.filter(|slot| slot.is_busy()) else {
                    continue;
                };
                let settings = this.exchange.settings();
                // Even with a single member there may be others later.
                let is_last = this.progress.attempts >= settings.failover.max_attempts;
                let needed = other.is_some_and(|other| other.needs_request());
                // Where stale connections are recognized, one that is closed does not count
                // as an attempt; nor does a member that is full.
                let last = is_last && !needed && !settings.reconnects;
                match slot.poll(context, this.exchange, last) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(response)) => {
                        return Some(self.handle_response(which, response));
                    }
                    Poll::Ready(Err(ended)) => return Some(self.handle_error(which, ended)),
                }
            }
            if !self.as_mut().hedge(context) {
                return None;
            }
        }
    }

    /// Delivers the response, unless its status requires another member and one can be
    /// picked.
    fn handle_response(
        self: Pin<&mut Self>,
        which: SlotNumber,
        response: X::Response,
    ) -> NextStepOf<X, W, S> {
        let this = self.project();
        let (slot, other) = slots(which, this.one, this.two);
        let other = other.filter(|other| other.is_busy());
        let Some(mut slot) = slot else {
            return NextStep::Continue;
        };
        let Some((mut lease, service)) = slot.as_mut().take() else {
            return NextStep::Continue;
        };
        let judged = this.exchange.judge(&response);
        judged.report(&mut lease);
        if judged.retry {
            this.progress.note(&lease);
            this.progress.cause = judged.cause();
        }
        // Whether the request is sent on, and to which member if not to the one of the
        // other attempt.
        let retry = match &other {
            _ if !judged.retry => None,
            Some(_) => Some(None),
            None => this
                .progress
                // There is a response already: no member in error is recovered for a better
                // one.
                .pick_for_retry(this.balancer, this.exchange, PickScope::Usable)
                .map(Some),
        };
        let Some(next) = retry else {
            // The other attempt is cancelled.
            drop(other.and_then(AttemptSlot::take));
            let served = Served {
                renew: lease.session().route_changed() && !this.progress.keeps_route,
                response,
                lease,
                outcome: judged.outcome,
                attempts: this.progress.attempts,
            };
            return NextStep::Return(Ok(this.exchange.respond(this.balancer, served)));
        };
        this.progress.sent = true;
        this.progress.keeps_route |= keeps_route(&lease);
        drop(response);
        judged.end(lease);
        if let Some(next) = next {
            let service = X::after(service, &next);
            slot.set(AttemptSlot::new(next, service, false));
            this.progress.attempts += 1;
        }
        NextStep::Continue
    }

    /// Handles an attempt that ended without a response.
    fn handle_error(
        self: Pin<&mut Self>,
        which: SlotNumber,
        ended: AttemptError,
    ) -> NextStepOf<X, W, S> {
        let this = self.project();
        let (slot, other) = slots(which, this.one, this.two);
        let other = other.filter(|other| other.is_busy());
        let Some(mut slot) = slot else {
            return NextStep::Continue;
        };
        let again = slot.is_fresh();
        let Some((lease, service)) = slot.as_mut().take() else {
            return NextStep::Continue;
        };
        let settings = this.exchange.settings();
        let failover = &settings.failover;
        let (error, fault) = match ended {
            AttemptError::AtCapacity => {
                this.progress.meet_limit(&lease);
                lease.finish(Outcome::Cancelled);
                // No attempt was made after all.
                this.progress.attempts -= 1;
                if other.is_some() {
                    this.progress.refund(&failover.budget);
                    return NextStep::Continue;
                }
                let left = this.exchange.is_available();
                let scope = PickScope::Usable;
                let next = left.then(|| this.progress.pick(this.balancer, this.exchange, scope));
                let failed = this.progress.failed.take();
                let failed = failed.unwrap_or_else(|| PickError::AtCapacity.into());
                let next = FailedAttempt {
                    slot,
                    service,
                    next,
                    keeps_route: false,
                    failed,
                };
                let then = next_step::<W, X, S, F>(this.balancer, settings, this.progress, next);
                if matches!(then, NextStep::Return(_)) {
                    this.progress.refund(&failover.budget);
                }
                return then;
            }
            AttemptError::Failed(error, fault) => (error, fault),
            AttemptError::NotReady(error, _) if X::SHARED => {
                // The same service would have to become ready for any other member.
                lease.finish(Outcome::Cancelled);
                this.progress.refund(&failover.budget);
                if other.is_some() {
                    return NextStep::Continue;
                }
                let not_ready = BalanceError::NotReady { source: error };
                return NextStep::Return(Err(this.progress.failed.take().unwrap_or(not_ready)));
            }
            AttemptError::NotReady(error, fault) => (error, fault),
            AttemptError::BodyGone => {
                // An earlier attempt, or the one beside this, has read the body meanwhile.
                lease.finish(Outcome::Cancelled);
                this.progress.refund(&failover.budget);
                if other.is_some() {
                    return NextStep::Continue;
                }
                let gone = BalanceError::Request {
                    status: StatusCode::BAD_GATEWAY,
                    source: BodyGone.into(),
                };
                return NextStep::Return(Err(this.progress.failed.take().unwrap_or(gone)));
            }
            AttemptError::Request(source, status) => {
                lease.finish(Outcome::Cancelled);
                drop(other.and_then(AttemptSlot::take));
                return NextStep::Return(Err(BalanceError::Request { status, source }));
            }
        };
        let cause = settings.classify.cause(&*error, fault);
        let late = fault.is_timed_out() && failover.error_on_timeout;
        if !fault.is_member_blameless() && (fault.is_nothing_sent() || late) {
            lease.put_in_error_because(cause.clone());
        }
        this.progress.sent |= again || !fault.is_nothing_sent();
        this.progress.note(&lease);
        // A second attempt on the same member would find the same.
        let has_room = !fault.is_overloaded() && !fault.is_exhausted();
        if settings.retries_same_member && has_room {
            this.progress.allow_same_member(lease.member().id(), fault);
        }
        let keeps_route = keeps_route(&lease);
        let member = lease.name_handle().clone();
        this.progress.end(lease, fault, &cause);
        if other.is_some() {
            return NextStep::Continue;
        }
        // Overload is no reason to try a member that is in error.
        let scope = if has_room {
            PickScope::ForceRecovery
        } else {
            PickScope::Usable
        };
        let next = if fault.is_nothing_sent() {
            let may =
                this.progress.attempts < failover.max_attempts && this.exchange.is_available();
            may.then(|| this.progress.pick(this.balancer, this.exchange, scope))
        } else if this.progress.take_retry(fault) {
            this.progress
                .pick_for_retry(this.balancer, this.exchange, scope)
                .map(Ok)
        } else {
            None
        };
        let exhausted = fault.is_exhausted() && fault.is_nothing_sent();
        if let (false, Some(Err(PickError::SessionLost { route }))) = (exhausted, &next) {
            let route = route.clone();
            return NextStep::Return(Err(BalanceError::SessionLost {
                member,
                route,
                attempts: this.progress.attempts,
                nothing_sent: !this.progress.sent,
                cause,
                source: error,
            }));
        }
        let attempts = this.progress.attempts;
        let failed = if exhausted {
            BalanceError::Exhausted { source: error }
        } else if fault.is_overloaded() && !this.progress.sent {
            BalanceError::Overloaded {
                member,
                attempts,
                source: error,
            }
        } else {
            BalanceError::Member {
                member,
                attempts,
                timed_out: fault.is_timed_out(),
                nothing_sent: !this.progress.sent,
                cause,
                source: error,
            }
        };
        let next = FailedAttempt {
            slot,
            service,
            next,
            keeps_route,
            failed,
        };
        next_step::<W, X, S, F>(this.balancer, settings, this.progress, next)
    }

    /// Starts the hedged attempt if its delay has elapsed; returns whether it did.
    fn hedge(self: Pin<&mut Self>, context: &mut Context<'_>) -> bool {
        let this = self.project();
        let settings = this.exchange.settings();
        let Some(limits) = &settings.time_limits else {
            return false;
        };
        if matches!(this.hedge, Hedge::NotStarted) {
            // A session stays with its member, however slow that is.
            let free = this.one.lease().is_some_and(|lease| {
                !matches!(lease.session(), Session::Hit | Session::Redirected)
            });
            let possible = free && settings.failover.retries && this.exchange.is_idempotent();
            *this.hedge = match limits.timeouts.hedge {
                Some(delay) if possible => Hedge::Due(limits.sleep(delay)),
                _ => Hedge::Done,
            };
        }
        let Hedge::Due(timer) = this.hedge else {
            return false;
        };
        if timer.as_mut().poll(context).is_pending() {
            return false;
        }
        *this.hedge = Hedge::Done;
        let (Some(first), Some(service)) = (this.one.lease(), this.one.service()) else {
            return false;
        };
        if !this.exchange.is_shareable() {
            return false;
        }
        this.progress.note_unfailed(first);
        let next = this
            .progress
            .pick_for_retry(this.balancer, this.exchange, PickScope::Usable);
        let Some(next) = next else {
            return false;
        };
        let service = X::beside(service, &next);
        *this.two = Some(Box::pin(AttemptSlot::new(next, service, false)));
        // This counts as the only retry.
        this.progress.retried = true;
        this.progress.attempts += 1;
        true
    }
}
