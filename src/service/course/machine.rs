//! Elected, sent, sent again or sent twice, answered: the machine of both services.
//!
//! ```text
//! start ─► elect ─► attempt ──────────────► answer
//!   nobody? │ ▲        │ failed?  ▲ first of the two
//!           ▼ │        ▼          │
//!          wait     elect ─► attempt, on another member
//!                     ▲
//!       late? ────────┘ (hedge: beside the first)
//! ```
//!
//! An attempt's future and answer are gone before the next attempt polls the service.
//! What does not live here: what requests are made of (`exchange`), and one attempt
//! (`lane`).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::exchange::{Exchange, Served, Settings};
use super::lane::{Halt, Lane};
use crate::balancer::{Balancer, Lease, PickError, Waiter, may_change};
use crate::clock::Timestamp;
use crate::member::{MemberId, Outcome};
use crate::observer::Session;
use crate::service::BalanceError;
use crate::timer::Sleep;

pin_project! {
    /// One request on its way. `X` is its kind, `S` the service and `F` its future, `H`
    /// what was found ready.
    pub(in crate::service) struct Machine<W, X, S, F, H> {
        balancer: Balancer<W>,
        exchange: X,
        stage: Stage<W, H>,
        course: Course,
        hedge: Hedge,
        #[pin]
        one: Lane<W, S, F>,
        #[pin]
        two: Lane<W, S, F>,
    }
}

enum Stage<W, H> {
    Attempting,
    Failed(BalanceError),
    Over,
    Waiting(Wait<W, H>),
}

impl<W, X, S, F, H> fmt::Debug for Machine<W, X, S, F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = [&self.one, &self.two].into_iter().find_map(Lane::lease);
        f.debug_struct("Machine")
            .field("attempts", &self.course.attempts)
            .field("member", &member.map(|lease| lease.member().name()))
            .finish_non_exhaustive()
    }
}

/// A wait for a member.
struct Wait<W, H> {
    waiter: Waiter<W>,
    held: H,
    until: Timestamp,
    /// Rings at the end, or when somebody may be back.
    alarm: Option<Sleep>,
}

/// What has been tried.
#[derive(Default)]
struct Course {
    tried: Vec<MemberId>,
    attempts: u32,
    /// The one repetition of what may have been sent.
    repeated: bool,
    /// The client keeps its route, though another member answers: its own is not in
    /// error.
    strayed: bool,
}

impl Course {
    fn note(&mut self, member: MemberId) {
        if !self.tried.contains(&member) {
            self.tried.push(member);
        }
    }

    /// Elects somebody who has not been tried; if all who are eligible have been, one of
    /// those who stand in for them.
    fn elect<W, X: Exchange<W>>(
        &self,
        balancer: &Balancer<W>,
        exchange: &X,
    ) -> Result<Lease<W>, PickError> {
        exchange.pick(balancer, |pick| {
            let pick = pick.with_tried(&self.tried);
            let elected = balancer.pick_quietly(&pick);
            match &elected {
                Err(PickError::NoneUsable { .. }) => {
                    balancer.pick_in_reserve(&pick).map_or(elected, Ok)
                }
                _ => elected,
            }
        })
    }

    /// Elects somebody else for what may have been sent already, if that may be sent
    /// again at all.
    fn elect_for_repetition<W, X: Exchange<W>>(
        &self,
        balancer: &Balancer<W>,
        exchange: &X,
    ) -> Option<Lease<W>> {
        let failover = &exchange.settings().failover;
        let allowed = failover.repeats
            && self.attempts < failover.max_attempts
            && exchange.is_idempotent()
            && exchange.is_left();
        if !allowed || !failover.budget.withdraw(balancer.now()) {
            return None;
        }
        let elected = self.elect(balancer, exchange).ok();
        if elected.is_none() {
            failover.budget.refund();
        }
        elected
    }
}

/// The attempt beside the first.
enum Hedge {
    /// It has been made, or there will be none.
    Done,
    Due(Sleep),
    /// The first attempt has not been waited for yet.
    NotArmed,
}

#[derive(Clone, Copy)]
enum Which {
    One,
    Two,
}

/// What follows from the end of an attempt.
enum Then<A> {
    GoOn,
    Return(Result<A, BalanceError>),
}

