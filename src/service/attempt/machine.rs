//! The state machine of both services, for requests that need more than a first attempt: it
//! waits for a member, retries or hedges a request, and returns the response.
//!
//! ```text
//! first attempt ─► not that simple? ──┐
//!                                     ▼
//!                  wait ─► pick ─► attempt ───────► response
//!                   ▲       ▲ │       │ failed?  ▲ first of the two
//!                   └───────┼─┘       ▼          │
//!       late? ──────────────┴────── pick ─► attempt, on another member
//! ```
//!
//! An attempt's future and response are dropped before the next attempt polls the service.
//! Not here: the first attempt (`first`), the kinds of requests (`exchange`), one attempt
//! (`slot`), what was tried (`progress`), and the wait (`wait`).

use std::pin::Pin;
use std::task::{Context, Poll};

use http::StatusCode;
use tower_service::Service;

use super::exchange::{Judgement, Served, ServiceExchange};
use super::next_step::{FailedAttempt, NextStep, NextStepOf, next_step};
use super::progress::{PickScope, RequestProgress, keeps_route};
use super::slot::{AttemptError, AttemptSlot, SecondSlot, SlotNumber, slots};
use super::wait::{NextService, Wait};
use crate::balancer::{Lease, PickError};
use crate::member::Outcome;
use crate::service::BalanceError;
use crate::service::error::BodyGone;
use crate::session::Session;
use crate::timer::Sleep;

/// The state of a request that needs more than its first attempt. `S` is the service and
/// `F` its future, `H` the service that was polled ready.
pub(super) struct Machine<W, S, F, H> {
    stage: AttemptStage<W, S, H>,
    progress: RequestProgress,
    hedge: Hedge,
    // Allocated when it is needed: most requests have no second attempt at the same time.
    two: SecondSlot<W, S, F>,
}

enum AttemptStage<W, S, H> {
    Attempting,
    Failed(BalanceError),
    Over,
    Waiting(Box<Wait<W, S, H>>),
}

/// The state of the hedged attempt.
enum Hedge {
    /// It has been started, or there will be none.
    Done,
    Due(Sleep),
    /// The first attempt has not been polled yet.
    NotStarted,
}

impl<W, S, F, H> Machine<W, S, F, H> {
    fn new(stage: AttemptStage<W, S, H>, attempts: u32) -> Box<Self> {
        let mut progress = RequestProgress::default();
        progress.attempts = attempts;
        Box::new(Self {
            stage,
            progress,
            hedge: Hedge::NotStarted,
            two: None,
        })
    }

    /// Takes over a request during its first attempt.
    pub(super) fn attempting() -> Box<Self> {
        Self::new(AttemptStage::Attempting, 1)
    }

    /// Starts with a request that waits for a member.
    pub(super) fn waiting(wait: Wait<W, S, H>) -> Box<Self> {
        Self::new(AttemptStage::Waiting(Box::new(wait)), 0)
    }

    /// Starts with a request for which no member could be picked.
    pub(super) fn failed(error: BalanceError) -> Box<Self> {
        Self::new(AttemptStage::Failed(error), 0)
    }

    pub(super) fn attempts(&self) -> u32 {
        self.progress.attempts
    }

    /// Returns the lease of the attempt beside the first slot's.
    pub(super) fn second_lease(&self) -> Option<&Lease<W>> {
        self.two.as_deref().and_then(AttemptSlot::lease)
    }
}

/// A machine with its request and the slot of the first attempt.
pub(super) struct Steps<'m, W, X: ServiceExchange<W>, S, F> {
    pub(super) machine: &'m mut Machine<W, S, F, X::Held>,
    pub(super) exchange: &'m mut X,
    pub(super) one: Pin<&'m mut AttemptSlot<W, S, F>>,
}

