//! The points of a ring in order, and the walk from a key: [`RingTable`].
//!
//! Not here: where the points of a member are (a file for each construction).

use crate::member::MemberId;
use crate::scheduler::hashing::by_score::MemberHashes;
use crate::scheduler::hashing::hashed_member::HashedMember;

/// The greatest number of points that a walk visits.
const STEPS: usize = 1_024;

/// A point: its position, and the index of its member in the list that the ring was made
/// from. A position of 32 bits is in the upper half.
pub(super) type RingPoint = (u64, u32);

/// Which points are near a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RingDirection {
    /// The points at or after the key, in order.
    Ahead,
    /// The points on both sides, by distance.
    Both,
}

/// A point in 12 bytes, so that a pick reads one line of memory for its position and owner.
#[derive(Clone, Copy, Debug)]
struct PackedPoint {
    upper: u32,
    lower: u32,
    /// The slot of its member in the balancer.
    owner: u32,
}

impl PackedPoint {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves of the position, and slots of 26 bits"
    )]
    fn new(position: u64, owner: MemberId) -> Self {
        Self {
            upper: (position >> 32) as u32,
            lower: position as u32,
            owner: owner.slot() as u32,
        }
    }

    #[inline]
    fn position(self) -> u64 {
        u64::from(self.upper) << 32 | u64::from(self.lower)
    }
}

/// A ring: the points of all members in order.
#[derive(Debug)]
pub(super) struct RingTable {
    points: Box<[PackedPoint]>,
    /// The index of the first point in each of equal parts of the ring, and the number of
    /// points.
    parts: Box<[u32]>,
    /// A position without its lower bits of this number is the index of its part.
    part_shift: u32,
    /// Keys are moved up by this number of bits: 32 if positions have 32 bits.
    key_shift: u32,
    direction: RingDirection,
    members: MemberHashes,
    /// The least and the greatest number of points of a member.
    extremes: (u32, u32),
}

impl RingTable {
    /// Creates a ring. Of points at one position, that of the member with the least index
    /// remains; on a ring with both directions all remain, in the order of the members.
    pub(super) fn new(
        mut points: Vec<RingPoint>,
        members: &[HashedMember],
        key_shift: u32,
        direction: RingDirection,
    ) -> Self {
        points.sort_unstable();
        if direction == RingDirection::Ahead {
            points.dedup_by_key(|point| point.0);
        }
        // Four to eight points for each part, which are close together in memory.
        let bits = (usize::BITS - points.len().leading_zeros()).clamp(4, 32) - 3;
        let part_shift = u64::BITS - bits;
        let mut parts = vec![0_u32; (1 << bits) + 1];
        let mut counts = vec![0_u32; members.len()];
        for &(position, owner) in &points {
            parts[part_of(position, part_shift) + 1] += 1;
            counts[owner as usize] += 1;
        }
        let mut sum = 0;
        for part in &mut parts {
            sum += *part;
            *part = sum;
        }
        let least = counts.iter().copied().min().unwrap_or(0);
        let most = counts.iter().copied().max().unwrap_or(0);
        Self {
            points: points
                .into_iter()
                .map(|(position, owner)| PackedPoint::new(position, members[owner as usize].id))
                .collect(),
            parts: parts.into(),
            part_shift,
            key_shift,
            direction,
            members: MemberHashes::of(members.iter().copied()),
            extremes: (least, most),
        }
    }

    /// Returns the number of points.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// Returns the least and the greatest number of points of a member.
    pub(super) fn extremes(&self) -> (u32, u32) {
        self.extremes
    }

    /// Returns the hashes of the members' names.
    pub(super) fn hashes(&self) -> &MemberHashes {
        &self.members
    }

    /// Returns, for each slot, the part of the ring before its member's points, of 2^64.
    #[cfg(test)]
    pub(super) fn parts_ahead(&self) -> Vec<u128> {
        let mut sums = vec![0; self.members.slots()];
        let mut before = self.points.last().map_or(0, |last| last.position());
        for point in &self.points {
            let part = point.position().wrapping_sub(before);
            sums[point.owner as usize] += u128::from(part);
            before = point.position();
        }
        sums
    }

    /// Returns the index of the first point at or after `position`, around the ring.
    #[inline]
    fn first(&self, position: u64) -> usize {
        let part = part_of(position, self.part_shift);
        let (from, to) = (self.parts[part] as usize, self.parts[part + 1] as usize);
        let points = &self.points[from..to];
        let within = points.partition_point(|point| point.position() < position);
        let index = from + within;
        if index < self.len() { index } else { 0 }
    }