impl<W, X, S, F> Machine<W, X, S, F, X::Held>
where
    X: Exchange<W, Service = S>,
{
    /// Elects a member at once, so that it is counted before anybody polls.
    pub(in crate::service) fn start(balancer: Balancer<W>, exchange: X, held: X::Held) -> Self {
        let settings = exchange.settings();
        if settings.failover.repeats && exchange.is_idempotent() {
            settings.failover.budget.deposit();
        }
        let elected = exchange.pick(&balancer, |pick| {
            let elected = balancer.pick_quietly(&pick);
            if elected.is_err() && waits(settings, &elected).is_none() {
                balancer.tell_nobody(&pick);
            }
            elected
        });
        let waits = waits(settings, &elected);
        let mut one = Lane::empty();
        let mut course = Course::default();
        let stage = match (elected, waits) {
            (Ok(lease), _) => {
                let service = X::first(held, &lease);
                one = Lane::new(lease, service, X::SHARED);
                course.attempts = 1;
                Stage::Attempting
            }
            (Err(_), Some(patience)) => Stage::Waiting(Wait {
                waiter: Waiter::new(balancer.clone()),
                held,
                until: balancer.now() + patience,
                alarm: None,
            }),
            (Err(error), None) => Stage::Failed(error.into()),
        };
        Self {
            balancer,
            exchange,
            stage,
            course,
            hedge: Hedge::NotArmed,
            one,
            two: Lane::empty(),
        }
    }
}

/// How long a failed election is waited for.
fn waits<W>(
    settings: &Settings,
    elected: &Result<Lease<W>, PickError>,
) -> Option<std::time::Duration> {
    let patience = settings.patience.as_ref()?.timeouts.member?;
    let error = elected.as_ref().err()?;
    may_change(error).then_some(patience)
}

