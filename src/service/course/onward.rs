//! What happens after an attempt has ended without a response: [`onward`].
//!
//! Not here: which member is picked next (`tried`), and the attempts (`machine`).

use std::pin::Pin;

use super::exchange::{ServiceExchange, ServiceSettings};
use super::lane::AttemptSlot;
use super::tried::TriedMembers;
use super::wait::{Spare, Wait};
use crate::balancer::{Balancer, Lease, PickError};
use crate::service::BalanceError;

/// What happens after an attempt has ended.
pub(super) enum Then<A, W, S, H> {
    GoOn,
    Return(Result<A, BalanceError>),
    Wait(Box<Wait<W, S, H>>),
}

/// The [`Then`] of a machine of this kind.
pub(super) type ThenOf<X, W, S> =
    Then<<X as ServiceExchange<W>>::Answer, W, S, <X as ServiceExchange<W>>::Held>;

/// An attempt that ended without a response, and the pick for the next one.
pub(super) struct FailedAttempt<'m, W, S, F> {
    pub(super) lane: Pin<&'m mut AttemptSlot<W, S, F>>,
    pub(super) service: S,
    /// `None` if the request must not be sent again.
    pub(super) next: Option<Result<Lease<W>, PickError>>,
    pub(super) strays: bool,
    pub(super) failed: BalanceError,
}

/// Starts the next attempt, waits for a member with room, or ends the request.
pub(super) fn onward<W, X, S, F>(
    balancer: &Balancer<W>,
    settings: &ServiceSettings,
    course: &mut TriedMembers,
    after: FailedAttempt<'_, W, S, F>,
) -> ThenOf<X, W, S>
where
    X: ServiceExchange<W, Service = S>,
{
    let patience = settings.patience.as_ref();
    let patience = patience.and_then(|patience| patience.timeouts.member);
    let FailedAttempt {
        mut lane, service, ..
    } = after;
    match (after.next, patience) {
        (Some(Ok(next)), _) => {
            course.strayed |= after.strays;
            course.failed = Some(after.failed);
            let service = X::after(service, &next);
            lane.set(AttemptSlot::new(next, service, false));
            course.attempts += 1;
            Then::GoOn
        }
        (Some(Err(PickError::AtCapacity)), Some(patience)) => {
            course.strayed |= after.strays;
            course.failed = Some(after.failed);
            let wait = Wait::new(balancer, Spare::Used(service), patience);
            Then::Wait(Box::new(wait))
        }
        (Some(Err(_)) | None, _) => Then::Return(Err(after.failed)),
    }
}
