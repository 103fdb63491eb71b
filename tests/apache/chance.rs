//! Whether counts could have come about by the same chances.
//!
//! The bounds are Chernoff's, which hold for any number of draws: the probability that
//! the share of one member in `n` draws is as far from its chance as it is, is at most
//! `2 exp(-n D)`, with `D` the relative entropy of the two.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(crate) type Counts = BTreeMap<String, u64>;

/// Beyond this exponent chance is ruled out: for one member at one burst it is passed
/// by chance less than once in 10⁹ runs.
const LIMIT: f64 = 25.0;

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn float(count: u64) -> f64 {
    count as f64
}

fn entropy(share: f64, chance: f64) -> f64 {
    let part = |share: f64, chance: f64| match share > 0.0 {
        true => share * (share / chance).ln(),
        false => 0.0,
    };
    part(share, chance) + part(1.0 - share, 1.0 - chance)
}

/// Whether two sums of draws may have the same chances.
pub(crate) fn alike(one: &Counts, other: &Counts) -> bool {
    let total = |counts: &Counts| float(counts.values().sum());
    let (n, m) = (total(one), total(other));
    if n == 0.0 || m == 0.0 {
        return n == m;
    }
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    names.into_iter().all(|name| {
        let count = |counts: &Counts| float(counts.get(name).copied().unwrap_or(0));
        let chance = (count(one) + count(other)) / (n + m);
        let far = n * entropy(count(one) / n, chance) + m * entropy(count(other) / m, chance);
        far <= LIMIT
    })
}

/// Whether draws may have these chances.
pub(crate) fn fits(counts: &Counts, shares: &Value) -> bool {
    let total = float(counts.values().sum());
    let Some(shares) = shares.as_object() else {
        return false;
    };
    if total == 0.0 {
        return false;
    }
    let names: BTreeSet<_> = counts.keys().chain(shares.keys()).collect();
    names.into_iter().all(|name| {
        let count = float(counts.get(name).copied().unwrap_or(0));
        let chance = shares.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        match chance {
            chance if chance <= 0.0 => count == 0.0,
            chance if chance >= 1.0 => count == total,
            chance => total * entropy(count / total, chance) <= LIMIT,
        }
    })
}
