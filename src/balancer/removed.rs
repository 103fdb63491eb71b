//! A member after its removal: [`RemovedMember`].

use std::sync::Arc;

use super::shared::Shared;
use super::wait::Drained;
use crate::member::{MemberId, MemberState};

/// A member that was removed and may still have requests in flight.
///
/// # Examples
///
/// ```
/// # async fn shut_down(balancer: equipoise::Balancer<()>) {
/// if let Ok(removed) = balancer.remove("a") {
///     removed.drained().await; // with a timeout of the runtime's, if you are in a hurry
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct RemovedMember {
    state: Arc<MemberState>,
    shared: Arc<Shared>,
}

impl RemovedMember {
    pub(super) fn new(state: Arc<MemberState>, shared: Arc<Shared>) -> Self {
        Self { state, shared }
    }

    /// Returns the member's id.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// let id = balancer.member("a").unwrap().id();
    /// assert_eq!(balancer.remove("a").unwrap().id(), id);
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.state.id()
    }

    /// Returns its name.
    ///
    /// # Examples
    ///
    /// ```
    /// let balancer = equipoise::Balancer::new([("a", ())])?;
    /// assert_eq!(balancer.remove("a").unwrap().name(), "a");
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// Returns how many of its requests are still in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// let removed = balancer.remove("a").unwrap();
    /// assert_eq!(removed.in_flight(), 1);
    /// drop(lease);
    /// assert_eq!(removed.in_flight(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.state.in_flight()
    }

    /// Waits until none of its requests is in flight.
    ///
    /// If a member of the same name is inserted meanwhile, it gets the state back, and its
    /// new requests count as well.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, PickRequest};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// let lease = balancer.pick(&PickRequest::new())?;
    /// let removed = balancer.remove("a").unwrap();
    /// drop(lease);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// removed.drained().await;
    /// assert_eq!(removed.in_flight(), 0);
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a future does nothing unless it is awaited"]
    pub fn drained(&self) -> Drained {
        Drained::new(self.state.clone(), self.shared.clone())
    }
}
