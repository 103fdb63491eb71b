//! Which members may be picked now: slots of one [`Roster`], in the order that settles
//! ties.

use std::collections::HashSet;
use std::iter;
use std::sync::Arc;

use super::{Derived, EligibilityWalk, Factors, Roster, Seat};
use crate::member::MemberState;

/// Up to this number of members, a picture holds their states in a row. Fewer under the model
/// checker, so that three members are many.
pub(crate) const FEW_MEMBERS: usize = if cfg!(equipoise_loom) { 2 } else { 16 };

/// One immutable state: what a request uses from its first look to its lease.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Incremented with every publication.
    pub(crate) generation: u64,
    pub(crate) roster: Arc<Roster>,
    /// The eligible members in tie order.
    group: Vec<u32>,
    /// The states of the eligible members in tie order; empty if there are more than
    /// [`FEW_MEMBERS`].
    pub(crate) few: Arc<[Arc<MemberState>]>,
    /// From here on the group's members are spares, behind all others in ties.
    spares_from: usize,
    /// The tier of all members of the group; `None` if they are of several tiers.
    pub(crate) tier: Option<u16>,
    /// One bit for each slot: whether it is in the group.
    in_group: Vec<u64>,
    /// How many members could serve, in whatever tier or role.
    pub(crate) usable: usize,
    /// The share of each member's weight that counts, eligible or not.
    pub(crate) factors: Factors,
    /// The greatest share in the group, in sixteenths.
    pub(crate) greatest_factor: u32,
    /// What schedulers have made of this picture.
    pub(crate) derived: Derived,
}

impl Picture {
    pub(crate) fn new(
        generation: u64,
        roster: Arc<Roster>,
        walk: EligibilityWalk,
        factors: Factors,
    ) -> Self {
        let (group, spares_from) = (walk.group, walk.spares_from);
        Self::with_group(
            generation,
            roster,
            (group, spares_from),
            walk.usable,
            factors,
        )
    }

    /// Creates a picture of a group with the index at which its spares begin.
    fn with_group(
        generation: u64,
        roster: Arc<Roster>,
        (group, spares_from): (Vec<u32>, usize),
        usable: usize,
        factors: Factors,
    ) -> Self {
        let highest = group.iter().max().map_or(0, |&slot| slot as usize + 1);
        let mut in_group = vec![0_u64; highest.div_ceil(64)];
        for &slot in &group {
            in_group[slot as usize / 64] |= 1 << (slot % 64);
        }
        let is_few = group.len() <= FEW_MEMBERS;
        let few = is_few.then(|| group.iter()).into_iter().flatten();
        let few = few.filter_map(|&slot| Some(roster.seat(slot as usize)?.state.clone()));
        let greatest_factor = factors.greatest(&group);
        let tier = |slot: &u32| Some(roster.seat(*slot as usize)?.spec.tier());
        let (first, last) = (group.first().and_then(tier), group.last().and_then(tier));
        Self {
            tier: first.filter(|_| first == last),
            greatest_factor,
            generation,
            few: few.collect(),
            roster,
            spares_from,
            in_group,
            usable,
            factors,
            group,
            derived: Derived::default(),
        }
    }

    /// Returns pictures of `count` parts of the group; `part_of` returns the part of a
    /// slot, or `None` if the slot is in no part.
    pub(crate) fn parts(
        &self,
        count: usize,
        part_of: impl Fn(usize) -> Option<usize>,
    ) -> Vec<Self> {
        let mut groups = vec![(Vec::new(), 0); count];
        for (at, &slot) in self.group.iter().enumerate() {
            let part = part_of(slot as usize).and_then(|part| groups.get_mut(part));
            if let Some((group, spares_from)) = part {
                group.push(slot);
                *spares_from += usize::from(at < self.spares_from);
            }
        }
        let part = |(group, spares_from): (Vec<u32>, usize)| {
            let (roster, factors) = (self.roster.clone(), self.factors.clone());
            let usable = group.len();
            Self::with_group(
                self.generation,
                roster,
                (group, spares_from),
                usable,
                factors,
            )
        };
        groups.into_iter().map(part).collect()
    }

    pub(crate) fn group_len(&self) -> usize {
        self.group.len()
    }

