//! Which zone a request goes to: [`ZonesNow`].
//!
//! Not here: the arithmetic (`shares.rs`), and the pick inside the zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group_zones::{GroupZone, GroupZones};
use super::shares::{ZoneLoad, ZoneSums, drawn_index};
use crate::member::MemberId;
use crate::scheduler::hashing::winner_of;
use crate::scheduler::{Candidates, PickContext, Plan, Scheduler};
use crate::stable_hash::hash_bytes;

/// The plans of the zones, sorted by name.
#[derive(Debug)]
pub(super) struct ZonePlans(pub(super) Vec<(Box<str>, Option<Plan>)>);

impl ZonePlans {
    fn find(&self, zone: &str) -> Option<&Option<Plan>> {
        let at = self.0.binary_search_by(|(name, _)| (**name).cmp(zone));
        Some(&self.0[at.ok()?].1)
    }
}

/// The zones as one pick sees them.
#[derive(Debug)]
pub(super) struct ZonesNow<'z, 'c, S> {
    own_name: &'z str,
    /// The callers by zone, if they are set.
    given: Option<&'z BTreeMap<Arc<str>, u32>>,
    zones: &'c GroupZones<S>,
    plan: Option<&'c ZonePlans>,
    /// The index of the own zone.
    own: Option<usize>,
    sums: ZoneSums,
}

impl<'z, 'c, S: Scheduler> ZonesNow<'z, 'c, S> {
    pub(super) fn new(
        own: &'z str,
        given: Option<&'z BTreeMap<Arc<str>, u32>>,
        zones: &'c GroupZones<S>,
        plan: Option<&'c ZonePlans>,
    ) -> Self {
        let mut this = Self {
            own_name: own,
            given,
            zones,
            plan,
            own: zones.position(own),
            sums: ZoneSums::default(),
        };
        let capacity = zones.all().iter().map(|zone| zone.capacity).sum();
        let callers = this.all_callers();
        this.sums = ZoneSums(ZoneLoad { capacity, callers });
        this
    }

    pub(super) fn sums(&self) -> ZoneSums {
        self.sums
    }

