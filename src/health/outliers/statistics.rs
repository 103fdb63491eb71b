//! Finds the outliers of an interval, as pure functions of the counts.
//!
//! Not here: counting (`tally.rs`), and whether an outlier is ejected
//! (`ledger.rs`).

use super::signals::{FailurePercentage, Signal, SlowMembers, SuccessRate};
use super::tally::Volume;

/// An outlier: its index in the list, and the signal.
pub(super) type Outlier = (usize, Signal);

/// Returns members whose success rate is less than mean − factor × standard deviation; the
/// worst first.
pub(super) fn by_success_rate(volumes: &[Volume], with: SuccessRate) -> Vec<Outlier> {
    let rated = enough(volumes, with.min_requests);
    if rated.is_empty() || rated.len() < with.min_members as usize {
        return Vec::new();
    }
    let rate = |volume: Volume| 1.0 - f64::from(volume.failed) / f64::from(volume.total);
    let count = f64::from(u32::try_from(rated.len()).unwrap_or(u32::MAX));
    let mean = rated.iter().map(|&(_, it)| rate(it)).sum::<f64>() / count;
    let squares = rated.iter().map(|&(_, it)| (rate(it) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    // Rounding must not make equal rates differ.
    let threshold = mean - deviation * f64::from(with.factor) / 1_000.0 - 1e-9;
    let mut outliers = rated;
    outliers.retain(|&(_, it)| rate(it) < threshold);
    outliers.sort_by(|&(_, one), &(_, other)| rate(one).total_cmp(&rate(other)));
    let signal = |Volume { total, failed }| Signal::Rate { failed, total };
    outliers
        .into_iter()
        .map(|(n, it)| (n, signal(it)))
        .collect()
}

/// Returns members with too large a percentage of failed requests; the worst first.
pub(super) fn by_failures(volumes: &[Volume], with: FailurePercentage) -> Vec<Outlier> {
    let rated = enough(volumes, with.min_requests);
    if rated.len() < with.min_members as usize {
        return Vec::new();
    }
    let hundredths = |it: Volume| u64::from(it.failed) * 100 / u64::from(it.total).max(1);
    let mut outliers = rated;
    outliers.retain(|&(_, it)| hundredths(it) >= u64::from(with.percent));
    outliers.sort_by_key(|&(_, it)| std::cmp::Reverse(hundredths(it)));
    let signal = |Volume { total, failed }| Signal::Percentage { failed, total };
    outliers
        .into_iter()
        .map(|(n, it)| (n, signal(it)))
        .collect()
}

/// Returns members whose median is too large, the worst first, and the smallest median that
/// is too large, in microseconds. `medians` has the number of times and the median of each
/// member.
pub(super) fn by_time(
    medians: &[(u64, Option<u64>)],
    with: SlowMembers,
) -> (Vec<Outlier>, Option<u64>) {
    let rated = medians.iter().enumerate().filter_map(|(number, &it)| {
        let (count, median) = it;
        (count >= u64::from(with.min_requests)).then_some((number, median?))
    });
    let mut rated: Vec<_> = rated.collect();
    if rated.is_empty() || rated.len() < with.min_members as usize {
        return (Vec::new(), None);
    }
    rated.sort_by_key(|&(_, median)| median);
    let (_, group) = rated[(rated.len() - 1) / 2];
    let threshold = group
        .saturating_mul(with.multiple.into())
        .max(with.min_micros);
    let slow = rated
        .into_iter()
        .rev()
        .take_while(|&(_, it)| it >= threshold);
    let signal = |median| Signal::Slow { median, group };
    let outliers = slow.map(|(number, median)| (number, signal(median)));
    (outliers.collect(), Some(threshold))
}

fn enough(volumes: &[Volume], min_requests: u32) -> Vec<(usize, Volume)> {
    let all = volumes.iter().copied().enumerate();
    all.filter(|&(_, it)| it.total >= min_requests.max(1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{by_failures, by_success_rate, by_time};
    use crate::health::outliers::signals::{FailurePercentage, SlowMembers, SuccessRate};
    use crate::health::outliers::tally::Volume;
    use proptest::prelude::{any, prop, prop_assert, proptest};

    fn volumes(failed: &[u32]) -> Vec<Volume> {
        let of = |&failed| Volume { total: 100, failed };
        failed.iter().map(of).collect()
    }

    fn numbers(outliers: Vec<super::Outlier>) -> Vec<usize> {
        outliers.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn a_success_rate_far_below_the_mean_stands_out() {
        let rate = SuccessRate::new();
        let table: [(&[u32], &[usize]); 8] = [
            (&[0, 0, 100, 0, 0], &[2]),
            (&[0, 0, 0, 0], &[]),
            (&[100, 0, 0, 0], &[]),
            (&[5, 5, 5, 5, 5], &[]),
            (&[7, 7, 7, 7, 7, 7, 7, 7, 7, 7], &[]),
            (&[100, 100, 100, 100, 100], &[]),
            (&[0, 1, 2, 3, 0, 1, 2, 3, 0, 30], &[9]),
            (
                &[0, 0, 0, 0, 0, 0, 0, 0, 90, 95, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                &[9, 8],
            ),
        ];
        for (failed, found) in table {
            assert_eq!(
                numbers(by_success_rate(&volumes(failed), rate)),
                found,
                "{failed:?}"
            );
        }
        // A member with too few requests is neither compared nor part of the mean.
        let mut few = volumes(&[0, 0, 0, 0, 0, 100]);
        few[5].total = 99;
        few[5].failed = 99;
        assert!(by_success_rate(&few, rate).is_empty());
    }

    #[test]
    fn a_percentage_of_failures_stands_out_by_itself() {
        let with = FailurePercentage::new();
        assert_eq!(
            numbers(by_failures(&volumes(&[85, 84, 0, 99, 0]), with)),
            [3, 0]
        );
        assert!(by_failures(&volumes(&[100, 100, 100, 100]), with).is_empty());
        let all = by_failures(&volumes(&[100; 5]), with);
        assert_eq!(all.len(), 5, "it is no comparison");
    }

    #[test]
    fn a_median_of_several_times_the_groups_stands_out() {
        let with = SlowMembers::new();
        let of = |medians: &[u64]| -> Vec<_> {
            medians.iter().map(|&median| (50, Some(median))).collect()
        };
        let table: [(&[u64], &[usize]); 6] = [
            (&[20_000, 21_000, 200_000, 19_000], &[2]),
            (&[20_000, 60_000, 61_000, 19_000, 20_000], &[2, 1]),
            (&[200_000, 200_000, 200_000], &[]),
            (&[100, 100, 9_999], &[]),
            (&[100, 100, 10_000], &[2]),
            (&[20_000, 200_000], &[]),
        ];
        for (medians, found) in table {
            assert_eq!(numbers(by_time(&of(medians), with).0), found, "{medians:?}");
        }
        assert_eq!(by_time(&of(&[20_000; 3]), with).1, Some(60_000));
        let few = [
            (50, Some(20_000)),
            (50, Some(20_000)),
            (50, Some(20_000)),
            (19, Some(900_000)),
        ];
        assert!(by_time(&few, with).0.is_empty());
        let pair = with.with_min_members(2);
        assert_eq!(numbers(by_time(&of(&[20_000, 200_000]), pair).0), [1]);
    }

    proptest! {
        #[test]
        fn fewer_than_half_are_slow_and_no_more_than_a_quarter_are_far_below_the_mean(
            members in prop::collection::vec((any::<u64>(), 1_u32..1_000, 0_u32..1_000), 0..40),
        ) {
            let medians: Vec<_> = members.iter().map(|&(it, ..)| (100, Some(it))).collect();
            let (slow, _) = by_time(&medians, SlowMembers::new());
            prop_assert!(slow.len() * 2 <= members.len());
            let volumes: Vec<_> = members
                .iter()
                .map(|&(_, total, failed)| Volume { total, failed: failed.min(total) })
                .collect();
            let factor = SuccessRate::new().with_min_requests(1).with_factor(2_000);
            let low = by_success_rate(&volumes, factor);
            // Chebyshev: at most 1 / factor² of all.
            prop_assert!(low.len() * 4 <= members.len());
        }
    }
}
