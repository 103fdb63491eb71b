//! The zones of one group, each with a picture of its members and the scheduler that picks
//! among them: [`GroupZones`].
//!
//! Not here: the schedulers of zones that have no members now (`schedulers.rs`), and which
//! zone a request goes to (`mod.rs`).

use std::sync::Arc;

use crate::member::MemberId;
use crate::scheduler::{GroupChange, Scheduler};
use crate::snapshot::{Picture, Seat};
use crate::stable_hash::hash_bytes;

use super::schedulers::ZoneSchedulers;

/// No zone: the slot has not been eligible yet, or its zone was forgotten.
const NO_ZONE: u32 = u32::MAX;

/// The zones of a group, sorted by name.
#[derive(Debug)]
pub(super) struct GroupZones<S> {
    zones: Vec<GroupZone<S>>,
    /// The index of each slot's zone. Members that have left stay in their zones, because
    /// their requests may still end.
    by_slot: Vec<u32>,
}

/// One zone of a group.
#[derive(Debug)]
pub(super) struct GroupZone<S> {
    pub(super) name: Arc<str>,
    /// A hash of its name.
    pub(super) hash: u64,
    pub(super) scheduler: Arc<S>,
    pub(super) picture: Picture,
    /// The weight of its eligible members, in units.
    pub(super) capacity: u64,
}

impl<S> Default for GroupZones<S> {
    fn default() -> Self {
        Self {
            zones: Vec::new(),
            by_slot: Vec::new(),
        }
    }
}

/// The changes of one zone.
#[derive(Debug, Default)]
struct ZoneChange {
    left: Vec<Arc<Seat>>,
    joined: Vec<(Arc<Seat>, bool)>,
    changed: Vec<(Arc<Seat>, bool)>,
    /// Members that were in another zone before.
    moved_in: Vec<(Arc<Seat>, bool)>,
}

impl<S: Scheduler> GroupZones<S> {
    /// Creates the zones of a group that the schedulers were not notified of.
    pub(super) fn of(picture: &Picture, schedulers: &ZoneSchedulers<S>) -> Self {
        for (seat, _) in picture.group() {
            schedulers.get(schedulers.zone_of(seat));
        }
        let named = schedulers.all();
        let mut by_slot = Vec::new();
        for (seat, _) in picture.group() {
            set_zone(
                &mut by_slot,
                seat,
                index_of(&named, schedulers.zone_of(seat)),
            );
        }
        Self::with(picture, named, by_slot)
    }

    /// Returns the zones after a change of the group, and notifies their schedulers.
    pub(super) fn following(
        &self,
        group: &GroupChange<'_>,
        schedulers: &ZoneSchedulers<S>,
    ) -> Self {
        let picture = group.picture;
        for zone in self.zones.iter().filter(|zone| zone.capacity > 0) {
            schedulers.keep(&zone.name, &zone.scheduler);
        }
        for (seat, _) in group.joined.iter().chain(group.changed) {
            schedulers.get(schedulers.zone_of(seat));
        }
        let named = schedulers.all();
        let former: Vec<u32> = self
            .zones
            .iter()
            .map(|zone| index_of(&named, &zone.name))
            .collect();
        let renumbered = |&zone: &u32| former.get(zone as usize).copied().unwrap_or(NO_ZONE);
        let mut by_slot: Vec<u32> = self.by_slot.iter().map(renumbered).collect();

        let mut changes: Vec<ZoneChange> = named.iter().map(|_| ZoneChange::default()).collect();
        let mut moved: Vec<usize> = Vec::new();
        for seat in group.left {
            if let Some(change) = changes.get_mut(zone_at(&by_slot, seat.slot()) as usize) {
                change.left.push(seat.clone());
            }
        }
        for (seat, spare) in group.joined {
            let zone = index_of(&named, schedulers.zone_of(seat));
            set_zone(&mut by_slot, seat, zone);
            if let Some(change) = changes.get_mut(zone as usize) {
                change.joined.push((seat.clone(), *spare));
            }
        }
        for (seat, spare) in group.changed {
            let before = zone_at(&by_slot, seat.slot());
            let zone = index_of(&named, schedulers.zone_of(seat));
            set_zone(&mut by_slot, seat, zone);
            if zone == before {
                if let Some(change) = changes.get_mut(zone as usize) {
                    change.changed.push((seat.clone(), *spare));
                }
                continue;
            }
            moved.push(seat.slot());
            if let Some(change) = changes.get_mut(before as usize) {
                change.left.push(seat.clone());
            }
            if let Some(change) = changes.get_mut(zone as usize) {
                change.moved_in.push((seat.clone(), *spare));
            }
        }
        let zones = Self::with(picture, named, by_slot);
        zones.notify(picture, &changes, &moved);
        zones
    }

