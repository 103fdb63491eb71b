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
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    told: Vec<LearnedLimit>,
    latest: Option<u32>,
    /// How often it was set, so that a balancer does not learn what is past.
    changes: u64,
}

#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "endpoints have one")
)]
impl Capacity {
    /// The error for a request that is one too many.
    pub(crate) fn exceeded(&self, limit: u32) -> AtCapacity {
        let changes = self.state.lock().changes;
        AtCapacity {
            limit,
            changes,
            capacity: self.clone(),
        }
    }

    /// Says how many requests the member takes now; `None` if there is no limit any more.
    pub(crate) fn set(&self, limit: Option<u32>) {
        let mut state = self.state.lock();
        state.latest = limit;
        state.changes = state.changes.wrapping_add(1);
        let told = match limit {
            Some(_) => state.told.clone(),
            None => std::mem::take(&mut state.told),
        };
        // The balancer has locks of its own.
        drop(state);
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
    /// When that was so.
    changes: u64,
    capacity: Capacity,
}

impl AtCapacity {
    /// Has the balancer send no more than the member takes, until that changes.
    pub(crate) fn teach<W>(&self, lease: &Lease<W>) {
        let learned = lease.learned_limit();
        let (mut limit, mut changes) = (Some(self.limit), self.changes);
        loop {
            let mut state = self.capacity.state.lock();
            if state.changes != changes {
                (limit, changes) = (state.latest, state.changes);
            }
            let same = |one: &LearnedLimit| std::ptr::eq(one.member(), learned.member());
            if limit.is_some() && !state.told.iter().any(same) {
                state.told.push(learned.clone());
            }
            drop(state);
            learned.set(limit);
            if self.capacity.state.lock().changes == changes {
                return;
            }
        }
    }
}

impl fmt::Debug for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capacity")
            .field("limit", &self.state.lock().latest)
            .finish()
    }
}