    /// Returns the zone of an eligible member.
    pub(super) fn zone_of(&self, member: MemberId) -> Option<&'c GroupZone<S>> {
        self.zones.zone_of(member)
    }

    /// Returns the callers of all zones. If they are not set, each zone has one that is in the
    /// plan or has capacity (the plan may be older than the group), and so has the own zone.
    fn all_callers(&self) -> u64 {
        if let Some(callers) = self.given {
            return callers.values().copied().map(u64::from).sum();
        }
        let planned = self.plan.map_or(0, |plan| plan.0.len());
        let zones = self.zones.all().iter();
        let others = zones.filter(|zone| zone.capacity > 0 && *zone.name != *self.own_name);
        let newer = others.filter(|zone| !self.is_planned(&zone.name)).count();
        (planned + newer) as u64 + u64::from(!self.is_planned(self.own_name))
    }

    fn is_planned(&self, zone: &str) -> bool {
        self.plan.is_some_and(|plan| plan.find(zone).is_some())
    }

    /// Returns the callers of a zone that has capacity, or is the own one.
    fn callers(&self, zone: &str) -> u64 {
        match self.given {
            Some(callers) => callers.get(zone).copied().unwrap_or(0).into(),
            None => 1,
        }
    }

    fn load(&self, zone: &GroupZone<S>) -> ZoneLoad {
        ZoneLoad {
            capacity: zone.capacity,
            callers: self.callers(&zone.name),
        }
    }

    pub(super) fn own_load(&self) -> ZoneLoad {
        match self.own {
            Some(own) => self.load(&self.zones.all()[own]),
            None => ZoneLoad {
                capacity: 0,
                callers: self.callers(self.own_name),
            },
        }
    }

    /// Returns the zone that a request goes to first.
    fn choose(&self, draws: &ZoneDraws<'_>) -> Option<usize> {
        let own = self.own_load();
        if self.sums.keeps_all(own) {
            return self.own;
        }
        if own.capacity > 0 && self.sums.keeps(own, draws.for_stay()) {
            return self.own;
        }
        let spare = self.others(|zone| self.sums.spare(self.load(zone)));
        let drawn = draws.index(ZoneDraw::Zone, spare);
        drawn.or_else(|| self.by_capacity(draws, ZoneDraw::Zone, None))
    }

    /// Draws a zone by capacity, other than the own one and `first`.
    fn by_capacity(
        &self,
        draws: &ZoneDraws<'_>,
        purpose: ZoneDraw,
        first: Option<usize>,
    ) -> Option<usize> {
        let first = first.map(|first| &*self.zones.all()[first].name);
        let capacity = self.others(|zone| match first {
            Some(first) if *first == *zone.name => 0,
            _ => zone.capacity.into(),
        });
        draws.index(purpose, capacity)
    }

    /// Returns the hash and the weight of each zone; the own one has none.
    fn others(
        &self,
        weight: impl Fn(&GroupZone<S>) -> u128 + Clone,
    ) -> impl Iterator<Item = (u64, u128)> + Clone {
        let zones = self.zones.all().iter().enumerate();
        zones.map(move |(at, zone)| match self.own {
            Some(own) if own == at => (zone.hash, 0),
            _ => (zone.hash, weight(zone)),
        })
    }

    /// Calls `visit` with the zones in which a member is looked for, in order, until it
    /// returns something.
    pub(super) fn find_map<T>(
        &self,
        context: &PickContext<'_>,
        mut visit: impl FnMut(&'c GroupZone<S>) -> Option<T>,
    ) -> Option<T> {
        let zones = self.zones.all();
        let draws = ZoneDraws(context);
        let first = self.choose(&draws);
        let mut visit_once = |at: usize| {
            let zone: &'c GroupZone<S> = zones.get(at)?;
            (zone.capacity > 0).then(|| visit(zone))?
        };
        let found = first.and_then(&mut visit_once);
        let own = self.own.filter(|_| self.own != first);
        let found = found.or_else(|| own.and_then(&mut visit_once));
        found.or_else(|| {
            // Drawn, so that all such requests do not go to one zone.
            let start = self.by_capacity(&draws, ZoneDraw::Other, first)?;
            let others = (start..zones.len()).chain(0..start);
            let mut others = others.filter(|&at| Some(at) != first && Some(at) != self.own);
            others.find_map(visit_once)
        })
    }

    /// Calls `act` with the candidates of a zone.
    pub(super) fn within<T>(
        &self,
        candidates: &Candidates<'c>,
        zone: &'c GroupZone<S>,
        act: impl FnOnce(&S, &Candidates<'c>) -> T,
    ) -> T {
        let plan = self.plan.and_then(|plan| plan.find(&zone.name)?.as_ref());
        let scheduler = &*zone.scheduler;
        candidates.within(&zone.picture, plan, |part| act(scheduler, part))
    }

    /// Returns the zone in which the next pick finds a member.
    pub(super) fn next_zone(
        &self,
        candidates: &Candidates<'c>,
        context: &PickContext<'_>,
    ) -> Option<&'c GroupZone<S>> {
        self.find_map(context, |zone| {
            self.is_open(candidates, zone).then_some(zone)
        })
    }

    /// Returns whether a zone has a member that the request has not tried and that has room.
    pub(super) fn is_open(&self, candidates: &Candidates<'c>, zone: &'c GroupZone<S>) -> bool {
        self.within(candidates, zone, |_, part| {
            part.iter().any(|one| one.has_room())
        })
    }
}

/// Which zone is drawn.
#[derive(Clone, Copy, Debug)]
enum ZoneDraw {
    /// The first one of a request that leaves its own zone.
    Zone,
    /// The next one, if neither that nor the own zone has a member for the request.
    Other,
}

/// The random choices of a pick: they follow from its hash key, if it has one.
///
/// With a key the zones have scores, so that a key moves only from or to a zone whose share has
/// changed in comparison with others.
#[derive(Debug)]
struct ZoneDraws<'p>(&'p PickContext<'p>);

impl ZoneDraws<'_> {
    /// Returns the number that decides whether the request stays in its own zone.
    fn for_stay(&self) -> u64 {
        let drawn = || self.0.random().next_u64();
        self.0.hash().map_or_else(drawn, |key| mixed(b"stay", key))
    }

    /// Returns the index that is chosen, each with a chance in proportion to its weight.
    fn index(
        &self,
        draw: ZoneDraw,
        zones: impl Iterator<Item = (u64, u128)> + Clone,
    ) -> Option<usize> {
        let Some(key) = self.0.hash() else {
            return drawn_index(zones.map(|(_, weight)| weight), self.0.random().next_u64());
        };
        let key = match draw {
            ZoneDraw::Zone => key,
            ZoneDraw::Other => mixed(b"next", key),
        };
        winner_of(key, zones)
    }
}

/// Hashes a key for another purpose.
fn mixed(purpose: &[u8; 4], key: u64) -> u64 {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(purpose);
    bytes[4..].copy_from_slice(&key.to_le_bytes());
    hash_bytes(&bytes)
}
