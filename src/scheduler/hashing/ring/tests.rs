//! Shares of rings, and keys that move.

use super::construction::{RingConstruction, RingMember};
use super::table::RingTable;
use crate::member::MemberId;
use crate::stable_hash::hash_bytes;

/// The names of `count` members.
fn names(count: usize) -> Vec<String> {
    let name = |at: usize| format!("10.0.{}.{}:80", at / 256, at % 256);
    (0..count).map(name).collect()
}

fn ring(
    construction: &RingConstruction,
    names: &[String],
    hundredths: impl Fn(usize) -> u32,
) -> RingTable {
    let member = |at: usize| RingMember {
        id: MemberId::new(u32::try_from(at).unwrap()),
        name: &names[at],
        hundredths: hundredths(at),
        haproxy_id: None,
    };
    construction.table((0..names.len()).map(member).collect())
}

/// The greatest share of the ring, of the mean.
fn peak(table: &RingTable) -> f64 {
    let parts = table.parts_ahead();
    let most = parts.iter().copied().max().unwrap();
    most as f64 * parts.len() as f64 / (1_u128 << 64) as f64
}

/// The names of the owners of many keys.
fn owners<'n>(table: &RingTable, names: &'n [String]) -> Vec<&'n str> {
    let key = |number: u64| hash_bytes(&number.to_le_bytes());
    let owner = |number| table.walk(key(number)).next().unwrap().id.slot();
    (0..20_000).map(|number| &*names[owner(number)]).collect()
}

/// The bound of the documentation, `1 + sqrt(2 ln n / v)`, is that of the mean over many rings.
#[test]
fn the_largest_share_is_within_the_documented_bound() {
    for each in [65, 160, 655] {
        for count in [10, 100, 1_000] {
            let sets = 1_000 / u32::try_from(count).unwrap();
            let sets = sets.min(10);
            let peaks: Vec<f64> = (0..sets)
                .map(|set| {
                    let names: Vec<String> = names(count)
                        .into_iter()
                        .map(|name| format!("{set}.{name}"))
                        .collect();
                    let table = ring(&RingConstruction::Own { each }, &names, |_| 100);
                    assert_eq!(table.len(), each as usize * count);
                    assert_eq!(table.extremes(), (each, each));
                    peak(&table)
                })
                .collect();
            let mean = peaks.iter().sum::<f64>() / f64::from(sets);
            let bound = 1.0 + (2.0 * (count as f64).ln() / f64::from(each)).sqrt();
            assert!(
                mean <= bound * 1.02,
                "{each} points, {count} members: {mean}"
            );
        }
    }
}

#[test]
fn shares_are_in_proportion_to_weight() {
    for construction in [RingConstruction::Own { each: 160 }, RingConstruction::Nginx] {
        let weights = [100, 200, 700, 1_000];
        let table = ring(&construction, &names(4), |at| weights[at]);
        for (part, weight) in table.parts_ahead().into_iter().zip(weights) {
            let share = part as f64 / (1_u128 << 64) as f64;
            let expected = f64::from(weight) / 2_000.0;
            // Four standard deviations of so many points.
            let spread = 4.0 / (f64::from(weight) * 1.6).sqrt();
            assert!(
                (share / expected - 1.0).abs() < spread,
                "{construction:?}: {share}"
            );
        }
    }
}

#[test]
fn a_removal_moves_the_keys_of_the_removed_member_only() {
    let weights = |name: &str| 100 + 50 * u32::from(name.as_bytes()[name.len() - 4] % 5);
    for construction in [RingConstruction::Own { each: 160 }, RingConstruction::Nginx] {
        for count in [10, 100] {
            let all = names(count);
            let before = ring(&construction, &all, |at| weights(&all[at]));
            let before = owners(&before, &all);
            for gone in [0, count / 2, count - 1] {
                let mut rest = all.clone();
                let gone = rest.remove(gone);
                let after = ring(&construction, &rest, |at| weights(&rest[at]));
                let after = owners(&after, &rest);
                let mut moved = 0;
                for (before, after) in before.iter().zip(&after) {
                    assert!(before == after || *before == gone, "{before} to {after}");
                    moved += usize::from(before != after);
                }
                assert!(moved > 0);
            }
        }
    }
}

#[test]
fn a_greater_weight_moves_keys_to_its_member_only() {
    let names = names(20);
    let construction = RingConstruction::Own { each: 160 };
    let before = owners(&ring(&construction, &names, |_| 100), &names);
    let after = ring(&construction, &names, |at| if at == 7 { 300 } else { 100 });
    let after = owners(&after, &names);
    for (before, after) in before.into_iter().zip(after) {
        assert!(before == after || after == names[7], "{before} to {after}");
    }
}

#[test]
fn the_order_of_members_does_not_matter() {
    let names = names(50);
    let mut other = names.clone();
    other.rotate_left(17);
    let construction = RingConstruction::Own { each: 20 };
    let one = ring(&construction, &names, |_| 100);
    let two = ring(&construction, &other, |_| 100);
    assert_eq!(owners(&one, &names), owners(&two, &other));
}

#[test]
fn a_ring_never_changes_between_releases() {
    let names = names(7);
    let table = ring(&RingConstruction::Own { each: 160 }, &names, |_| 100);
    let text = owners(&table, &names).concat();
    assert_eq!(hash_bytes(text.as_bytes()), 380_022_575_848_971_948);
}
