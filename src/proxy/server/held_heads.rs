//! The memory for the heads of requests over HTTP/2, of which a connection can have many:
//! [`HeadBudget`] bounds their sum, and [`HeldHead`] is the share of one head.
//!
//! Not here: the size of one head, which hyper bounds, and heads of
//! HTTP/1.1, of which a connection has one.

use std::sync::Arc;

use http::Request;

use crate::sync::{AtomicU64, Relaxed};

/// The maximum number of bytes of heads, per connection and per server.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    pub(super) connection: u64,
    pub(super) server: u64,
}

/// The used part of a budget. A connection's budget is part of its server's.
// Relaxed: only the sums count, nothing is published by them.
#[derive(Debug)]
pub(super) struct HeadBudget {
    limits: HeadLimits,
    here: AtomicU64,
    server: Arc<AtomicU64>,
}

impl HeadBudget {
    /// Creates the budget of a new connection; `server` is shared by the server's
    /// connections.
    pub(super) fn new(limits: HeadLimits, server: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            here: AtomicU64::new(0),
            server,
        })
    }

    /// Counts a head until the result is dropped; `None` if there is no room for it.
    pub(super) fn hold<B>(self: &Arc<Self>, request: &Request<B>) -> Option<HeldHead> {
        let bytes = cost(request);
        let here = self.here.fetch_add(bytes, Relaxed) + bytes;
        let server = self.server.fetch_add(bytes, Relaxed) + bytes;
        let held = HeldHead {
            budget: self.clone(),
            bytes,
        };
        // A single head is bounded by its own limit.
        let fits = here <= self.limits.connection || here == bytes;
        (fits && server <= self.limits.server).then_some(held)
    }
}

/// The share of a budget that one head uses.
#[derive(Debug)]
pub(super) struct HeldHead {
    budget: Arc<HeadBudget>,
    bytes: u64,
}

impl Drop for HeldHead {
    fn drop(&mut self) {
        self.budget.here.fetch_sub(self.bytes, Relaxed);
        self.budget.server.fetch_sub(self.bytes, Relaxed);
    }
}

/// The memory of a field in a map in addition to its text: an entry, its slot in the index,
/// and the spare capacity after the map has grown.
const FIELD: usize = 160;

/// The memory of a request in addition to its fields.
const REQUEST: usize = 512;

/// Returns the approximate memory of a head. Its text counts twice: once as it is held,
/// even if HPACK sent it only once for many heads, and once as it is written to a member.
fn cost<B>(request: &Request<B>) -> u64 {
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| FIELD + 2 * (name.as_str().len() + value.len()));
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |it| it.as_str().len());
    let authority = uri.authority().map_or(0, |it| it.as_str().len());
    let bytes = REQUEST + 2 * (target + authority) + fields.sum::<usize>();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{HeadBudget, HeadLimits, cost};
    use http::Request;
    use std::sync::Arc;

    fn request(text: usize) -> Request<()> {
        let request = Request::get("http://a/").header("x", "y".repeat(text));
        request.body(()).unwrap()
    }

    #[test]
    fn a_head_costs_more_than_its_text() {
        let small = cost(&request(0));
        assert_eq!(cost(&request(1_000)), small + 2_000);
        assert!((600..800).contains(&small), "{small}");
    }

    #[test]
    fn heads_are_held_up_to_the_limit_of_the_connection_and_of_the_server() {
        let one = cost(&request(1_000));
        let limits = HeadLimits {
            connection: 2 * one,
            server: 3 * one,
        };
        let server = Arc::default();
        let first = HeadBudget::new(limits, Arc::clone(&server));
        let second = HeadBudget::new(limits, server);
        let mut held = vec![first.hold(&request(1_000)).unwrap()];
        held.push(first.hold(&request(1_000)).unwrap());
        assert!(first.hold(&request(1_000)).is_none(), "a third");
        let other = second.hold(&request(1_000)).unwrap();
        assert!(second.hold(&request(1_000)).is_none(), "a fourth of all");
        held.clear();
        let again = second.hold(&request(1_000)).unwrap();
        drop((other, again));
        assert!(first.hold(&request(1_000)).is_some());
    }
}
