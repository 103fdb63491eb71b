//! The state machine of both services: it picks a member, sends the request, retries or
//! hedges it, and returns the response.
//!
//! ```text
//! start ─► pick ─► attempt ──────────────► answer
//!   nobody? │ ▲        │ failed?  ▲ first of the two
//!           ▼ │        ▼          │
//!          wait     pick ─► attempt, on another member
//!                     ▲
//!       late? ────────┘ (hedge: beside the first)
//! ```
//!
//! An attempt's future and response are dropped before the next attempt polls the service.
//! Not here: the kinds of requests (`exchange`), one attempt (`slot`), what was tried
//! (`tried`), and the wait (`wait`).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::exchange::{Served, ServiceExchange, ServiceSettings};
use super::lane::{AttemptSlot, Halt};
use super::onward::{FailedAttempt, Then, ThenOf, onward};
use super::tried::{Reach, TriedMembers, strays};
use super::wait::{Spare, Wait};
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
        course: TriedMembers,
        hedge: Hedge,
        #[pin]
        one: AttemptSlot<W, S, F>,
        // Allocated when it is needed: most requests have no second attempt at the same
        // time.
        two: Second<W, S, F>,
    }
}

type Second<W, S, F> = Option<Pin<Box<AttemptSlot<W, S, F>>>>;

enum AttemptStage<W, S, H> {
    Attempting,
    Failed(BalanceError),
    Over,
    Waiting(Box<Wait<W, S, H>>),
}

impl<W, X, S, F, H> fmt::Debug for Machine<W, X, S, F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = [Some(&self.one), self.two.as_deref()];
        let member = lanes.into_iter().flatten().find_map(AttemptSlot::lease);
        f.debug_struct("Machine")
            .field("attempts", &self.course.attempts)
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
    NotArmed,
}

#[derive(Clone, Copy)]
enum Which {
    One,
    Two,
}

/// The slot in question, and the other one.
type Lanes<'m, W, S, F> = (
    Option<Pin<&'m mut AttemptSlot<W, S, F>>>,
    Option<Pin<&'m mut AttemptSlot<W, S, F>>>,
);

fn lanes<'m, W, S, F>(
    which: Which,
    one: Pin<&'m mut AttemptSlot<W, S, F>>,
    two: &'m mut Second<W, S, F>,
) -> Lanes<'m, W, S, F> {
    let two = two.as_mut().map(|two| two.as_mut());
    match which {
        Which::One => (Some(one), two),
        Which::Two => (two, Some(one)),
    }
}

impl<W, X, S, F> Machine<W, X, S, F, X::Held>
where
    X: ServiceExchange<W, Service = S>,
{
    /// Picks a member at once, so that it is counted before the future is polled.
    pub(in crate::service) fn start(balancer: Balancer<W>, exchange: X, held: X::Held) -> Self {
        let settings = exchange.settings();
        if settings.failover.repeats && exchange.is_idempotent() {
            settings.failover.budget.deposit();
        }
        let picked = exchange.pick(&balancer, |pick| {
            let picked = balancer.pick_without_events(&pick);
            if waits(settings, &picked).is_none() {
                picked.inspect_err(|error| balancer.tell_refused(&pick, error))
            } else {
                picked
            }
        });
        let waits = waits(settings, &picked);
        let mut one = AttemptSlot::empty();
        let mut course = TriedMembers::default();
        let stage = match (picked, waits) {
            (Ok(lease), _) => {
                let service = X::first(held, &lease);
                one = AttemptSlot::new(lease, service, X::SHARED);
                course.attempts = 1;
                AttemptStage::Attempting
            }
            (Err(_), Some(patience)) => {
                let wait = Wait::new(&balancer, Spare::Held(X::release(held)), patience);
                AttemptStage::Waiting(Box::new(wait))
            }
            (Err(error), None) => AttemptStage::Failed(error.into()),
        };
        Self {
            balancer,
            exchange,
            stage,
            course,
            hedge: Hedge::NotArmed,
            one,
            two: None,
        }
    }
}

/// Returns how long a request waits after a failed pick, if it waits.
fn waits<W>(settings: &ServiceSettings, picked: &Result<Lease<W>, PickError>) -> Option<Duration> {
    let patience = settings.patience.as_ref()?.timeouts.member?;
    let error = picked.as_ref().err()?;
    may_change(error).then_some(patience)
}

