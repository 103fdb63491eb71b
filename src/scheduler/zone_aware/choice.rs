//! Which zone a request goes to: [`ZonesNow`].
//!
//! Not here: the arithmetic (`shares.rs`), and the pick inside the zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group_zones::{GroupZone, GroupZones};
use super::shares::{ZoneLoad, ZoneSums, drawn_index};
use crate::member::MemberId;
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

    fn all_callers(&self) -> u64 {
        match (self.given, self.plan) {
            (Some(callers), _) => callers.values().copied().map(u64::from).sum(),
            (None, Some(plan)) => {
                plan.0.len() as u64 + u64::from(plan.find(self.own_name).is_none())
            }
            (None, None) => {
                let serving = |zone: &&GroupZone<S>| zone.capacity > 0;
                let own = self.own.and_then(|own| self.zones.all().get(own));
                let count = self.zones.all().iter().filter(serving).count() as u64;
                count + u64::from(own.filter(serving).is_none())
            }
        }
    }

    fn callers(&self, zone: &str) -> u64 {
        match (self.given, self.plan) {
            (Some(callers), _) => callers.get(zone).copied().unwrap_or(0).into(),
            (None, _) if *zone == *self.own_name => 1,
            (None, Some(plan)) => plan.find(zone).is_some().into(),
            (None, None) => 1,
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
        if own.capacity > 0 && self.sums.keeps(own, draws.next(ZoneDraw::Stay)) {
            return self.own;
        }
        let zones = self.zones.all().iter().enumerate();
        let spare = zones.map(|(at, zone)| match self.own {
            Some(own) if own == at => 0,
            _ => self.sums.spare(self.load(zone)),
        });
        let draw = draws.next(ZoneDraw::Zone);
        drawn_index(spare, draw).or_else(|| self.by_capacity(draw, None))
    }

    /// Draws a zone by capacity, other than the own one and `first`.
    fn by_capacity(&self, draw: u64, first: Option<usize>) -> Option<usize> {
        let zones = self.zones.all().iter().enumerate();
        let capacity = zones.map(|(at, zone)| match Some(at) {
            at if at == first || at == self.own => 0,
            _ => u128::from(zone.capacity),
        });
        drawn_index(capacity, draw)
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
            let start = self.by_capacity(draws.next(ZoneDraw::Other), first)?;
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
            let is_open = |_: &S, part: &Candidates<'c>| part.iter().any(|one| one.has_room());
            self.within(candidates, zone, is_open).then_some(zone)
        })
    }
}

/// What a number is drawn for.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum ZoneDraw {
    Stay = 0,
    Zone = 1,
    Other = 2,
}

/// The random numbers of a pick: those of its hash key, if it has one.
#[derive(Debug)]
struct ZoneDraws<'p>(&'p PickContext<'p>);

impl ZoneDraws<'_> {
    fn next(&self, draw: ZoneDraw) -> u64 {
        let Some(key) = self.0.hash() else {
            return self.0.random().next_u64();
        };
        let mut bytes = *b"zone\0\0\0\0\0\0\0\0\0";
        bytes[4] = draw as u8;
        bytes[5..].copy_from_slice(&key.to_le_bytes());
        hash_bytes(&bytes)
    }
}
