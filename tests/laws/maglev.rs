//! The laws of Maglev: who owns a key, and which keys move.

use std::collections::BTreeSet;
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::member::Ramp;
use equipoise::scheduler::Maglev;
use equipoise::stable_hash::hash_bytes;
use equipoise::{Balancer, Flag, Lease, MemberSpec, PickError, PickRequest, Weight};
use proptest::prelude::*;

use crate::lives;

/// So many slots make a table that can be read whole: key `k` is slot `k`.
const SLOTS: u32 = 1_009;

fn balancer(weights: &[u32]) -> Balancer<()> {
    ramping(weights, Ramp::NONE, ManualClock::new())
}

fn ramping(weights: &[u32], ramp: Ramp, clock: ManualClock) -> Balancer<()> {
    let members = weights.iter().enumerate().map(|(at, &weight)| {
        let weight = Weight::from_hundredths(weight).unwrap();
        (format!("m{at}"), (), MemberSpec::new().with_weight(weight))
    });
    let scheduler = Maglev::with_table_size(SLOTS).unwrap();
    let builder = Balancer::builder().scheduler(scheduler).seed(7);
    builder
        .clock(clock)
        .ramp(ramp)
        .forced_recovery(false)
        .members(members)
        .build()
        .unwrap()
}

fn pick(balancer: &Balancer<()>, key: u64) -> Result<Lease<()>, PickError> {
    balancer.pick(&PickRequest::new().with_hash(key))
}

/// The owner of each slot; `-` is none.
fn owners(balancer: &Balancer<()>) -> Vec<String> {
    let name = |lease: Lease<()>| lease.member().name().to_owned();
    (0..SLOTS.into())
        .map(|key| pick(balancer, key).map_or_else(|_| "-".to_owned(), name))
        .collect()
}

fn moved<'o>(before: &'o [String], after: &'o [String]) -> Vec<(&'o str, &'o str)> {
    let pairs = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after);
    pairs.map(|(before, after)| (&**before, &**after)).collect()
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(prop_oneof![Just(100_u32), 1_u32..1_000], 2..12)
}

