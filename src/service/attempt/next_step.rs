//! What happens after an attempt has ended without a response: [`next_step`].
//!
//! Not here: which member is picked next (`progress`), and the attempts (`machine`).

use std::pin::Pin;

use super::exchange::ServiceExchange;
use super::progress::RequestProgress;
use super::slot::AttemptSlot;
use super::wait::{NextService, Wait};
use crate::balancer::{Lease, PickError};
use crate::service::BalanceError;

/// What happens after an attempt has ended.
pub(super) enum NextStep<A, W, S, H> {
    Continue,
    Return(Result<A, BalanceError>),
    Wait(Box<Wait<W, S, H>>),
}

/// The [`NextStep`] of a machine of this kind.
pub(super) type NextStepOf<X, W, S> =
    NextStep<<X as ServiceExchange<W>>::Output, W, S, <X as ServiceExchange<W>>::Held>;

/// An attempt that ended without a response, and the pick for the next one.
pub(super) struct FailedAttempt<'m, W, S, F> {
    pub(super) slot: Pin<&'m mut AttemptSlot<W, S, F>>,
    pub(super) service: S,
    /// `None` if the request must not be sent again.
    pub(super) next: Option<Result<Lease<W>, PickError>>,
    pub(super) keeps_route: bool,
    pub(super) failed: BalanceError,
}

/// Starts the next attempt, waits for a member with room, or ends the request.
pub(super) fn next_step<W, X, S, F>(
    exchange: &X,
    progress: &mut RequestProgress,
    after: FailedAttempt<'_, W, S, F>,
) -> NextStepOf<X, W, S>
where
    X: ServiceExchange<W, Service = S>,
{
    let max_wait = exchange.settings().max_wait();
    let FailedAttempt {
        mut slot, service, ..
    } = after;
    match (after.next, max_wait) {
        (Some(Ok(next)), _) => {
            progress.keeps_route |= after.keeps_route;
            progress.failed = Some(after.failed);
            let service = X::after(service, &next);
            slot.set(AttemptSlot::new(next, service, false));
            progress.attempts += 1;
            NextStep::Continue
        }
        (Some(Err(PickError::AtCapacity)), Some(max_wait)) => {
            progress.keeps_route |= after.keeps_route;
            progress.failed = Some(after.failed);
            let wait = Wait::new(exchange.balancer(), NextService::Used(service), max_wait);
            NextStep::Wait(Box::new(wait))
        }
        (Some(Err(_)) | None, _) => NextStep::Return(Err(after.failed)),
    }
}
