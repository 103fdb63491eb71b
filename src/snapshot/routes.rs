//! Maps a route to the slots of its members: one sorted array of plain numbers, so that
//! copying it is one copy of memory.

use crate::stable_hash::hash_bytes;

/// Slots by (hash of the route, configuration order).
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteIndex(Vec<RouteEntry>);

#[derive(Clone, Copy, Debug)]
struct RouteEntry {
    hash: u64,
    order: u64,
    slot: u32,
}

impl RouteIndex {
    pub(crate) fn insert(&mut self, route: &str, order: u64, slot: u32) {
        let hash = hash_bytes(route.as_bytes());
        let at = self.position(hash, order);
        self.0.insert(at, RouteEntry { hash, order, slot });
    }

    /// Removes what was inserted under the same route and order.
    pub(crate) fn remove(&mut self, route: &str, order: u64) {
        let hash = hash_bytes(route.as_bytes());
        let at = self.position(hash, order);
        if self
            .0
            .get(at)
            .is_some_and(|entry| (entry.hash, entry.order) == (hash, order))
        {
            self.0.remove(at);
        }
    }

    /// Returns the slots whose route has the same hash, in configuration order; the caller
    /// compares the text.
    pub(crate) fn slots(&self, route: &str) -> impl Iterator<Item = u32> {
        let hash = if self.0.is_empty() {
            0
        } else {
            hash_bytes(route.as_bytes())
        };
        self.0[self.position(hash, 0)..]
            .iter()
            .take_while(move |entry| entry.hash == hash)
            .map(|entry| entry.slot)
    }

    fn position(&self, hash: u64, order: u64) -> usize {
        self.0
            .partition_point(|entry| (entry.hash, entry.order) < (hash, order))
    }
}

#[cfg(test)]
mod tests {
    use super::RouteIndex;

    #[test]
    fn several_members_of_one_route_stand_in_configuration_order() {
        let mut routes = RouteIndex::default();
        routes.insert("a", 3, 30);
        routes.insert("b", 1, 10);
        routes.insert("a", 2, 20);
        assert_eq!(routes.slots("a").collect::<Vec<_>>(), [20, 30]);
        routes.remove("a", 2);
        assert_eq!(routes.slots("a").collect::<Vec<_>>(), [30]);
        assert_eq!(routes.slots("c").count(), 0);
        routes.remove("c", 9);
        assert_eq!(routes.slots("b").collect::<Vec<_>>(), [10]);
    }
}
