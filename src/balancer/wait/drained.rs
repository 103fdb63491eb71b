//! Waiting until a removed member has nothing in flight: [`Drained`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::queue::Ticket;
use crate::balancer::shared::Shared;
use crate::member::MemberState;

/// Resolves when none of a removed member's requests is in flight; created by
/// [`RemovedMember::drained`](crate::RemovedMember::drained).
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, PickRequest};
/// use std::time::Duration;
///
/// let balancer = Balancer::new([("a", ())])?;
/// let lease = balancer.pick(&PickRequest::new())?;
/// let removed = balancer.remove("a").unwrap();
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// // In a hurry: requests that have not ended by then are left to finish alone.
/// let patience = Duration::from_millis(1);
/// assert!(tokio::time::timeout(patience, removed.drained()).await.is_err());
/// drop(lease);
/// assert!(tokio::time::timeout(patience, removed.drained()).await.is_ok());
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct Drained {
    state: Arc<MemberState>,
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

impl Drained {
    pub(in crate::balancer) fn new(state: Arc<MemberState>, shared: Arc<Shared>) -> Self {
        Self {
            state,
            shared,
            ticket: None,
        }
    }
}

impl Future for Drained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Register first, then check: an end in between is seen by one of the two.
        self.ticket = Some(self.shared.watch(self.ticket, context.waker()));
        if self.state.in_flight() == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.unwatch(ticket);
        }
    }
}

impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained")
            .field("member", &self.state.name())
            .field("in_flight", &self.state.in_flight())
            .finish_non_exhaustive()
    }
}
