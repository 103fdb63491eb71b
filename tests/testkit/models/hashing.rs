//! Hashing schedulers: the member of each key, against the models.

use equipoise::PickRequest;
use equipoise::scheduler::{
    BoundedLoad, HashScheduler, Maglev, Modulo, Rendezvous, Ring, Scheduler,
};
use equipoise::stable_hash::{crc32_with_length, hash_bytes, hash_bytes_128};
use equipoise::testkit::models::{
    MaglevModel, RingModel, below_bound, by_sum, remainder_slots, rendezvous,
};

use super::churn::{Churn, Seen};

/// Looks keys up while things happen. `model` returns the members in the order in which the
/// key is passed on; the first open one must be picked. It gets the members that are there,
/// eligible or not, with their weights in hundredths, and those that are eligible.
fn passes_on<S: Scheduler>(
    churn: impl Fn(u64) -> Churn<S>,
    model: impl Fn(&[(&str, u64)], &[Seen], u64) -> Vec<String>,
) {
    for seed in 0..4 {
        let mut churn = churn(seed).full();
        for _ in 0..100 {
            match churn.below(8) {
                0 => churn.change(),
                1 => drop(churn.end()),
                _ => {
                    let tried = churn.tried();
                    let seen = churn.seen(&tried);
                    let key = churn.dice.next_u64();
                    let request = PickRequest::new().with_hash(key).with_tried(&tried);
                    let all = churn.members();
                    let all: Vec<(&str, u64)> = all.iter().map(|it| (&*it.0, it.1)).collect();
                    let order = model(&all, &seen, key);
                    let open =
                        |name: &&String| seen.iter().any(|it| it.is_open && it.name == **name);
                    let expected = order.iter().find(open);
                    let picked = churn.pick(&request, &seen);
                    assert_eq!(picked.map(|at| &seen[at].name), expected, "{key:#x}");
                }
            }
        }
    }
}

fn named(members: &[(&str, u64)], order: &[usize]) -> Vec<String> {
    order.iter().map(|&at| members[at].0.to_owned()).collect()
}

#[test]
fn a_ring_is_walked_from_the_key() {
    let ring = |ring: fn() -> Ring| move |seed| Churn::new(ring(), 7, seed).without_ramps();
    passes_on(ring(|| Ring::with_points(9).unwrap()), |all, _, key| {
        named(all, &RingModel::new(9, all).order(key))
    });
    passes_on(ring(Ring::nginx), |all, _, key| {
        named(all, &RingModel::nginx(all).order(key))
    });
    passes_on(ring(Ring::ketama), |all, _, key| {
        named(all, &RingModel::ketama(all).order(key))
    });
    passes_on(
        ring(|| Ring::envoy_with_sizes(60, 500).unwrap()),
        |all, _, key| named(all, &RingModel::envoy(60, 500, all).order(key)),
    );
    passes_on(ring(Ring::haproxy), |all, _, key| {
        named(all, &RingModel::haproxy(all).order(key))
    });
}

/// The hash that decides between members: of a zero byte, the key, and the lower half of the
/// hash of the name.
fn score_hash(key: u64, name: &str) -> u64 {
    let member = hash_bytes_128(name.as_bytes()).to_le_bytes();
    let bytes = [&[0_u8][..], &key.to_le_bytes()[..], &member[..8]].concat();
    hash_bytes(&bytes)
}

fn by_score(seen: &[Seen], key: u64) -> Vec<String> {
    let scores = seen
        .iter()
        .map(|one| (score_hash(key, &one.name), one.weight));
    let order = rendezvous(&scores.collect::<Vec<_>>());
    order.into_iter().map(|at| seen[at].name.clone()).collect()
}

#[test]
fn rendezvous_passes_keys_on_by_score() {
    let churn = |seed| Churn::new(Rendezvous::new(), 9, seed);
    passes_on(churn, |_, seen, key| by_score(seen, key));
}

#[test]
fn maglev_passes_keys_on_to_the_owners_of_the_next_slots() {
    let maglev = || Maglev::with_table_size(251).unwrap();
    let churn = |seed| Churn::new(maglev(), 9, seed).without_ramps();
    passes_on(churn, |all, seen, key| {
        let model = MaglevModel::new(251, all);
        let slots = (0..251).filter_map(|step| model.owner(key % 251 + step));
        let owners = slots.map(ToOwned::to_owned);
        owners.chain(by_score(seen, key)).collect()
    });
}

/// The hash that gives the slot that a key is passed on to: of a byte 4, the key, and the number
/// of the attempt.
fn further_hash(key: u64, number: u64) -> u64 {
    hash_bytes(&[&[4_u8][..], &key.to_le_bytes(), &number.to_le_bytes()].concat())
}