proptest! {
    #![proptest_config(lives(24))]

    #[test]
    fn each_share_is_true_to_its_weight(weights in weights()) {
        let owners = owners(&balancer(&weights));
        let total: u32 = weights.iter().sum();
        for (at, &weight) in weights.iter().enumerate() {
            let name = format!("m{at}");
            let count = owners.iter().filter(|&owner| *owner == name).count() as f64;
            let share = f64::from(SLOTS) * f64::from(weight) / f64::from(total);
            let of_all = weights.len() as f64 / f64::from(SLOTS);
            prop_assert!(count >= 1.0 && count <= share + 2.0, "{}: {} of {}", name, count, share);
            prop_assert!(count >= share * (1.0 - of_all) - 1.0, "{}: {} of {}", name, count, share);
        }
    }

    #[test]
    fn health_and_drains_move_the_keys_of_the_member_alone_and_give_them_back(
        weights in weights(),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4), 1..8),
    ) {
        let balancer = balancer(&weights);
        let at_first = owners(&balancer);
        let mut before = at_first.clone();
        let flags = [Flag::Disabled, Flag::Draining, Flag::InError, Flag::FailedCheck];
        let mut down = Vec::new();
        for (member, flag) in steps {
            let name = format!("m{}", member.index(weights.len()));
            balancer.set_flag(&name, flags[flag]).unwrap();
            let after = owners(&balancer);
            for (from, to) in moved(&before, &after) {
                prop_assert_eq!(from, &name);
                prop_assert_ne!(to, &name);
            }
            before = after;
            down.push((name, flags[flag]));
        }
        for (name, flag) in down {
            balancer.clear_flag(&name, flag).unwrap();
            let after = owners(&balancer);
            for (from, to) in moved(&before, &after) {
                prop_assert_eq!(to, &name);
                prop_assert_ne!(from, &name);
            }
            before = after;
        }
        prop_assert_eq!(before, at_first);
    }

    #[test]
    fn a_member_that_ramps_up_takes_a_growing_share_of_its_own_keys_and_moves_no_others(
        weights in weights(),
        chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..3),
        ejected in any::<bool>(),
    ) {
        let clock = ManualClock::new();
        let balancer = ramping(&weights, Ramp::over(Duration::from_secs(16)), clock.clone());
        let at_first = owners(&balancer);
        let ramping: BTreeSet<String> = chosen
            .iter()
            .map(|member| format!("m{}", member.index(weights.len())))
            .collect();
        // Otherwise 64 slots may have no other member, and the scores decide, in which those
        // that ramp up take part.
        let stays = |at: &usize| !ramping.contains(&format!("m{at}"));
        let steady: u32 = (0..weights.len()).filter(stays).map(|at| weights[at]).sum();
        prop_assume!(4 * steady >= weights.iter().sum());
        let back = Duration::from_secs(60);
        for name in &ramping {
            if ejected {
                balancer.eject(name.as_str(), back, "slow").unwrap();
            } else {
                balancer.set_flag(name, Flag::FailedCheck).unwrap();
            }
        }
        let mut before = owners(&balancer);
        clock.advance(back);
        if !ejected {
            for name in &ramping {
                balancer.clear_flag(name, Flag::FailedCheck).unwrap();
            }
        }
        for sixteenths in 1..=16_usize {
            let after = owners(&balancer);
            for ((first, before), after) in at_first.iter().zip(&before).zip(&after) {
                if !ramping.contains(first) {
                    prop_assert_eq!(after, first, "a key of another");
                } else if before == first {
                    prop_assert_eq!(after, first, "a key that it has again");
                }
            }
            for name in &ramping {
                let own = at_first.iter().filter(|&first| first == name).count();
                let pairs = at_first.iter().zip(&after);
                let has = pairs.filter(|&(first, after)| first == name && after == name);
                let has = has.count();
                // Five standard deviations of so many draws.
                let share = sixteenths as f64 / 16.0;
                let expected = own as f64 * share;
                let spread = 5.0 * (expected * (1.0 - share)).sqrt();
                prop_assert!(
                    (has as f64 - expected).abs() <= spread,
                    "{} has {} of {} at {}/16", name, has, own, sixteenths
                );
            }
            before = after;
            // The first sixteenth begins at nothing.
            clock.advance(Duration::from_secs(if sixteenths == 1 { 2 } else { 1 }));
        }
        prop_assert_eq!(before, at_first);
    }

    #[test]
    fn names_and_weights_alone_make_a_table(
        weights in weights(),
        rotated in any::<prop::sample::Index>(),
        extra in 1_u32..1_000,
    ) {
        let one = balancer(&weights);
        // Another order, another history.
        let other = balancer(&[extra; 3]);
        let at = rotated.index(weights.len());
        let mut names: Vec<usize> = (0..weights.len()).collect();
        names.rotate_left(at);
        let members = names.into_iter().map(|at| {
            let weight = Weight::from_hundredths(weights[at]).unwrap();
            (format!("m{at}"), (), MemberSpec::new().with_weight(weight))
        });
        other.replace_all(members).unwrap();
        prop_assert_eq!(owners(&one), owners(&other));
    }

    #[test]
    fn a_pick_fails_only_if_every_member_is_full(
        weights in weights(),
        caps in prop::collection::vec(1_u32..4, 12),
        keys in prop::collection::vec(any::<u64>(), 40),
    ) {
        let balancer = balancer(&weights);
        let mut room = 0;
        for (at, &cap) in caps.iter().take(weights.len()).enumerate() {
            balancer.update(&format!("m{at}"), |spec| spec.with_max_in_flight(cap)).unwrap();
            room += cap as usize;
        }
        let held: Vec<_> = keys.iter().filter_map(|&key| pick(&balancer, key).ok()).collect();
        prop_assert_eq!(held.len(), room.min(keys.len()));
        if room <= keys.len() {
            prop_assert_eq!(pick(&balancer, 0).unwrap_err(), PickError::AtCapacity);
        }
    }
}

#[test]
fn a_key_without_a_hash_goes_by_weight_and_chance() {
    let balancer = balancer(&[100, 300]);
    let heavy = (0..4_000).filter(|_| {
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        lease.member().name() == "m1"
    });
    let heavy = heavy.count();
    assert!(heavy.abs_diff(3_000) < 150, "{heavy}");
}

#[test]
fn owners_are_the_same_in_every_release() {
    let balancer = balancer(&[100, 200, 300]);
    let mut all = String::new();
    for owner in owners(&balancer) {
        all.push_str(&owner);
    }
    assert_eq!(
        hash_bytes(all.as_bytes()),
        1_978_633_780_646_089_489,
        "{}",
        &all[..64]
    );
}