impl<W, X, S, F> Machine<W, X, S, F, X::Held>
where
    X: Exchange<W, Service = S>,
    S: Service<X::Request, Response = X::Response, Error = X::Error, Future = F>,
    F: Future<Output = Result<X::Response, X::Error>>,
{
    pub(in crate::service) fn poll_answer(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<X::Answer, BalanceError>> {
        loop {
            match std::mem::replace(self.as_mut().project().stage, Stage::Over) {
                Stage::Failed(error) => return Poll::Ready(Err(error)),
                Stage::Over => panic!("a request was polled after it had been answered"),
                Stage::Waiting(wait) => {
                    if self.as_mut().wait(context, wait) {
                        return Poll::Pending;
                    }
                }
                Stage::Attempting => {
                    let Some(then) = self.as_mut().attempt(context) else {
                        *self.project().stage = Stage::Attempting;
                        return Poll::Pending;
                    };
                    if let Then::Return(result) = then {
                        return Poll::Ready(result);
                    }
                    *self.as_mut().project().stage = Stage::Attempting;
                }
            }
        }
    }

    /// Looks whether there is a member; tells whether the wait goes on.
    fn wait(self: Pin<&mut Self>, context: &mut Context<'_>, mut wait: Wait<W, X::Held>) -> bool {
        let mut this = self.project();
        let (balancer, exchange) = (&*this.balancer, &*this.exchange);
        let elected = loop {
            let elected = exchange.pick(balancer, |pick| wait.waiter.attempt(&pick, context));
            let now = balancer.now();
            let Some(patience) = &exchange.settings().patience else {
                break elected;
            };
            match &elected {
                Err(error) if may_change(error) && now < wait.until => {}
                _ => break elected,
            }
            // Nobody else may look when a member's error is over.
            let due = balancer.next_due().filter(|&due| due > now);
            let next = due.unwrap_or(wait.until).min(wait.until);
            let alarm = wait.alarm.insert(patience.sleep(next.since(now)));
            if alarm.as_mut().poll(context).is_pending() {
                *this.stage = Stage::Waiting(wait);
                return true;
            }
        };
        *this.stage = match elected {
            Ok(lease) => {
                let service = X::first(wait.held, &lease);
                this.one.set(Lane::new(lease, service, X::SHARED));
                this.course.attempts = 1;
                Stage::Attempting
            }
            Err(error) => {
                exchange.pick(balancer, |pick| wait.waiter.give_up_on(&pick));
                Stage::Failed(error.into())
            }
        };
        false
    }

    /// Carries the attempts on until one of them ends; `None` if none does yet.
    fn attempt(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Option<Then<X::Answer>> {
        loop {
            for which in [Which::One, Which::Two] {
                let this = self.as_mut().project();
                let lane = match which {
                    Which::One => this.one,
                    Which::Two => this.two,
                };
                if !lane.is_busy() {
                    continue;
                }
                let (balancer, attempts) = (&*this.balancer, this.course.attempts);
                let most = this.exchange.settings().failover.max_attempts;
                let last = || attempts >= most || balancer.len() < 2;
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

    /// There is an answer: it is delivered, unless its status asks for another member
    /// and there is one.
    fn answered(self: Pin<&mut Self>, which: Which, response: X::Response) -> Then<X::Answer> {
        let this = self.project();
        let (mut lane, mut other) = match which {
            Which::One => (this.one, this.two),
            Which::Two => (this.two, this.one),
        };
        let Some((lease, service)) = lane.as_mut().take() else {
            return Then::GoOn;
        };
        let judged = this.exchange.judge(&response);
        if judged.put_in_error {
            lease.put_in_error();
        }
        if judged.retry && !other.is_busy() {
            this.course.note(lease.member().id());
            let next = this
                .course
                .elect_for_repetition(this.balancer, this.exchange);
            if let Some(next) = next {
                this.course.strayed |= lease.session() == Session::Hit && !judged.put_in_error;
                drop(response);
                lease.finish(judged.outcome);
                let service = X::after(service, &next);
                lane.set(Lane::new(next, service, false));
                this.course.attempts += 1;
                return Then::GoOn;
            }
        }
        // The loser of two is cancelled.
        drop(other.as_mut().take());
        let served = Served {
            response,
            outcome: judged.outcome,
            attempts: this.course.attempts,
            renew: lease.session().route_changed() && !this.course.strayed,
            lease,
        };
        Then::Return(Ok(this.exchange.answer(this.balancer, served)))
    }

    /// An attempt ended without an answer.
    fn halted(self: Pin<&mut Self>, which: Which, halt: Halt) -> Then<X::Answer> {
        let this = self.project();
        let (mut lane, other) = match which {
            Which::One => (this.one, this.two),
            Which::Two => (this.two, this.one),
        };
        let Some((lease, service)) = lane.as_mut().take() else {
            return Then::GoOn;
        };
        let failover = &this.exchange.settings().failover;
        let (error, fault, shared) = match halt {
            Halt::Failed(error, fault) => (error, fault, false),
            Halt::NotReady(error, fault) => (error, fault, X::SHARED),
        };
        let late = fault.is_timed_out() && failover.error_on_timeout;
        let put_in_error = !shared && !fault.is_blameless() && (fault.is_nothing_sent() || late);
        if put_in_error {
            lease.put_in_error();
        }
        let hit = lease.session() == Session::Hit;
        this.course.note(lease.member().id());
        let member = lease.name_handle().clone();
        lease.finish(Outcome::Failure);
        if other.is_busy() {
            return Then::GoOn;
        }
        if shared {
            // The same service would have to get ready for any other member.
            return Then::Return(Err(BalanceError::NotReady { source: error }));
        }
        let next = if fault.is_nothing_sent() {
            let may = this.course.attempts < failover.max_attempts && this.exchange.is_left();
            may.then(|| this.course.elect(this.balancer, this.exchange))
        } else if this.course.repeated {
            None
        } else {
            this.course.repeated = true;
            this.course
                .elect_for_repetition(this.balancer, this.exchange)
                .map(Ok)
        };
        match next {
            Some(Ok(next)) => {
                this.course.strayed |= hit && !put_in_error;
                let service = X::after(service, &next);
                lane.set(Lane::new(next, service, false));
                this.course.attempts += 1;
                Then::GoOn
            }
            Some(Err(lost @ PickError::SessionLost { .. })) => Then::Return(Err(lost.into())),
            Some(Err(_)) | None => Then::Return(Err(BalanceError::Member {
                member,
                attempts: this.course.attempts,
                timed_out: fault.is_timed_out(),
                source: error,
            })),
        }
    }

    /// Begins an attempt beside the first when that is late; tells whether it did.
    fn hedge(self: Pin<&mut Self>, context: &mut Context<'_>) -> bool {
        let mut this = self.project();
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
        this.course.note(first.member().id());
        let next = this
            .course
            .elect_for_repetition(this.balancer, this.exchange);
        let Some(next) = next else {
            return false;
        };
        let service = X::beside(service, &next);
        this.two.set(Lane::new(next, service, false));
        this.course.attempts += 1;
        true
    }
}
