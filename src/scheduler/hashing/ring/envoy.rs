//! The points of Envoy's ring.

use super::table::RingPoint;
use crate::stable_hash::xxhash64;

/// Returns the points of all members: point `n` of a member is the xxHash64 of `name_n`.
///
/// The ring has between `least` and `greatest` points: so many that the lightest member has
/// a whole number of them. The members have their shares of the points in their order, and
/// fractions are carried over to the next one.
///
/// Source: `ring_hash_lb.cc` of Envoy. The arithmetic is that of its `double`.
pub(super) fn points(
    least: u32,
    greatest: u32,
    names: &[&str],
    hundredths: &[u32],
) -> Vec<RingPoint> {
    let total: u64 = hundredths.iter().copied().map(u64::from).sum();
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let shares: Vec<f64> = hundredths
        .iter()
        .map(|&weight| f64::from(weight) / total as f64)
        .collect();
    let lightest = shares.iter().copied().fold(1.0, f64::min);
    let scale = (lightest * f64::from(least)).ceil() / lightest;
    let scale = scale.min(f64::from(greatest));
    let (mut placed, mut target) = (0.0, 0.0);
    let mut points = Vec::new();
    let mut text = String::new();
    for ((owner, name), share) in (0..).zip(names).zip(shares) {
        target += scale * share;
        let mut number = 0_u32;
        while placed < target {
            text.clear();
            text.push_str(name);
            text.push('_');
            text.push_str(&number.to_string());
            points.push((xxhash64(text.as_bytes()), owner));
            number += 1;
            placed += 1.0;
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::points;

    /// The ring of Envoy's test `RingHashLoadBalancerTest.Basic`.
    #[test]
    fn points_are_those_of_envoy() {
        let names = ["90", "91", "92", "93", "94", "95"].map(|port| format!("127.0.0.1:{port}"));
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let mut points = points(12, 8_388_608, &names, &[100; 6]);
        points.sort_unstable();
        let expected = [
            (833437586790550860, 4),
            (928266305478181108, 2),
            (1033482794131418490, 0),
            (3551244743356806947, 5),
            (3851675632748031481, 3),
            (5583722120771150861, 1),
            (6311230543546372928, 1),
            (7700377290971790572, 3),
            (13144177310400110813, 5),
            (13444792449719432967, 2),
            (15516499411664133160, 4),
            (16117243373044804889, 0),
        ];
        assert_eq!(points, expected);
    }

    #[test]
    fn a_ring_has_at_least_the_least_and_at_most_the_greatest_number_of_points() {
        let count = |least, greatest, weights: &[u32]| {
            let names: Vec<String> = (0..weights.len()).map(|at| format!("m{at}")).collect();
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            let points = points(least, greatest, &names, weights);
            let of = |owner| points.iter().filter(|point| point.1 == owner).count();
            (points.len(), [of(0), of(1)])
        };
        assert_eq!(count(1_024, 8_388_608, &[100; 2]), (1_024, [512, 512]));
        assert_eq!(count(1_024, 8_388_608, &[100, 200]), (1_026, [342, 684]));
        assert_eq!(count(3, 3, &[100, 100]), (3, [2, 1]));
        assert_eq!(count(1, 1_000, &[1, 6_553_500]), (1_000, [1, 999]));
        assert_eq!(points(1_024, 2_048, &[], &[]), []);
    }
}
