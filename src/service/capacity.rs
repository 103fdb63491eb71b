//! How many requests a member takes at the same time, as its service finds out while it
//! runs: [`Capacity`], and the error that reports the limit to a balancer, [`AtCapacity`].
//!
//! Not here: the limit itself, which the balancer keeps
//! ([`LearnedLimit`](crate::balancer::LearnedLimit)), and how a member's protocol announces
//! it (`proxy/endpoint`).

use std::fmt;
use std::sync::Arc;

use crate::balancer::{Lease, WeakLimit};
use crate::sync::Mutex;

/// The limit of a member. It tells the balancers that have met the limit when it changes.
#[derive(Clone, Default)]
pub(crate) struct Capacity {
    state: Arc<Mutex<CapacityState>>,
}

#[derive(Default)]
struct CapacityState {
    listeners: Vec<WeakLimit>,
    latest: Option<u32>,
    /// How often the limit was set, so that a balancer does not learn an outdated one.
    changes: u64,
}

#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "endpoints have one")
)]
impl Capacity {
    /// Returns the error for a request above the limit.
    pub(crate) fn exceeded(&self, limit: u32) -> AtCapacity {
        let changes = self.state.lock().changes;
        AtCapacity {
            limit,
            changes,
            capacity: self.clone(),
        }
    }

    /// Sets how many requests the member takes at the same time now; `None` if there is no
    /// limit any more.
    pub(crate) fn set(&self, limit: Option<u32>) {
        let mut state = self.state.lock();
        state.latest = limit;
        state.changes = state.changes.wrapping_add(1);
        let listeners = match limit {
            Some(_) => {
                state.listeners.retain(|one| !one.is_gone());
                state.listeners.clone()
            }
            None => std::mem::take(&mut state.listeners),
        };
        // The balancer has locks of its own.
        drop(state);
        for one in listeners.iter().filter_map(WeakLimit::upgrade) {
            one.set(limit);
        }
    }
}

/// A member is at the limit of requests that it takes at the same time. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("all {limit} streams of the member are in use")]
pub(crate) struct AtCapacity {
    limit: u32,
    /// The number of changes when the limit was met.
    changes: u64,
    capacity: Capacity,
}

impl AtCapacity {
    /// Limits the balancer to what the member takes, until that changes.
    pub(crate) fn report_to<W>(&self, lease: &Lease<W>) {
        let learned = lease.learned_limit();
        let (mut limit, mut changes) = (Some(self.limit), self.changes);
        loop {
            let mut state = self.capacity.state.lock();
            if state.changes != changes {
                (limit, changes) = (state.latest, state.changes);
            }
            if limit.is_some() && !state.listeners.iter().any(|one| one.is_of(&learned)) {
                state.listeners.retain(|one| !one.is_gone());
                state.listeners.push(learned.downgrade());
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

#[cfg(test)]
mod tests {
    use super::Capacity;
    use crate::{Balancer, MemberSpec, PickRequest};

    #[test]
    fn a_member_that_is_removed_is_not_kept_for_the_limit_that_it_has_met() {
        let capacity = Capacity::default();
        let balancer = Balancer::new([("a", ())]).unwrap();
        let mut ids = Vec::new();
        for _ in 0..3 {
            let lease = balancer.pick(&PickRequest::new()).unwrap();
            ids.push(lease.member().id());
            capacity.exceeded(1).report_to(&lease);
            capacity.exceeded(1).report_to(&lease);
            drop(lease);
            assert_eq!(capacity.state.lock().listeners.len(), 1);
            balancer.remove("a").unwrap();
            // With the same state it would have the same id.
            balancer.insert("a", (), MemberSpec::new()).unwrap();
            assert_eq!(balancer.learned_limit("a").unwrap().get(), None);
        }
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn members_that_have_met_the_limit_learn_when_it_changes() {
        let capacity = Capacity::default();
        let balancer = Balancer::new([("a", ())]).unwrap();
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        capacity.exceeded(1).report_to(&lease);
        drop(lease);
        for limit in [Some(3), None, Some(7)] {
            capacity.set(limit);
            // Once there is none, it has to meet it again.
            let expected = limit.filter(|limit| *limit == 3);
            assert_eq!(balancer.learned_limit("a").unwrap().get(), expected);
        }
    }
}