impl<W, X, S, F> Machine<W, X, S, F, X::Held>
where
    X: ServiceExchange<W, Service = S>,
    S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
    F: Future<Output = Result<X::Response, X::Error>>,
{
    pub(in crate::service) fn poll_answer(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<X::Answer, BalanceError>> {
        loop {
            match std::mem::replace(self.as_mut().project().stage, AttemptStage::Over) {
                AttemptStage::Failed(error) => return Poll::Ready(Err(error)),
                AttemptStage::Over => panic!("a request was polled after it had been answered"),
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
                        Then::GoOn => AttemptStage::Attempting,
                        Then::Return(result) => return Poll::Ready(result),
                        Then::Wait(wait) => AttemptStage::Waiting(wait),
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
        this.course.forget_replaced(this.balancer);
        let picked = wait.poll(context, this.balancer, this.exchange, this.course);
        *this.stage = match picked {
            Poll::Pending => {
                *this.stage = AttemptStage::Waiting(wait);
                return true;
            }
            Poll::Ready(Ok(lease)) => {
                let service = match wait.service {
                    Spare::Held(held) => X::first(held, &lease),
                    Spare::Used(used) => X::after(used, &lease),
                };
                this.one.set(AttemptSlot::new(lease, service, false));
                this.course.attempts += 1;
                AttemptStage::Attempting
            }
            Poll::Ready(Err(error)) => {
                let settings = this.exchange.settings();
                this.course.refund(&settings.failover.budget);
                let failed = this.course.failed.take();
                AttemptStage::Failed(failed.unwrap_or_else(|| error.into()))
            }
        };
        false
    }

    /// Polls the attempts until one of them ends; `None` if none has ended yet.
    fn attempt(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Option<ThenOf<X, W, S>> {
        loop {
            for which in [Which::One, Which::Two] {
                let this = self.as_mut().project();
                let (lane, other) = lanes(which, this.one, this.two);
                let Some(lane) = lane.filter(|lane| lane.is_busy()) else {
                    continue;
                };
                let settings = this.exchange.settings();
                // Even with a single member there may be others later.
                let is_last = this.course.attempts >= settings.failover.max_attempts;
                let needed = other.is_some_and(|other| other.needs_request());
                // Where stale connections are recognized, one that is closed does not count
                // as an attempt; nor does a member that is full.
                let last = is_last && !needed && !settings.reconnects;
                match lane.poll(context, this.exchange, last) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(response)) => return Some(self.answered(which, response)),
                    Poll::Ready(Err(halt)) => return Some(self.halted(which, halt)),
                }
            }
            if !self.as_mut().hedge(context) {
                return None;
            }
        }
    }

    /// Delivers the response, unless its status requires another member and one can be
    /// picked.
    fn answered(self: Pin<&mut Self>, which: Which, response: X::Response) -> ThenOf<X, W, S> {
        let this = self.project();
        let (lane, other) = lanes(which, this.one, this.two);
        let other = other.filter(|other| other.is_busy());
        let Some(mut lane) = lane else {
            return Then::GoOn;
        };
        let Some((mut lease, service)) = lane.as_mut().take() else {
            return Then::GoOn;
        };
        let judged = this.exchange.judge(&response);
        judged.tell(&mut lease);
        if judged.retry {
            this.course.note(&lease);
            this.course.cause = judged.cause();
        }
        // Whether the request is sent on, and to which member if not to the one of the
        // other attempt.
        let onward = match &other {
            _ if !judged.retry => None,
            Some(_) => Some(None),
            None => this
                .course
                // There is a response already: no member in error is recovered for a better
                // one.
                .elect_for_repetition(this.balancer, this.exchange, Reach::Usable)
                .map(Some),
        };
        let Some(next) = onward else {
            // The other attempt is cancelled.
            drop(other.and_then(AttemptSlot::take));
            let served = Served {
                renew: lease.session().route_changed() && !this.course.strayed,
                response,
                lease,
                outcome: judged.outcome,
                attempts: this.course.attempts,
            };
            return Then::Return(Ok(this.exchange.answer(this.balancer, served)));
        };
        this.course.sent = true;
        this.course.strayed |= strays(&lease);
        drop(response);
        judged.end(lease);
        if let Some(next) = next {
            let service = X::after(service, &next);
            lane.set(AttemptSlot::new(next, service, false));
            this.course.attempts += 1;
        }
        Then::GoOn
    }

    /// Handles an attempt that ended without a response.
    fn halted(self: Pin<&mut Self>, which: Which, halt: Halt) -> ThenOf<X, W, S> {
        let this = self.project();
        let (lane, other) = lanes(which, this.one, this.two);
        let other = other.filter(|other| other.is_busy());
        let Some(mut lane) = lane else {
            return Then::GoOn;
        };
        let again = lane.is_fresh();
        let Some((lease, service)) = lane.as_mut().take() else {
            return Then::GoOn;
        };
        let settings = this.exchange.settings();
        let failover = &settings.failover;
        let (error, fault) = match halt {
            Halt::AtCapacity => {
                this.course.meet_limit(&lease);
                lease.finish(Outcome::Cancelled);
                // No attempt was made after all.
                this.course.attempts -= 1;
                if other.is_some() {
                    this.course.refund(&failover.budget);
                    return Then::GoOn;
                }
                let left = this.exchange.is_left();
                let reach = Reach::Usable;
                let next = left.then(|| this.course.elect(this.balancer, this.exchange, reach));
                let failed = this.course.failed.take();
                let failed = failed.unwrap_or_else(|| PickError::AtCapacity.into());
                let next = FailedAttempt {
                    lane,
                    service,
                    next,
                    strays: false,
                    failed,
                };
                let then = onward::<W, X, S, F>(this.balancer, settings, this.course, next);
                if matches!(then, Then::Return(_)) {
                    this.course.refund(&failover.budget);
                }
                return then;
            }
            Halt::Failed(error, fault) => (error, fault),
            Halt::NotReady(error, _) if X::SHARED => {
                // The same service would have to become ready for any other member.
                lease.finish(Outcome::Cancelled);
                this.course.refund(&failover.budget);
                if other.is_some() {
                    return Then::GoOn;
                }
                let not_ready = BalanceError::NotReady { source: error };
                return Then::Return(Err(this.course.failed.take().unwrap_or(not_ready)));
            }
            Halt::NotReady(error, fault) => (error, fault),
            Halt::BodyGone => {
                // An earlier attempt, or the one beside this, has read the body meanwhile.
                lease.finish(Outcome::Cancelled);
                this.course.refund(&failover.budget);
                if other.is_some() {
                    return Then::GoOn;
                }
                let gone = BalanceError::Request {
                    status: StatusCode::BAD_GATEWAY,
                    source: BodyGone.into(),
                };
                return Then::Return(Err(this.course.failed.take().unwrap_or(gone)));
            }
            Halt::Request(source, status) => {
                lease.finish(Outcome::Cancelled);
                drop(other.and_then(AttemptSlot::take));
                return Then::Return(Err(BalanceError::Request { status, source }));
            }
        };
        let cause = settings.classify.cause(&*error, fault);
        let late = fault.is_timed_out() && failover.error_on_timeout;
        if !fault.is_member_blameless() && (fault.is_nothing_sent() || late) {
            lease.put_in_error_because(cause.clone());
        }
        this.course.sent |= again || !fault.is_nothing_sent();
        this.course.note(&lease);
        // A second attempt on the same member would find the same.
        let has_room = !fault.is_overloaded() && !fault.is_exhausted();
        if settings.pardons && has_room {
            this.course.pardon(lease.member().id(), fault);
        }
        let strays = strays(&lease);
        let member = lease.name_handle().clone();
        this.course.end(lease, fault, &cause);
        if other.is_some() {
            return Then::GoOn;
        }
        // Overload is no reason to try a member that is in error.
        let reach = if has_room {
            Reach::Forgiving
        } else {
            Reach::Usable
        };
        let next = if fault.is_nothing_sent() {
            let may = this.course.attempts < failover.max_attempts && this.exchange.is_left();
            may.then(|| this.course.elect(this.balancer, this.exchange, reach))
        } else if this.course.repeats_after(fault) {
            this.course
                .elect_for_repetition(this.balancer, this.exchange, reach)
                .map(Ok)
        } else {
            None
        };
        let exhausted = fault.is_exhausted() && fault.is_nothing_sent();
        if let (false, Some(Err(PickError::SessionLost { route }))) = (exhausted, &next) {
            let route = route.clone();
            return Then::Return(Err(BalanceError::SessionLost {
                member,
                route,
                attempts: this.course.attempts,
                nothing_sent: !this.course.sent,
                cause,
                source: error,
            }));
        }
        let attempts = this.course.attempts;
        let failed = if exhausted {
            BalanceError::Exhausted { source: error }
        } else if fault.is_overloaded() && !this.course.sent {
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
                nothing_sent: !this.course.sent,
                cause,
                source: error,
            }
        };
        let next = FailedAttempt {
            lane,
            service,
            next,
            strays,
            failed,
        };
        onward::<W, X, S, F>(this.balancer, settings, this.course, next)
    }

    /// Starts the hedged attempt if its delay has elapsed; returns whether it did.
    fn hedge(self: Pin<&mut Self>, context: &mut Context<'_>) -> bool {
        let this = self.project();
        let settings = this.exchange.settings();
        let Some(patience) = &settings.patience else {
            return false;
        };
        if matches!(this.hedge, Hedge::NotArmed) {
            // A session stays with its member, however slow that is.
            let free = this.one.lease().is_some_and(|lease| {
                !matches!(lease.session(), Session::Hit | Session::Redirected)
            });
            let possible = free && settings.failover.repeats && this.exchange.is_idempotent();
            *this.hedge = match patience.timeouts.hedge {
                Some(delay) if possible => Hedge::Due(patience.sleep(delay)),
                _ => Hedge::Done,
            };
        }
        let Hedge::Due(alarm) = this.hedge else {
            return false;
        };
        if alarm.as_mut().poll(context).is_pending() {
            return false;
        }
        *this.hedge = Hedge::Done;
        let (Some(first), Some(service)) = (this.one.lease(), this.one.service()) else {
            return false;
        };
        if !this.exchange.is_shareable() {
            return false;
        }
        this.course.note_unfailed(first);
        let next = this
            .course
            .elect_for_repetition(this.balancer, this.exchange, Reach::Usable);
        let Some(next) = next else {
            return false;
        };
        let service = X::beside(service, &next);
        *this.two = Some(Box::pin(AttemptSlot::new(next, service, false)));
        // This counts as the only retry.
        this.course.repeated = true;
        this.course.attempts += 1;
        true
    }
}
