//! How many requests a member takes at the same time, as its service finds out while it runs:
//! [`Capacity`], and the error by which a balancer is told, [`AtCapacity`].
//!
//! What does not live here: the limit itself, which is the balancer's
//! ([`LearnedLimit`]), and what a member's protocol says (`proxy/endpoint`).

use std::fmt;
use std::sync::Arc;

use crate::balancer::{LearnedLimit, Lease};
use crate::sync::Mutex;

/// Tells the balancers that have met the limit of a member when it changes.
#[derive(Clone, Default)]
pub(crate) struct Capacity {
    told: Arc<Mutex<Vec<LearnedLimit>>>,
}

impl Capacity {
    /// The error for a request that is one too many.
    pub(crate) fn exceeded(&self, limit: u32) -> AtCapacity {
        let capacity = self.clone();
        AtCapacity { limit, capacity }
    }

    /// Whether any balancer has met the limit.
    pub(crate) fn is_limiting(&self) -> bool {
        !self.told.lock().is_empty()
    }

    /// Says how many requests the member takes now; `None` if there is no limit any more.
    pub(crate) fn set(&self, limit: Option<u32>) {
        // The balancer has locks of its own.
        let told = match limit {
            Some(_) => self.told.lock().clone(),
            None => std::mem::take(&mut *self.told.lock()),
        };
        for one in told {
            one.set(limit);
        }
    }
}

/// A member takes no more requests at the same time than it has. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("all of its {limit} streams are in use")]
pub(crate) struct AtCapacity {
    limit: u32,
    capacity: Capacity,
}

impl AtCapacity {
    /// Has the balancer send no more than the member takes, until that changes.
    pub(crate) fn teach<W>(&self, lease: &Lease<W>) {
        let learned = lease.learned_limit();
        let mut told = self.capacity.told.lock();
        let same = |one: &LearnedLimit| std::ptr::eq(one.member(), learned.member());
        if !told.iter().any(same) {
            told.push(learned.clone());
        }
        drop(told);
        learned.set(Some(self.limit));
    }
}

impl fmt::Debug for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capacity")
            .field("told", &self.told.lock().len())
            .finish()
    }
}
