//! What is left of a member that was removed: [`Removed`], until it is [`Drained`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::hub::Hub;
use super::waiting::Ticket;
use crate::member::{MemberId, MemberState};

/// A member that was removed and may still have requests in flight.
///
/// # Examples
///
/// ```
/// # async fn shut_down(balancer: equipoise::Balancer<()>) {
/// if let Some(removed) = balancer.remove("a") {
///     removed.drained().await; // with a timeout of the runtime's, if you are in a hurry
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Removed {
    state: Arc<MemberState>,
    hub: Arc<Hub>,
}

impl Removed {
    pub(super) fn new(state: Arc<MemberState>, hub: Arc<Hub>) -> Self {
        Self { state, hub }
    }

    /// Returns who it was.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.state.id()
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// Returns how many of its requests are still in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.state.in_flight()
    }

    /// Waits until none of its requests is in flight.
    ///
    /// A name that is inserted again meanwhile gets its state back, and its new
    /// requests count as well.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[must_use = "a future does nothing unless it is awaited"]
    pub fn drained(&self) -> Drained {
        Drained {
            state: self.state.clone(),
            hub: self.hub.clone(),
            ticket: None,
        }
    }
}

/// Resolves when none of a removed member's requests is in flight; made by
/// [`Removed::drained`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Drained {
    state: Arc<MemberState>,
    hub: Arc<Hub>,
    ticket: Option<Ticket>,
}

impl Future for Drained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Register first, look then: an end in between is seen by one of the two.
        self.ticket = Some(self.hub.watch(self.ticket, context.waker()));
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
            self.hub.unwatch(ticket);
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
