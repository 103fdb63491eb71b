//! The points of HAProxy's ring (`hash-type consistent`).
//!
//! Found out from a running HAProxy 2.6; a test compares picks with one.

use std::collections::BTreeSet;

use super::counts::point_counts;
use super::table::RingPoint;
use crate::stable_hash::avalanche;

/// The number of points of a member of weight 1.
const EACH: u32 = 16;

/// The greatest weight of HAProxy, in hundredths.
const GREATEST: u32 = 25_600;

/// The numbers of points are this far apart from one id to the next.
const STRIDE: u32 = 4_096;

/// Returns the points of all members: point `n` of a member is the avalanche of `4096 · id +
/// n`.
pub(super) fn points(ids: &[u32], hundredths: &[u32]) -> Vec<RingPoint> {
    let weights: Vec<u32> = hundredths.iter().map(|&one| one.min(GREATEST)).collect();
    let counts = point_counts(EACH, &weights);
    let mut points = Vec::with_capacity(counts.iter().map(|&count| count as usize).sum());
    for ((owner, id), count) in (0..).zip(ids).zip(counts) {
        let first = id.wrapping_mul(STRIDE);
        points.extend((0..count).map(|number| {
            let hash = avalanche(first.wrapping_add(number));
            (u64::from(hash) << 32, owner)
        }));
    }
    points
}

/// Returns the id of each member: its own, or else the first free one from its place in the
/// configuration on, counted from 1. Of members with the same id, the first one keeps it.
pub(super) fn ids(own: impl Iterator<Item = Option<u32>>) -> Vec<u32> {
    let mut taken = BTreeSet::new();
    let own: Vec<Option<u32>> = own.map(|id| id.filter(|&id| taken.insert(id))).collect();
    let mut next = 1_u32;
    let mut ids = Vec::with_capacity(own.len());
    for id in own {
        let id = id.unwrap_or_else(|| {
            while !taken.insert(next) {
                next = next.wrapping_add(1);
            }
            next
        });
        ids.push(id);
        next = next.wrapping_add(1);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::ids;

    /// As `show servers state` of HAProxy 2.6.12 has it for `server b … id 7` and
    /// `server d … id 2`.
    #[test]
    fn members_without_an_id_are_numbered_by_place() {
        let own = [None, Some(7), None, Some(2), None];
        assert_eq!(ids(own.into_iter()), [1, 7, 3, 2, 5]);
        assert_eq!(ids([None; 3].into_iter()), [1, 2, 3]);
        assert_eq!(ids([None, Some(1)].into_iter()), [2, 1]);
    }

    #[test]
    fn the_first_of_two_members_with_one_id_keeps_it() {
        assert_eq!(ids([Some(4), Some(4), None].into_iter()), [4, 2, 3]);
    }
}
