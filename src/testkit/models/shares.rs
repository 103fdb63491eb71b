//! Models of rules that divide something by weight: slots, bounds and zones.

/// Returns the owner of each slot of HAProxy's map (`hash-type map-based`), given the
/// weights: key `k` belongs to slot `k` modulo the number of slots.
///
/// There is one slot for each unit of weight, after division by the greatest common divisor.
/// For each slot, each member gains its weight. The first of the members with the most whole
/// slots gets it, and loses one.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::remainder_slots;
///
/// assert_eq!(remainder_slots(&[200, 100]), [0, 0, 1]);
/// assert_eq!(remainder_slots(&[100; 4]), [0, 1, 2, 3]);
/// ```
#[must_use]
pub fn remainder_slots(weights: &[u64]) -> Vec<usize> {
    let divisor = weights.iter().fold(0, |divisor, &weight| {
        let (mut one, mut other) = (divisor, weight);
        while other > 0 {
            (one, other) = (other, one % other);
        }
        one
    });
    let weights: Vec<i128> = weights
        .iter()
        .map(|&weight| i128::from(weight / divisor.max(1)))
        .collect();
    let total: i128 = weights.iter().sum();
    let mut gained = vec![0_i128; weights.len()];
    let mut slots = Vec::new();
    for _ in 0..total {
        for (gained, weight) in gained.iter_mut().zip(&weights) {
            *gained += weight;
        }
        let whole = |member: usize| gained[member].div_euclid(total);
        // Of several, `max_by_key` returns the last one.
        let Some(owner) = (0..weights.len()).rev().max_by_key(|&it| whole(it)) else {
            break;
        };
        gained[owner] -= total;
        slots.push(owner);
    }
    slots
}

/// Returns which members are below their bounds, so that
/// [`BoundedLoad`](crate::scheduler::BoundedLoad) may pick them: with the factor in percent,
/// `total = ceil((active + 1) * factor)` requests are allowed to all members, and
/// `ceil(total * w / W)` of them to each, and at least one. Each member is given by its
/// requests in flight and its weight.
///
/// Source: Mirrokni, Thorup, Zadimoghaddam: *Consistent hashing with bounded loads* (2018);
/// the bound by weight is HAProxy's.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::below_bound;
///
/// // 125 % of 4 are 5 requests: at most 3 for the first one, and 2 for each other.
/// assert_eq!(below_bound(&[(2, 2), (1, 1), (0, 1)], 125), [true, true, true]);
/// assert_eq!(below_bound(&[(3, 2), (0, 1), (0, 1)], 125), [false, true, true]);
/// ```
#[must_use]
pub fn below_bound(members: &[(u64, u64)], percent: u64) -> Vec<bool> {
    let active: u64 = members.iter().map(|&(in_flight, _)| in_flight).sum();
    let all: u64 = members.iter().map(|&(_, weight)| weight).sum();
    let total = ((active + 1) * percent).div_ceil(100);
    let below = members.iter().map(|&(in_flight, weight)| {
        let bound = (total * weight).div_ceil(all.max(1)).max(1);
        in_flight < bound
    });
    below.collect()
}

/// Returns the chance of each zone for requests of callers in the zone `own`, as
/// [`ZoneAware`](crate::scheduler::ZoneAware) has it. Each zone is given by its capacity and
/// its number of callers.
///
/// A zone keeps the share `capacity / callers` of its requests, both as parts of all, and
/// the others get the rest in proportion to what their own callers leave.
///
/// Source: Envoy, *Zone aware routing*.
///
/// # Examples
///
/// ```
/// use equipoise::testkit::models::zone_chances;
///
/// assert_eq!(zone_chances(0, &[(2, 1), (2, 1)]), [1.0, 0.0]);
/// // A quarter of the capacity, and half of the callers.
/// assert_eq!(zone_chances(0, &[(1, 1), (3, 1)]), [0.5, 0.5]);
/// ```
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub fn zone_chances(own: usize, zones: &[(u64, u64)]) -> Vec<f64> {
    let capacity: u64 = zones.iter().map(|zone| zone.0).sum();
    let callers: u64 = zones.iter().map(|zone| zone.1).sum();
    // As fractions with the same denominator, which are compared exactly.
    let part = |zone: usize| {
        let has = u128::from(zones[zone].0) * u128::from(callers);
        (has, u128::from(zones[zone].1) * u128::from(capacity))
    };
    let (has, needs) = part(own);
    let kept = if has == 0 {
        0.0
    } else if has >= needs {
        1.0
    } else {
        has as f64 / needs as f64
    };
    let spare = |zone: usize| {
        let (has, needs) = part(zone);
        if zone == own {
            0.0
        } else {
            has.saturating_sub(needs) as f64
        }
    };
    let all: f64 = (0..zones.len()).map(spare).sum();
    let chance = |zone: usize| {
        if zone == own {
            kept
        } else if all > 0.0 {
            (1.0 - kept) * spare(zone) / all
        } else {
            0.0
        }
    };
    (0..zones.len()).map(chance).collect()
}
