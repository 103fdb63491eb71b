//! The points of this crate's own ring.

use super::counts::point_counts;
use super::table::RingPoint;
use crate::scheduler::hashing::hash_of;
use crate::stable_hash::hash_bytes;

/// Returns the points of all members: SipHash-2-4 of the name's hash and of the point's
/// number, both in little-endian order.
pub(super) fn points(each: u32, names: &[&str], hundredths: &[u32]) -> Vec<RingPoint> {
    let counts = point_counts(each, hundredths);
    let mut points = Vec::with_capacity(counts.iter().map(|&count| count as usize).sum());
    for ((owner, name), count) in (0..).zip(names).zip(counts) {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&hash_of(name).to_le_bytes());
        points.extend((0..count).map(|number| {
            bytes[16..].copy_from_slice(&number.to_le_bytes());
            (hash_bytes(&bytes), owner)
        }));
    }
    points
}