    /// Iterates over the members of the points near a key, nearest first. A member occurs
    /// once for each of its points. Ends after 1 024 points.
    #[inline]
    pub(super) fn walk(&self, key: u64) -> impl Iterator<Item = HashedMember> {
        self.points(key)
            .filter_map(|index| self.members.at(self.points[index].owner as usize))
    }

    /// Iterates over the indexes of the points near a key, as [`walk`](Self::walk) does.
    #[inline]
    pub(super) fn points(&self, key: u64) -> RingWalk<'_> {
        let position = key << self.key_shift;
        let ahead = self.first(position);
        RingWalk {
            table: self,
            position,
            ahead,
            behind: ahead,
            left: self.len().min(STEPS),
        }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most 31 bits")]
fn part_of(position: u64, shift: u32) -> usize {
    (position >> shift) as usize
}

/// A walk along a ring, away from a key.
#[derive(Debug)]
pub(super) struct RingWalk<'t> {
    table: &'t RingTable,
    position: u64,
    /// The next point ahead.
    ahead: usize,
    /// The point after the next one behind.
    behind: usize,
    left: usize,
}

impl RingWalk<'_> {
    /// Returns the next point behind, if it is as near as the next one ahead or nearer.
    fn nearer_behind(&self) -> Option<usize> {
        let points = &self.table.points;
        let behind = self.behind.checked_sub(1).unwrap_or(points.len() - 1);
        let before = self.position.wrapping_sub(points[behind].position());
        let after = points[self.ahead].position().wrapping_sub(self.position);
        (before <= after).then_some(behind)
    }
}

impl Iterator for RingWalk<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        if self.table.direction == RingDirection::Both {
            if let Some(behind) = self.nearer_behind() {
                self.behind = behind;
                return Some(behind);
            }
        }
        let index = self.ahead;
        self.ahead = if index + 1 < self.table.len() {
            index + 1
        } else {
            0
        };
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{RingDirection, RingPoint, RingTable};
    use crate::member::MemberId;
    use crate::scheduler::hashing::hashed_member::HashedMember;
    use proptest::prelude::*;

    fn table(points: &[RingPoint], direction: RingDirection) -> RingTable {
        let members = [0, 1, 2, 3, 4, 5, 6, 7];
        let members = members.map(|slot| HashedMember::new(MemberId::new(slot), "m"));
        RingTable::new(points.to_vec(), &members, 0, direction)
    }

    /// The owners of a walk, by a look at all points in each step.
    fn walked_plainly(points: &[RingPoint], key: u64, direction: RingDirection) -> Vec<usize> {
        let mut left: BTreeSet<RingPoint> = points.iter().copied().collect();
        if direction == RingDirection::Ahead {
            let is_first = |&(position, owner): &RingPoint| {
                let others = points.iter().filter(|other| other.0 == position);
                others.clone().all(|other| other.1 >= owner)
            };
            left.retain(is_first);
        }
        let mut owners = Vec::new();
        while !left.is_empty() {
            // Of points at one position, the first one ahead is that of the first member, and
            // the first one behind that of the last.
            let ahead = |(position, owner): RingPoint| (position.wrapping_sub(key), 1, owner);
            // A point at the key is ahead.
            let behind = |(position, owner): RingPoint| match key.wrapping_sub(position) {
                0 => (u64::MAX, 0, !owner),
                distance => (distance, 0, !owner),
            };
            let distance = |point: RingPoint| match direction {
                RingDirection::Ahead => ahead(point),
                RingDirection::Both => ahead(point).min(behind(point)),
            };
            let nearest = left.iter().copied().min_by_key(|&one| distance(one));
            owners.extend(nearest.map(|point| {
                left.remove(&point);
                point.1 as usize
            }));
        }
        owners
    }

    fn position() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            0_u64..40,
            (0_u64..40).prop_map(|from_end| u64::MAX - from_end),
        ]
    }

    proptest! {
        #[test]
        fn a_walk_visits_the_points_by_distance(
            points in prop::collection::vec((position(), 0_u32..8), 0..60),
            key in position(),
            both in any::<bool>(),
        ) {
            let points: BTreeSet<RingPoint> = points.into_iter().collect();
            let points: Vec<RingPoint> = points.into_iter().collect();
            let direction = if both { RingDirection::Both } else { RingDirection::Ahead };
            let table = table(&points, direction);
            let owners: Vec<usize> = table.walk(key).map(|member| member.id.slot()).collect();
            prop_assert_eq!(owners, walked_plainly(&points, key, direction));
        }
    }

    #[test]
    fn a_ring_without_points_has_no_walk() {
        for direction in [RingDirection::Ahead, RingDirection::Both] {
            let table = table(&[], direction);
            assert_eq!(table.walk(7).next(), None);
            assert_eq!((table.len(), table.extremes()), (0, (0, 0)));
        }
    }
}
