//! The points of the ring of libmemcached and of other memcached clients with ketama.

use md5::{Digest, Md5};

use super::counts::MOST_POINTS;
use super::table::RingPoint;

/// The number of digests of a member whose weight is the average. A digest gives four
/// points.
const DIGESTS: u32 = 40;

/// The port of memcached, which is not part of the text that is hashed.
const DEFAULT_PORT: &str = ":11211";

/// Returns the points of all members: digest `n` of a member is the MD5 of `host:port-n`.
///
/// Source: `libmemcached/hosts.cc`, `MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED`, which computes with
/// `float`, as this does.
pub(super) fn points(names: &[&str], hundredths: &[u32]) -> Vec<RingPoint> {
    let mut points = Vec::new();
    for ((owner, name), count) in (0..).zip(names).zip(digests(hundredths)) {
        let name = name.strip_suffix(DEFAULT_PORT).unwrap_or(name);
        for number in 0..count {
            let digest: [u8; 16] = Md5::digest(format!("{name}-{number}")).into();
            points.extend(digest.chunks_exact(4).map(|bytes| {
                let position = bytes.iter().rev();
                let position = position.fold(0, |sum, &byte| sum << 8 | u64::from(byte));
                (position << 32, owner)
            }));
        }
    }
    points
}

/// Returns the number of digests of each member: those of the average, times the member's
/// share of the weight and the number of members, and at least one.
fn digests(hundredths: &[u32]) -> Vec<u32> {
    let members = hundredths.len();
    let limit = u32::try_from(MOST_POINTS / 4 / members.max(1) as u64).unwrap_or(u32::MAX);
    let each = DIGESTS.min(limit.max(1));
    let total: u64 = hundredths.iter().copied().map(u64::from).sum();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded as libmemcached does; positive, and at most a few million"
    )]
    let count = |&weight: &u32| {
        let share = weight as f32 / total as f32;
        let exact = share * (each * 4) as f32 / 4.0 * members as f32;
        let digests = (f64::from(exact) + 1e-10) as f32;
        (digests.floor() as u32).max(1)
    };
    hundredths.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::{digests, points};

    /// The members of libmemcached's tests.
    const WEIGHTS: [u32; 8] = [600, 300, 200, 350, 1_000, 800, 950, 100];

    #[test]
    fn weights_give_the_points_of_libmemcached() {
        let hundredths = WEIGHTS.map(|weight| weight * 100);
        let expected = [176, 88, 56, 104, 296, 236, 280, 28].map(|points| points / 4);
        assert_eq!(digests(&hundredths), expected);
        assert_eq!(digests(&[100; 5]), [40; 5]);
        assert_eq!(digests(&[1, 6_553_500]), [1, 79]);
    }

    /// `ketama_test_cases` of libmemcached: the position that follows a key, and its member.
    #[test]
    fn points_are_those_of_libmemcached() {
        let names: Vec<String> = (1..=8).map(|at| format!("10.0.1.{at}:11211")).collect();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let mut points = points(&names, &WEIGHTS.map(|weight| weight * 100));
        points.sort_unstable();
        for (hash, position, server) in [
            (443_691_461_u64, 445_379_617_u64, 7),
            (1_422_915_503, 1_428_303_028, 1),
            (1_473_165_754, 1_480_075_959, 2),
            (2_148_406_511, 2_168_579_133, 7),
            (2_882_686_667, 2_885_206_587, 5),
            (1_989_324_036, 1_994_028_240, 8),
            (2_117_036_136, 2_117_124_014, 3),
            (1_558_531_507, 1_559_308_507, 4),
            (3_972_869_246, 3_974_773_167, 6),
        ] {
            let at = points.partition_point(|point| point.0 < hash << 32);
            assert_eq!(points[at], (position << 32, server - 1));
        }
    }
}