/// The map has the eligible members only, also those that are tried or full. A key is passed on
/// to 64 further slots.
#[test]
fn a_remainder_is_a_slot_of_the_map() {
    let churn = |seed| Churn::new(Modulo::new(), 7, seed).without_ramps();
    passes_on(churn, |_, seen, key| {
        let weights: Vec<u64> = seen.iter().map(|one| one.weight).collect();
        let slots = remainder_slots(&weights);
        let further = (0..64).map(|number| further_hash(key, number));
        let hashes = std::iter::once(key).chain(further);
        let slots = hashes.filter_map(|hash| {
            let slot = hash.checked_rem(slots.len() as u64)?;
            Some(slots[usize::try_from(slot).unwrap()])
        });
        let owners = slots.map(|owner| seen[owner].name.clone());
        owners.chain(by_score(seen, key)).collect()
    });
}

#[test]
fn the_first_hash_of_nginx_is_a_part_of_the_sum_of_weights() {
    for seed in 0..10 {
        let churn = Churn::new(Modulo::nginx(), 6, seed).without_caps();
        let mut churn = churn.without_ramps().with_weights(&[100, 300, 500]).full();
        let members = churn.members();
        let parts: Vec<u64> = members.iter().map(|it| it.1 / 100).collect();
        for number in 0..300 {
            let key = crc32_with_length(format!("/{number}").as_bytes());
            let seen = churn.seen(&[]);
            let picked = churn
                .pick(&PickRequest::new().with_hash(key), &seen)
                .unwrap();
            let draw = (key >> 16 & 0x7fff) % parts.iter().sum::<u64>();
            let expected = by_sum(&parts, draw).unwrap();
            assert_eq!(seen[picked].name, members[expected].0);
        }
    }
}

/// The first four members of the inner order, if one of them is below its bound; otherwise
/// any that is, and else the one with the least load.
fn bounds_are_kept<S: HashScheduler>(
    inner: impl Fn() -> S,
    percent: u32,
    order: impl Fn(&[(&str, u64)], &[Seen], u64) -> Vec<String>,
) {
    for seed in 0..8 {
        let bounded = BoundedLoad::new(inner()).with_percent(percent).unwrap();
        let mut churn = Churn::new(bounded, 9, seed).without_ramps().full();
        let mut passed_on = 0;
        for _ in 0..250 {
            match churn.below(6) {
                0 => churn.change(),
                1 => drop(churn.end()),
                _ => {
                    let tried = churn.tried();
                    let seen = churn.seen(&tried);
                    // Few keys, so that bounds are reached.
                    let key = hash_bytes(&[u8::try_from(churn.below(3)).unwrap()]);
                    let all = churn.members();
                    let all: Vec<(&str, u64)> = all.iter().map(|it| (&*it.0, it.1)).collect();
                    let order = order(&all, &seen, key);
                    let request = PickRequest::new().with_hash(key).with_tried(&tried);
                    let everyone = churn.seen_all();
                    let facts: Vec<(u64, u64)> = everyone
                        .iter()
                        .map(|one| (one.in_flight, one.weight))
                        .collect();
                    let below = below_bound(&facts, percent.into());
                    let is_below = |name: &str| {
                        let at = everyone.iter().position(|one| one.name == name).unwrap();
                        below[at]
                    };
                    let Some(picked) = churn.pick(&request, &seen) else {
                        continue;
                    };
                    let picked = &seen[picked];
                    let eligible = order
                        .iter()
                        .filter(|name| seen.iter().any(|it| it.name == **name));
                    let is_open = |name: &str| seen.iter().any(|it| it.name == name && it.is_open);
                    let first = eligible
                        .take(4)
                        .find(|name| is_open(name) && is_below(name));
                    let any = seen.iter().any(|it| it.is_open && is_below(&it.name));
                    match first {
                        Some(first) => assert_eq!(picked.name, *first, "{key:#x}"),
                        None if any => assert!(is_below(&picked.name), "{}", picked.name),
                        None => {
                            let load = |one: &Seen| one.in_flight as f64 / one.weight as f64;
                            let open = seen.iter().filter(|one| one.is_open);
                            let least = open.map(load).fold(f64::INFINITY, f64::min);
                            assert!(load(picked) <= least);
                        }
                    }
                    passed_on += usize::from(order.first() != Some(&picked.name));
                }
            }
        }
        assert!(passed_on > 20, "{passed_on}");
    }
}

#[test]
fn a_bounded_load_picks_the_first_member_below_its_bound() {
    for percent in [100, 125, 200] {
        bounds_are_kept(Rendezvous::new, percent, |_, seen, key| by_score(seen, key));
        let ring = || Ring::with_points(9).unwrap();
        bounds_are_kept(ring, percent, |all, _, key| {
            named(all, &RingModel::new(9, all).order(key))
        });
    }
}
