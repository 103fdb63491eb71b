//! A wait for a member, if none can be picked.
//!
//! Only the timer ends the wait; the balancer's clock only determines when the error of a
//! member is over.

use std::task::{Context, Poll};
use std::time::Duration;

use super::exchange::ServiceExchange;
use super::progress::RequestProgress;
use crate::balancer::{Balancer, Lease, PickError, Waiter, may_change};
use crate::timer::Sleep;

const MOMENT: Duration = Duration::from_millis(1);

/// A wait for a member.
pub(super) struct Wait<W, S, H> {
    waiter: Waiter<W>,
    pub(super) service: NextService<S, H>,
    max_wait: Duration,
    /// The timer for the end of the wait.
    end: Option<Sleep>,
    /// The timer for the next recovery of a member, which no other task may notice.
    due: Option<Sleep>,
}

impl<W, S, H> Wait<W, S, H> {
    pub(super) fn new(
        balancer: &Balancer<W>,
        service: NextService<S, H>,
        max_wait: Duration,
    ) -> Self {
        Self {
            waiter: Waiter::new(balancer.clone()),
            service,
            max_wait,
            end: None,
            due: None,
        }
    }

    /// Polls for a member, for a request that may have tried some.
    pub(super) fn poll<X: ServiceExchange<W>>(
        &mut self,
        context: &mut Context<'_>,
        exchange: &mut X,
        progress: &RequestProgress,
    ) -> Poll<Result<Lease<W>, PickError>> {
        let tried = &*progress.tried;
        loop {
            let picked = exchange.pick(|balancer, pick| {
                let pick = progress.of(pick);
                let picked = self.waiter.attempt(&pick, context);
                // The member that was waited for may have been removed meanwhile.
                let none_usable = matches!(picked, Err(PickError::NoneUsable { .. }));
                let instead = (none_usable && !tried.is_empty())
                    .then(|| balancer.pick_in_reserve(&pick))
                    .flatten();
                instead.map_or(picked, Ok)
            });
            if !tried.is_empty() && exchange.balancer().has_only(tried) {
                return self.over(picked, exchange, progress);
            }
            let Some(limits) = &exchange.settings().time_limits else {
                return self.over(picked, exchange, progress);
            };
            if !matches!(&picked, Err(error) if may_change(error)) {
                return self.over(picked, exchange, progress);
            }
            let end = self.end.get_or_insert_with(|| limits.sleep(self.max_wait));
            if end.as_mut().poll(context).is_ready() {
                return self.over(picked, exchange, progress);
            }
            // No other task may notice that a member's error is over.
            let balancer = exchange.balancer();
            let now = balancer.now();
            // If it is already over, it was noticed too late; try again in a moment.
            let due = balancer.next_timed_change();
            self.due = due.map(|due| limits.sleep(due.since(now).max(MOMENT)));
            let due = self.due.as_mut();
            if due.is_none_or(|due| due.as_mut().poll(context).is_pending()) {
                return Poll::Pending;
            }
        }
    }

    /// Ends the wait, and reports to observers if it was in vain.
    fn over<X: ServiceExchange<W>>(
        &mut self,
        picked: Result<Lease<W>, PickError>,
        exchange: &mut X,
        progress: &RequestProgress,
    ) -> Poll<Result<Lease<W>, PickError>> {
        if let Err(error) = &picked {
            exchange.pick(|_, pick| {
                self.waiter.give_up_on(&progress.of(pick), error);
            });
        }
        Poll::Ready(picked)
    }
}

/// Where the next attempt gets its service from.
pub(super) enum NextService<S, H> {
    Held(H),
    Used(S),
}
