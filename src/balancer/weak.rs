//! A handle that does not keep its balancer alive: [`WeakBalancer`].

use std::fmt;
use std::sync::{Arc, Weak};

use super::{Balancer, Core};

/// A handle of a [`Balancer`] that does not keep it alive: for observers, and for tasks
/// that end with the balancer.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
///
/// let balancer = Balancer::new([("a", ())])?;
/// let weak = balancer.downgrade();
/// assert_eq!(weak.upgrade().map(|balancer| balancer.len()), Some(1));
/// drop(balancer);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), equipoise::BuildError>(())
/// ```
pub struct WeakBalancer<W> {
    core: Weak<Core<W>>,
}

impl<W> Balancer<W> {
    /// Returns a handle that does not keep the balancer alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakBalancer<W> {
        WeakBalancer {
            core: Arc::downgrade(&self.core),
        }
    }
}

impl<W> WeakBalancer<W> {
    /// Returns the balancer, unless its last handle was dropped. Leases and guards do not
    /// count as handles.
    #[must_use]
    pub fn upgrade(&self) -> Option<Balancer<W>> {
        let core = self.core.upgrade()?;
        Some(Balancer { core })
    }
}

impl<W> Clone for WeakBalancer<W> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
        }
    }
}

impl<W> fmt::Debug for WeakBalancer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakBalancer").finish_non_exhaustive()
    }
}