    /// Notifies the schedulers. A member that has moved from zone to zone leaves the one
    /// before it joins the other.
    fn notify(&self, picture: &Picture, changes: &[ZoneChange], moved: &[usize]) {
        let none = (Vec::new(), Vec::new());
        // Kept until all have been notified.
        let without_moved = (!moved.is_empty()).then(|| {
            let zone = |slot: usize| (!moved.contains(&slot)).then(|| self.index_at(slot))?;
            picture.parts(self.zones.len(), zone)
        });
        for (at, (zone, change)) in self.zones.iter().zip(changes).enumerate() {
            let parts = without_moved.as_ref().map(|parts| &parts[at]);
            zone.scheduler.on_group_change(&GroupChange {
                picture: parts.unwrap_or(&zone.picture),
                left: &change.left,
                joined: &change.joined,
                changed: &change.changed,
            });
        }
        for (zone, change) in self.zones.iter().zip(changes).filter(|_| !moved.is_empty()) {
            zone.scheduler.on_group_change(&GroupChange {
                picture: &zone.picture,
                left: &none.0,
                joined: &change.moved_in,
                changed: &none.1,
            });
        }
    }

    fn with(picture: &Picture, named: Vec<(Arc<str>, Arc<S>)>, by_slot: Vec<u32>) -> Self {
        let zone = |slot| usize::try_from(zone_at(&by_slot, slot)).ok();
        let pictures = picture.parts(named.len(), zone);
        let zones = named.into_iter().zip(pictures);
        let zone = |((name, scheduler), picture): ((Arc<str>, Arc<S>), Picture)| {
            let units = picture
                .group()
                .map(|(seat, _)| picture.factors.weight(seat).units());
            let capacity = units.map(u64::from).sum();
            GroupZone {
                hash: hash_bytes(name.as_bytes()),
                name,
                scheduler,
                picture,
                capacity,
            }
        };
        Self {
            zones: zones.map(zone).collect(),
            by_slot,
        }
    }
}

impl<S> GroupZones<S> {
    pub(super) fn all(&self) -> &[GroupZone<S>] {
        &self.zones
    }

    /// Returns the index of a zone.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.zones
            .binary_search_by(|zone| (*zone.name).cmp(name))
            .ok()
    }

    /// Returns the zone of a member that is or was eligible.
    pub(super) fn zone_of(&self, member: MemberId) -> Option<&GroupZone<S>> {
        self.zones.get(self.index_at(member.slot())?)
    }

    fn index_at(&self, slot: usize) -> Option<usize> {
        let zone = zone_at(&self.by_slot, slot) as usize;
        (zone < self.zones.len()).then_some(zone)
    }
}

fn zone_at(by_slot: &[u32], slot: usize) -> u32 {
    by_slot.get(slot).copied().unwrap_or(NO_ZONE)
}

fn set_zone(by_slot: &mut Vec<u32>, seat: &Seat, zone: u32) {
    let slot = seat.slot();
    if by_slot.len() <= slot {
        by_slot.resize(slot + 1, NO_ZONE);
    }
    by_slot[slot] = zone;
}

/// Returns the index of a name in a sorted list.
fn index_of<S>(named: &[(Arc<str>, Arc<S>)], name: &str) -> u32 {
    let found = named.binary_search_by(|(other, _)| (**other).cmp(name));
    found
        .ok()
        .and_then(|at| u32::try_from(at).ok())
        .unwrap_or(NO_ZONE)
}
