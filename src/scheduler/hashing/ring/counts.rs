//! How many points each member of a ring has, by weight.

/// A ring has at most this number of points, unless it has more members: about 100 MB.
pub(super) const MOST_POINTS: u64 = 1 << 23;

/// Returns the number of points of each member: `each` for a weight of 1, rounded to the
/// nearest number, and at least one. If that is too many in total, all members have half as
/// many, a quarter, and so on.
pub(super) fn point_counts(each: u32, hundredths: &[u32]) -> Vec<u32> {
    let count = |weight: u32, halvings: u32| {
        let points = (u64::from(each) * u64::from(weight) + 50) / 100;
        (points >> halvings).max(1)
    };
    let limit = MOST_POINTS.max(hundredths.len() as u64);
    let fits = |&halvings: &u32| {
        let counts = hundredths.iter().map(|&weight| count(weight, halvings));
        counts.sum::<u64>() <= limit
    };
    let halvings = (0..u64::BITS).find(fits).unwrap_or(u64::BITS - 1);
    let counts = hundredths.iter().map(|&weight| count(weight, halvings));
    let fitting = counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    fitting.collect()
}

#[cfg(test)]
mod tests {
    use super::{MOST_POINTS, point_counts};

    #[test]
    fn points_are_in_proportion_to_weight_and_at_least_one() {
        assert_eq!(point_counts(160, &[100, 300, 150, 1]), [160, 480, 240, 2]);
        assert_eq!(point_counts(1, &[1, 149, 150, 200]), [1, 1, 2, 2]);
        assert!(point_counts(160, &[]).is_empty());
    }

    #[test]
    fn too_many_points_are_halved_for_all_members() {
        let counts = point_counts(160, &[6_553_500, 6_553_500, 100]);
        assert_eq!(counts, [2_621_400, 2_621_400, 40]);
        let many = point_counts(160, &vec![100; 100_000]);
        assert!(many.iter().all(|&count| count == 80));
        assert!(many.len() as u64 * 80 <= MOST_POINTS);
    }
}
