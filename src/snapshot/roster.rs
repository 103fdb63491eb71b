//! All members of a balancer, by slot, in order, by name and by route.

use std::sync::Arc;

use super::Slab;
use super::names::Names;
use super::routes::RouteIndex;
use crate::member::{MemberSpec, MemberState, Overrides};
use crate::sync::Mutex;

/// The name of a source; all its members share it.
pub(crate) type SourceName = Arc<Arc<str>>;

/// One member as the balancer knows it: state and spec, without the payload.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) state: Arc<MemberState>,
    /// The spec that holds, overrides included. Without flags: those are live, in the
    /// state.
    pub(crate) spec: MemberSpec,
    /// The place in configuration order, which settles every tie.
    pub(crate) order: u64,
    /// The name of the source that it belongs to, by a thin pointer.
    pub(crate) owner: SourceName,
    /// `None` if its source's spec has no flags and nothing is overridden: then `spec` is
    /// the source's. Changes in place: what results from it is in `spec` and in the state's
    /// flags.
    pub(crate) layers: Mutex<Option<Arc<SpecLayers>>>,
}

/// The settings of a member by a source and by an operator.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct SpecLayers {
    /// With its flags, but without those of health.
    pub(crate) source: MemberSpec,
    pub(crate) overrides: Overrides,
}

impl Seat {
    /// Returns the source's spec with its flags, but without those of health.
    pub(crate) fn source(&self) -> MemberSpec {
        self.layers()
            .map_or_else(|| self.spec.clone(), |it| it.source.clone())
    }

    pub(crate) fn overrides(&self) -> Overrides {
        self.layers()
            .map_or_else(Overrides::new, |it| it.overrides.clone())
    }

    pub(crate) fn layers(&self) -> Option<Arc<SpecLayers>> {
        self.layers.lock().clone()
    }

    pub(crate) fn slot(&self) -> usize {
        self.state.id().slot()
    }
}

/// All members of a balancer at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    seats: Slab<Seat>,
    /// The states of the seats: a pick finds one without reading the seat.
    states: Slab<MemberState>,
    /// Slots by (tier, order): each tier is contiguous.
    walk_order: Vec<u32>,
    names: Names,
    routes: RouteIndex,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.walk_order.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.walk_order.is_empty()
    }

    #[inline]
    pub(crate) fn seat(&self, slot: usize) -> Option<&Arc<Seat>> {
        self.seats.get(slot)
    }

    #[inline]
    pub(crate) fn state(&self, slot: usize) -> Option<&Arc<MemberState>> {
        self.states.get(slot)
    }

    /// Returns the member of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Seat>> {
        self.names
            .slots(name)
            .filter_map(|slot| self.seat(slot as usize))
            .find(|seat| seat.state.name() == name)
    }

    /// Returns the members by tier and then in configuration order.
    pub(crate) fn by_tier(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.walk_order
            .iter()
            .filter_map(|&slot| self.seat(slot as usize))
    }

    /// Returns the members that own `route`, in configuration order.
    pub(crate) fn by_route<'r>(&'r self, route: &'r str) -> impl Iterator<Item = &'r Arc<Seat>> {
        self.routes
            .slots(route)
            .filter_map(|slot| self.seat(slot as usize))
            .filter(move |seat| seat.spec.route() == Some(route))
    }

    /// Inserts a seat, in place of the one that has its slot.
    pub(crate) fn put(&mut self, seat: Arc<Seat>) {
        let slot = seat.slot();
        let stays = |there: &Arc<Seat>| {
            Arc::ptr_eq(&there.state, &seat.state)
                && (there.spec.tier(), there.order) == (seat.spec.tier(), seat.order)
                && there.spec.route() == seat.spec.route()
        };
        if self.seats.get(slot).is_some_and(stays) {
            self.seats.put(slot, seat);
            return;
        }
        self.take(slot);
        let at = self.rank(seat.spec.tier(), seat.order);
        self.walk_order.insert(at, short(slot));
        self.names.insert(seat.state.name(), short(slot));
        if let Some(route) = seat.spec.route() {
            self.routes.insert(route, seat.order, short(slot));
        }
        self.states.put(slot, seat.state.clone());
        self.seats.put(slot, seat);
    }

    /// Removes the seat of `slot`.
    pub(crate) fn take(&mut self, slot: usize) -> Option<Arc<Seat>> {
        let seat = self.seats.get(slot)?.clone();
        let at = self.rank(seat.spec.tier(), seat.order);
        self.walk_order.remove(at);
        self.names.remove(seat.state.name(), short(slot));
        if let Some(route) = seat.spec.route() {
            self.routes.remove(route, seat.order);
        }
        self.states.take(slot);
        self.seats.take(slot)
    }

    /// Returns where a member of `tier` and `order` stands, or would stand.
    fn rank(&self, tier: u16, order: u64) -> usize {
        self.walk_order.partition_point(|&slot| {
            self.seat(slot as usize)
                .is_some_and(|seat| (seat.spec.tier(), seat.order) < (tier, order))
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "slots are handed out as u32"
)]
fn short(slot: usize) -> u32 {
    slot as u32
}
