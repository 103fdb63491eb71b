//! Who may be elected now: slots of one [`Roster`], in the order that settles ties.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Roster, Seat, Walk};

/// One immutable state of affairs: what a request works on from its first look to
/// its lease.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Grows with every publication.
    pub(crate) generation: u64,
    pub(crate) roster: Arc<Roster>,
    /// The eligible members in tie order.
    group: Vec<u32>,
    /// From here on the group's members are spares, behind all others in ties.
    spares_from: usize,
    /// One bit a slot: is it in the group?
    in_group: Vec<u64>,
    /// How many members could serve, in whatever tier or role.
    pub(crate) usable: usize,
}

impl Picture {
    pub(crate) fn new(generation: u64, roster: Arc<Roster>, walk: Walk) -> Self {
        let highest = walk.group.iter().max().map_or(0, |&slot| slot as usize + 1);
        let mut in_group = vec![0_u64; highest.div_ceil(64)];
        for &slot in &walk.group {
            in_group[slot as usize / 64] |= 1 << (slot % 64);
        }
        Self {
            generation,
            roster,
            spares_from: walk.spares_from,
            in_group,
            usable: walk.usable,
            group: walk.group,
        }
    }

    pub(crate) fn group_len(&self) -> usize {
        self.group.len()
    }

    pub(crate) fn is_in_group(&self, slot: usize) -> bool {
        self.in_group
            .get(slot / 64)
            .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// The eligible members in tie order, each with whether it stands in as a spare.
    pub(crate) fn group(&self) -> impl Iterator<Item = (&Arc<Seat>, bool)> {
        (0..self.group.len()).filter_map(|at| self.group_at(at))
    }

    pub(crate) fn group_at(&self, at: usize) -> Option<(&Arc<Seat>, bool)> {
        let &slot = self.group.get(at)?;
        let seat = self.roster.seat(slot as usize)?;
        Some((seat, at >= self.spares_from))
    }
}

/// How one picture differs from another, as a scheduler is told.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) left: Vec<Arc<Seat>>,
    pub(crate) joined: Vec<(Arc<Seat>, bool)>,
    pub(crate) changed: Vec<(Arc<Seat>, bool)>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.joined.is_empty() && self.changed.is_empty()
    }

    /// Lists all who did not join just now as changed.
    pub(crate) fn everything_changed(&mut self, picture: &Picture) {
        let joined = |seat: &Seat| self.joined.iter().any(|(new, _)| new.slot() == seat.slot());
        self.changed = picture
            .group()
            .filter(|(seat, _)| !joined(seat))
            .map(|(seat, spare)| (seat.clone(), spare))
            .collect();
    }
}

impl Picture {
    /// The difference to having nobody.
    pub(crate) fn since_nothing(&self) -> Change {
        Change {
            joined: self
                .group()
                .map(|(seat, spare)| (seat.clone(), spare))
                .collect(),
            ..Change::default()
        }
    }

    /// The difference to an older picture.
    pub(crate) fn since(&self, old: &Self) -> Change {
        let mut change = Change::default();
        for (seat, _) in old.group() {
            if self.member(seat).is_none() {
                change.left.push(seat.clone());
            }
        }
        let old_spares = old.spares();
        for (seat, spare) in self.group() {
            match old.member(seat) {
                None => change.joined.push((seat.clone(), spare)),
                Some(was) => {
                    let was_spare = old_spares.contains(&seat.slot());
                    if !Arc::ptr_eq(was, seat) || was_spare != spare {
                        change.changed.push((seat.clone(), spare));
                    }
                }
            }
        }
        change
    }

    /// The seat of the same member in this picture's group.
    fn member(&self, of: &Seat) -> Option<&Arc<Seat>> {
        if !self.is_in_group(of.slot()) {
            return None;
        }
        let seat = self.roster.seat(of.slot())?;
        (seat.state.id() == of.state.id()).then_some(seat)
    }

    fn spares(&self) -> HashSet<usize> {
        self.group()
            .skip(self.spares_from)
            .map(|(seat, _)| seat.slot())
            .collect()
    }
}