    #[inline]
    pub(crate) fn is_in_group(&self, slot: usize) -> bool {
        self.in_group
            .get(slot / 64)
            .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Returns whether a member of the group is a spare that stands in.
    #[inline]
    pub(crate) fn stands_in(&self, seat: &Seat) -> bool {
        let spares = &self.group[self.spares_from.min(self.group.len())..];
        !spares.is_empty()
            && spares
                .binary_search_by_key(&Some(seat.order), |&slot| {
                    Some(self.roster.seat(slot as usize)?.order)
                })
                .is_ok()
    }

    /// Returns the eligible members in tie order, each with whether it stands in as a
    /// spare.
    pub(crate) fn group(&self) -> impl Iterator<Item = (&Arc<Seat>, bool)> {
        (0..self.group.len()).filter_map(|at| self.group_at(at))
    }

    pub(crate) fn group_at(&self, at: usize) -> Option<(&Arc<Seat>, bool)> {
        let &slot = self.group.get(at)?;
        let seat = self.roster.seat(slot as usize)?;
        Some((seat, at >= self.spares_from))
    }
}

/// The difference between two pictures, as a scheduler is notified of it.
#[derive(Debug, Default)]
pub(crate) struct PictureDiff {
    pub(crate) left: Vec<Arc<Seat>>,
    pub(crate) joined: Vec<(Arc<Seat>, bool)>,
    pub(crate) changed: Vec<(Arc<Seat>, bool)>,
}

impl PictureDiff {
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.joined.is_empty() && self.changed.is_empty()
    }

    /// Lists all members that have not just joined as changed.
    pub(crate) fn everything_changed(&mut self, picture: &Picture) {
        let joined: HashSet<usize> = self.joined.iter().map(|(new, _)| new.slot()).collect();
        self.changed = picture
            .group()
            .filter(|(seat, _)| !joined.contains(&seat.slot()))
            .map(|(seat, spare)| (seat.clone(), spare))
            .collect();
    }
}

impl Picture {
    /// Returns the difference to a picture without members.
    pub(crate) fn since_nothing(&self) -> PictureDiff {
        PictureDiff {
            joined: self
                .group()
                .map(|(seat, spare)| (seat.clone(), spare))
                .collect(),
            ..PictureDiff::default()
        }
    }

    /// Returns the difference to an older picture, where `touched` contains the slots whose
    /// seats have changed.
    pub(crate) fn since(&self, old: &Self, touched: &[usize]) -> PictureDiff {
        let mut change = PictureDiff::default();
        for word in 0..self.in_group.len().max(old.in_group.len()) {
            let (now, then) = (self.word(word), old.word(word));
            for slot in bits(word, then & !now) {
                change.left.extend(old.roster.seat(slot).cloned());
            }
            for slot in bits(word, now & !then) {
                change.joined.extend(self.member(slot));
            }
        }
        let mut suspects: Vec<usize> = touched.to_vec();
        suspects.extend(self.spares().chain(old.spares()));
        suspects.extend(self.reweighed(old));
        suspects.sort_unstable();
        suspects.dedup();
        let (spares, old_spares): (HashSet<_>, HashSet<_>) =
            (self.spares().collect(), old.spares().collect());
        for slot in suspects {
            if !self.is_in_group(slot) || !old.is_in_group(slot) {
                continue;
            }
            let (Some(now), Some(then)) = (self.roster.seat(slot), old.roster.seat(slot)) else {
                continue;
            };
            let spare = spares.contains(&slot);
            if now.state.id() != then.state.id() {
                change.left.push(then.clone());
                change.joined.push((now.clone(), spare));
            } else if (&now.spec, now.order) != (&then.spec, then.order)
                || spare != old_spares.contains(&slot)
                || self.factors.sixteenths(slot) != old.factors.sixteenths(slot)
            {
                change.changed.push((now.clone(), spare));
            }
        }
        // In tie order, as they would have joined one by one.
        change.joined.sort_by_key(|(seat, _)| seat.order);
        change
    }

    /// Returns the slots of the group whose factors have changed.
    fn reweighed<'p>(&'p self, old: &'p Self) -> impl Iterator<Item = usize> + 'p {
        let any = !self.factors.is_empty() || !old.factors.is_empty();
        let group = any.then(|| self.group.iter());
        let slots = group.into_iter().flatten().map(|&slot| slot as usize);
        slots.filter(|&slot| self.factors.sixteenths(slot) != old.factors.sixteenths(slot))
    }

    fn member(&self, slot: usize) -> Option<(Arc<Seat>, bool)> {
        let seat = self.roster.seat(slot)?.clone();
        let spare = self.stands_in(&seat);
        Some((seat, spare))
    }

    fn word(&self, at: usize) -> u64 {
        self.in_group.get(at).copied().unwrap_or(0)
    }

    /// Returns the slots of the members that stand in as spares.
    fn spares(&self) -> impl Iterator<Item = usize> {
        self.group[self.spares_from.min(self.group.len())..]
            .iter()
            .map(|&slot| slot as usize)
    }
}

/// Returns the slots of a word's bits.
fn bits(word: usize, mut set: u64) -> impl Iterator<Item = usize> {
    iter::from_fn(move || {
        (set != 0).then(|| {
            let bit = set.trailing_zeros() as usize;
            set &= set - 1;
            word * 64 + bit
        })
    })
}
