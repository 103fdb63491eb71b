//! The registration of an observer: [`ObserverGuard`].

use std::fmt;
use std::sync::Weak;

/// The list that observers are registered in.
pub(in crate::balancer) trait Registry: Send + Sync {
    fn remove_observer(&self, number: u64);
}

/// Keeps an observer registered; dropping it removes the observer.
///
/// An event that is being delivered on another thread may still reach the observer after
/// the drop has returned. The guard does not keep the balancer alive.
///
/// # Examples
///
/// ```
/// use equipoise::{Balancer, Event, PickRequest};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// let balancer = Balancer::new([("a", ())])?;
/// let events = Arc::new(AtomicU32::new(0));
/// let counted = events.clone();
/// let observing = balancer.observe(move |_: &Event<'_>| {
///     counted.fetch_add(1, Ordering::Relaxed);
/// });
/// drop(balancer.pick(&PickRequest::new())?);
/// assert_eq!(events.load(Ordering::Relaxed), 2, "picked and ended");
///
/// drop(observing);
/// drop(balancer.pick(&PickRequest::new())?);
/// assert_eq!(events.load(Ordering::Relaxed), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the observer is removed when this is dropped"]
pub struct ObserverGuard {
    /// `None` if the observer is kept.
    registry: Option<Weak<dyn Registry>>,
    number: u64,
}

impl ObserverGuard {
    pub(in crate::balancer) fn new(registry: Weak<dyn Registry>, number: u64) -> Self {
        Self {
            registry: Some(registry),
            number,
        }
    }

    /// Keeps the observer for the lifetime of the balancer.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::{Balancer, Event};
    ///
    /// let balancer = Balancer::new([("a", ())])?;
    /// balancer.observe(|event: &Event<'_>| println!("{event}")).detach();
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn detach(mut self) {
        self.registry = None;
    }
}

impl Drop for ObserverGuard {
    fn drop(&mut self) {
        let registry = self.registry.as_ref().and_then(Weak::upgrade);
        if let Some(registry) = registry {
            registry.remove_observer(self.number);
        }
    }
}

impl fmt::Debug for ObserverGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserverGuard").finish_non_exhaustive()
    }
}