impl<W, X, S, F> Steps<'_, W, X, S, F>
where
    X: ServiceExchange<W, Service = S>,
    S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
    F: Future<Output = Result<X::Response, X::Error>>,
{
    pub(super) fn poll_response(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<X::Output, BalanceError>> {
        loop {
            let then = match std::mem::replace(&mut self.machine.stage, AttemptStage::Over) {
                AttemptStage::Failed(error) => return Poll::Ready(Err(error)),
                AttemptStage::Over => panic!("a future was polled after it had completed"),
                AttemptStage::Waiting(wait) => {
                    if self.wait(context, wait) {
                        return Poll::Pending;
                    }
                    continue;
                }
                AttemptStage::Attempting => {
                    let Some(then) = self.attempt(context) else {
                        self.machine.stage = AttemptStage::Attempting;
                        return Poll::Pending;
                    };
                    then
                }
            };
            if let Some(result) = self.go_on(then) {
                return Poll::Ready(result);
            }
        }
    }

    /// Continues after an attempt has ended; returns the result if there is one.
    pub(super) fn go_on(
        &mut self,
        then: NextStepOf<X, W, S>,
    ) -> Option<Result<X::Output, BalanceError>> {
        self.machine.stage = match then {
            NextStep::Continue => AttemptStage::Attempting,
            NextStep::Return(result) => {
                self.machine.stage = AttemptStage::Over;
                return Some(result);
            }
            NextStep::Wait(wait) => AttemptStage::Waiting(wait),
        };
        None
    }

    /// Polls for a member; returns whether the wait continues.
    fn wait(&mut self, context: &mut Context<'_>, mut wait: Box<Wait<W, S, X::Held>>) -> bool {
        let Machine {
            stage, progress, ..
        } = &mut *self.machine;
        progress.forget_replaced(self.exchange.balancer());
        let picked = wait.poll(context, &mut *self.exchange, progress);
        *stage = match picked {
            Poll::Pending => {
                *stage = AttemptStage::Waiting(wait);
                return true;
            }
            Poll::Ready(Ok(lease)) => {
                let service = match wait.service {
                    NextService::Held(held) => X::first(held, &lease),
                    NextService::Used(used) => X::after(used, &lease),
                };
                self.one.set(AttemptSlot::new(lease, service, false));
                progress.attempts += 1;
                AttemptStage::Attempting
            }
            Poll::Ready(Err(error)) => {
                progress.refund(&self.exchange.settings().failover.budget);
                let failed = progress.failed.take();
                AttemptStage::Failed(failed.unwrap_or_else(|| error.into()))
            }
        };
        false
    }

    /// Polls the attempts until one of them ends; `None` if none has ended yet.
    fn attempt(&mut self, context: &mut Context<'_>) -> Option<NextStepOf<X, W, S>> {
        loop {
            for which in [SlotNumber::One, SlotNumber::Two] {
                let Machine { progress, two, .. } = &mut *self.machine;
                let (slot, other) = slots(which, self.one.as_mut(), two);
                let Some(slot) = slot.filter(|slot| slot.is_busy()) else {
                    continue;
                };
                let is_last = self.exchange.settings().is_last(progress.attempts);
                let needed = other.is_some_and(|other| other.needs_request());
                match slot.poll(context, self.exchange, is_last && !needed) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(response)) => {
                        let judged = self.exchange.judge(&response);
                        return Some(self.handle_response(which, response, judged));
                    }
                    Poll::Ready(Err(ended)) => return Some(self.handle_error(which, ended)),
                }
            }
            if !self.hedge(context) {
                return None;
            }
        }
    }

    /// Delivers the response, unless its status requires another member and one can be
    /// picked.
    pub(super) fn handle_response(
        &mut self,
        which: SlotNumber,
        response: X::Response,
        judged: Judgement,
    ) -> NextStepOf<X, W, S> {
        let Machine { progress, two, .. } = &mut *self.machine;
        let (slot, other) = slots(which, self.one.as_mut(), two);
        let other = other.filter(|other| other.is_busy());
        let Some(mut slot) = slot else {
            return NextStep::Continue;
        };
        let Some((mut lease, service)) = slot.as_mut().take() else {
            return NextStep::Continue;
        };
        judged.report(&mut lease);
        if judged.retry {
            progress.note(&lease);
            progress.cause = judged.cause();
        }
        // Whether the request is sent on, and to which member if not to the one of the
        // other attempt.
        let retry = match &other {
            _ if !judged.retry => None,
            Some(_) => Some(None),
            // There is a response already: no member in error is recovered for a better one.
            None => progress
                .pick_for_retry(&mut *self.exchange, PickScope::Usable)
                .map(Some),
        };
        let Some(next) = retry else {
            // The other attempt is cancelled.
            drop(other.and_then(AttemptSlot::take));
            let served = Served {
                renew: lease.session().route_changed() && !progress.keeps_route,
                response,
                lease,
                outcome: judged.outcome,
                attempts: progress.attempts,
            };
            return NextStep::Return(Ok(self.exchange.respond(served)));
        };
        progress.sent = true;
        progress.keeps_route |= keeps_route(&lease);
        drop(response);
        judged.end(lease);
        if let Some(next) = next {
            let service = X::after(service, &next);
            slot.set(AttemptSlot::new(next, service, false));
            progress.attempts += 1;
        }
        NextStep::Continue
    }

    /// Handles an attempt that ended without a response.
    pub(super) fn handle_error(
        &mut self,
        which: SlotNumber,
        ended: AttemptError,
    ) -> NextStepOf<X, W, S> {
        let Machine { progress, two, .. } = &mut *self.machine;
        let exchange = &mut *self.exchange;
        let (slot, other) = slots(which, self.one.as_mut(), two);
        let other = other.filter(|other| other.is_busy());
        let Some(mut slot) = slot else {
            return NextStep::Continue;
        };
        let again = slot.is_fresh();
        let Some((lease, service)) = slot.as_mut().take() else {
            return NextStep::Continue;
        };
        let budget = exchange.settings().failover.budget.clone();
        let (error, fault) = match ended {
            AttemptError::AtCapacity => {
                progress.meet_limit(&lease);
                lease.finish(Outcome::Cancelled);
                // No attempt was made after all.
                progress.attempts -= 1;
                if other.is_some() {
                    progress.refund(&budget);
                    return NextStep::Continue;
                }
                let left = exchange.is_available();
                let scope = PickScope::Usable;
                let next = left.then(|| progress.pick(exchange, scope));
                let failed = progress.failed.take();
                let failed = failed.unwrap_or_else(|| PickError::AtCapacity.into());
                let next = FailedAttempt {
                    slot,
                    service,
                    next,
                    keeps_route: false,
                    failed,
                };
                let then = next_step::<W, X, S, F>(exchange, progress, next);
                if matches!(then, NextStep::Return(_)) {
                    progress.refund(&budget);
                }
                return then;
            }
            AttemptError::Failed(error, fault) => (error, fault),
            AttemptError::NotReady(error, _) if X::SHARED => {
                // The same service would have to become ready for any other member.
                lease.finish(Outcome::Cancelled);
                progress.refund(&budget);
                if other.is_some() {
                    return NextStep::Continue;
                }
                let not_ready = BalanceError::NotReady { source: error };
                return NextStep::Return(Err(progress.failed.take().unwrap_or(not_ready)));
            }
            AttemptError::NotReady(error, fault) => (error, fault),
            AttemptError::BodyGone => {
                // An earlier attempt, or the one beside this, has read the body meanwhile.
                lease.finish(Outcome::Cancelled);
                progress.refund(&budget);
                if other.is_some() {
                    return NextStep::Continue;
                }
                let gone = BalanceError::Request {
                    status: StatusCode::BAD_GATEWAY,
                    source: BodyGone.into(),
                };
                return NextStep::Return(Err(progress.failed.take().unwrap_or(gone)));
            }
            AttemptError::Request(source, status) => {
                lease.finish(Outcome::Cancelled);
                drop(other.and_then(AttemptSlot::take));
                return NextStep::Return(Err(BalanceError::Request { status, source }));
            }
        };
        let settings = exchange.settings();
        let cause = settings.classify.cause(&*error, fault);
        let late = fault.is_timed_out() && settings.failover.error_on_timeout;
        if !fault.is_member_blameless() && (fault.is_nothing_sent() || late) {
            lease.put_in_error_because(cause.clone());
        }
        progress.sent |= again || !fault.is_nothing_sent();
        progress.note(&lease);
        // A second attempt on the same member would find the same.
        let has_room = !fault.is_overloaded() && !fault.is_exhausted();
        if settings.retries_same_member && has_room {
            progress.allow_same_member(lease.member().id(), fault);
        }
        let keeps_route = keeps_route(&lease);
        let member = lease.name_handle().clone();
        progress.end(lease, fault, &cause);
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
            let most = settings.failover.max_attempts;
            let may = progress.attempts < most && exchange.is_available();
            may.then(|| progress.pick(exchange, scope))
        } else if progress.take_retry(fault) {
            progress.pick_for_retry(exchange, scope).map(Ok)
        } else {
            None
        };
        let exhausted = fault.is_exhausted() && fault.is_nothing_sent();
        if let (false, Some(Err(PickError::SessionLost { route }))) = (exhausted, &next) {
            let route = route.clone();
            return NextStep::Return(Err(BalanceError::SessionLost {
                member,
                route,
                attempts: progress.attempts,
                nothing_sent: !progress.sent,
                cause,
                source: error,
            }));
        }
        let attempts = progress.attempts;
        let failed = if exhausted {
            BalanceError::Exhausted { source: error }
        } else if fault.is_overloaded() && !progress.sent {
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
                nothing_sent: !progress.sent,
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
        next_step::<W, X, S, F>(exchange, progress, next)
    }

    /// Starts the hedged attempt if its delay has elapsed; returns whether it did.
    fn hedge(&mut self, context: &mut Context<'_>) -> bool {
        let this = &mut *self.machine;
        let exchange = &mut *self.exchange;
        let settings = exchange.settings();
        let Some(limits) = &settings.time_limits else {
            return false;
        };
        if matches!(this.hedge, Hedge::NotStarted) {
            // A session stays with its member, however slow that is.
            let free = self.one.lease().is_some_and(|lease| {
                !matches!(lease.session(), Session::Hit | Session::Redirected)
            });
            let possible = free && settings.failover.retries && exchange.is_idempotent();
            this.hedge = match limits.timeouts.hedge {
                Some(delay) if possible => Hedge::Due(limits.sleep(delay)),
                _ => Hedge::Done,
            };
        }
        let Hedge::Due(timer) = &mut this.hedge else {
            return false;
        };
        if timer.as_mut().poll(context).is_pending() {
            return false;
        }
        this.hedge = Hedge::Done;
        let (Some(first), Some(service)) = (self.one.lease(), self.one.service()) else {
            return false;
        };
        if !exchange.is_shareable() {
            return false;
        }
        this.progress.note_unfailed(first);
        let next = this.progress.pick_for_retry(exchange, PickScope::Usable);
        let Some(next) = next else {
            return false;
        };
        let service = X::beside(service, &next);
        this.two = Some(Box::pin(AttemptSlot::new(next, service, false)));
        // This counts as the only retry.
        this.progress.retried = true;
        this.progress.attempts += 1;
        true
    }
}
