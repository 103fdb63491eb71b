//! The laws of rings: who owns a key, and which keys move.

use std::collections::BTreeSet;
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::member::Ramp;
use equipoise::scheduler::{Ring, RingSizeError, Scheduler};
use equipoise::stable_hash::hash_bytes;
use equipoise::{Balancer, Flag, MemberSpec, PickError, PickRequest, Weight};
use proptest::prelude::*;

use super::foretold::foretells;
use super::{balancer, numbered, owners, pick, picked};

fn rings() -> [Ring; 6] {
    [
        Ring::new(),
        Ring::with_points(20).unwrap(),
        Ring::nginx(),
        Ring::ketama(),
        Ring::envoy(),
        Ring::haproxy(),
    ]
}

/// The rings whose points of a member depend on no other member.
fn steady_rings() -> [Ring; 3] {
    [Ring::new(), Ring::nginx(), Ring::haproxy_with_ids("id")]
}

#[test]
fn each_ring_has_its_name() {
    let names = rings().map(|ring| ring.name());
    let expected = [
        "ring",
        "ring",
        "ring-nginx",
        "ring-ketama",
        "ring-envoy",
        "ring-haproxy",
    ];
    assert_eq!(names, expected);
    assert_eq!(Ring::default().name(), "ring");
}

#[test]
fn sizes_out_of_range_are_refused() {
    assert!(Ring::with_points(1).is_ok() && Ring::with_points(4_096).is_ok());
    let error = |ring: Result<Ring, RingSizeError>| ring.unwrap_err();
    assert_eq!(error(Ring::with_points(4_097)), RingSizeError::OutOfRange);
    let sized = Ring::envoy_with_sizes;
    assert!(sized(1, 1).is_ok() && sized(8_388_608, 8_388_608).is_ok());
    assert_eq!(error(sized(0, 1)), RingSizeError::OutOfRange);
    assert_eq!(error(sized(1, 8_388_609)), RingSizeError::OutOfRange);
    assert_eq!(error(sized(2, 1)), RingSizeError::Reversed);
}

#[test]
fn shares_follow_the_weights() {
    for ring in rings() {
        let balancer = balancer(ring.clone(), numbered(&[1, 2, 5]));
        let owners = owners(&balancer);
        let count = |name: &str| owners.iter().filter(|&owner| owner == name).count();
        for (name, expected) in [("m0", 500_usize), ("m1", 1_000), ("m2", 2_500)] {
            let count = count(name);
            assert!(
                count.abs_diff(expected) < 2 * expected / 3,
                "{ring:?}: {name} has {count}"
            );
        }
    }
}

#[test]
fn health_moves_the_keys_of_the_member_only_and_gives_them_back() {
    for ring in rings() {
        let balancer = balancer(ring, numbered(&[1, 2, 3, 4]));
        let at_first = owners(&balancer);
        let mut before = at_first.clone();
        for name in ["m1", "m3"] {
            balancer.set_flag(name, Flag::FailedCheck).unwrap();
            let after = owners(&balancer);
            for (before, after) in before.iter().zip(&after) {
                assert!(before == after || before == name);
                assert_ne!(after, name);
            }
            before = after;
        }
        for name in ["m1", "m3"] {
            balancer.clear_flag(name, Flag::FailedCheck).unwrap();
        }
        assert_eq!(owners(&balancer), at_first);
    }
}

#[test]
fn a_removal_moves_the_keys_of_the_removed_member_only() {
    for ring in steady_rings() {
        let weights = [1, 2, 3, 1, 2].map(|weight| Weight::new(weight).unwrap());
        let members = weights.into_iter().enumerate().map(|(at, weight)| {
            let spec = MemberSpec::new().with_weight(weight);
            (
                format!("m{at}"),
                (),
                spec.with_label("id", (at + 1).to_string()),
            )
        });
        let builder = Balancer::builder().scheduler(ring).members(members);
        let balancer = builder.build().unwrap();
        let before = owners(&balancer);
        balancer.remove("m2").unwrap();
        for (before, after) in before.iter().zip(owners(&balancer)) {
            assert!(*before == after || before == "m2", "{before} to {after}");
        }
    }
}

#[test]
fn a_ramp_gives_a_member_its_share_of_its_own_keys() {
    let clock = ManualClock::new();
    let members = numbered(&[1; 5]);
    let members = members
        .into_iter()
        .map(|(name, _)| (name, (), MemberSpec::new()));
    let builder = Balancer::builder().scheduler(Ring::new());
    let builder = builder
        .ramp(Ramp::over(Duration::from_secs(16)))
        .clock(clock.clone());
    let balancer = builder.members(members).build().unwrap();
    clock.advance(Duration::from_secs(60));
    let at_first = owners(&balancer);
    balancer.set_flag("m2", Flag::FailedCheck).unwrap();
    balancer.clear_flag("m2", Flag::FailedCheck).unwrap();
    let own = at_first.iter().filter(|&owner| owner == "m2").count();
    let mut before = BTreeSet::new();
    for sixteenths in [4, 8, 12, 16] {
        clock.advance(Duration::from_secs(4));
        let after = owners(&balancer);
        let mut kept = BTreeSet::new();
        for (at, (first, after)) in at_first.iter().zip(&after).enumerate() {
            assert!(first == after || first == "m2", "a key of another moves");
            if after == "m2" {
                kept.insert(at);
            }
        }
        assert!(kept.is_superset(&before), "a key that it has again moves");
        let expected = own * sixteenths / 16;
        assert!(
            kept.len().abs_diff(expected) < 90,
            "{} {expected}",
            kept.len()
        );
        before = kept;
    }
    assert_eq!(owners(&balancer), at_first);
}

/// Their points have the same positions: the numbers of points are 4 096 apart from one id to
/// the next, modulo 2^32.
#[test]
fn members_at_the_same_points_of_haproxys_ring_both_have_keys() {
    let weight = Weight::new(5).unwrap();
    let members = [("a", "1"), ("b", "1048577"), ("c", "2")].map(|(name, id)| {
        let spec = MemberSpec::new().with_weight(weight);
        (name, (), spec.with_label("id", id))
    });
    let builder = Balancer::builder().scheduler(Ring::haproxy_with_ids("id"));
    let balancer = builder.members(members).build().unwrap();
    let count = |name| owners(&balancer).iter().filter(|&one| one == name).count();
    let counts = ["a", "b", "c"].map(count);
    assert!(counts.iter().all(|&count| count > 400), "{counts:?}");
    let before = owners(&balancer);
    balancer.set_flag("a", Flag::Disabled).unwrap();
    for (before, after) in before.iter().zip(owners(&balancer)) {
        let expected = if before == "a" { "b" } else { before };
        assert_eq!(after, expected);
    }
}

#[test]
fn an_explanation_names_a_ring_on_which_members_have_no_points() {
    let ring = || Ring::envoy_with_sizes(1_024, 4_096).unwrap();
    let notes = |weights: &[u32]| {
        let balancer = balancer(ring(), numbered(weights));
        let explained = balancer.explain(&PickRequest::new().with_hash(1));
        explained.details().notes.join("\n")
    };
    let remark = "members without points get no keys while others are eligible";
    assert!(notes(&[50_000, 1]).contains(remark));
    assert!(!notes(&[1_000, 1]).contains(remark));
}

#[test]
fn requests_that_fail_over_are_shared() {
    for ring in rings() {
        let balancer = balancer(ring.clone(), numbered(&[1; 8]));
        let failed = balancer.member("m3").unwrap().id();
        let mut counts = [0_usize; 8];
        for number in 0..8_000_u64 {
            let key = hash_bytes(&number.to_le_bytes());
            if picked(&balancer, key, &[]) == "m3" {
                let other = picked(&balancer, key, &[failed]);
                counts[other[1..].parse::<usize>().unwrap()] += 1;
            }
        }
        assert_eq!(counts[3], 0);
        let total: usize = counts.iter().sum();
        let most = counts.iter().max().unwrap();
        assert!(*most < total / 2, "{ring:?}: {counts:?}");
    }
}

#[test]
fn a_request_without_a_key_gets_a_random_one() {
    for ring in rings() {
        let balancer = balancer(ring.clone(), numbered(&[1, 3]));
        let heavy = (0..4_000).filter(|_| {
            let explained = balancer.explain(&PickRequest::new());
            let notes = &explained.details().notes;
            assert!(notes.iter().any(|note| note.contains("no hash key")));
            let foreseen = explained.picked().unwrap().name.clone();
            let lease = balancer.pick(&PickRequest::new()).unwrap();
            assert_eq!(&*foreseen, lease.member().name());
            lease.member().name() == "m1"
        });
        let heavy = heavy.count();
        assert!(heavy.abs_diff(3_000) < 500, "{ring:?}: {heavy}");
    }
}

#[test]
fn an_explanation_has_the_position_and_the_numbers_of_points() {
    let balancer = balancer(Ring::new(), numbered(&[1, 2]));
    let explain = || {
        let explained = balancer.explain(&PickRequest::new().with_hash(77));
        let details = explained.details().clone();
        (explained.picked().unwrap().name.to_string(), details)
    };
    let (owner, details) = explain();
    assert_eq!(details.position.unwrap().len, 480);
    assert_eq!(details.notes, ["each member has 160 to 320 points"]);
    balancer.set_flag(&owner, Flag::Disabled).unwrap();
    let (other, passed) = explain();
    assert_ne!(owner, other);
    assert_eq!(passed.position, details.position);
    assert!(
        passed.notes[1].starts_with("points passed over: "),
        "{passed:?}"
    );
}

#[test]
fn most_members_can_be_unusable() {
    // A walk ends before it finds the one that is left.
    let names = (0..3_000).map(|at| (format!("m{at}"), 1));
    let balancer = balancer(Ring::with_points(1).unwrap(), names);
    for at in 2..3_000 {
        balancer
            .set_flag(&format!("m{at}"), Flag::Disabled)
            .unwrap();
    }
    let owners = owners(&balancer);
    let firsts = owners.iter().filter(|&owner| owner == "m0").count();
    assert!((1_000..3_000).contains(&firsts), "{firsts}");
    let request = PickRequest::new().with_hash(5);
    let explained = balancer.explain(&request);
    let picked = explained.picked().unwrap().name.clone();
    assert_eq!(&*picked, balancer.pick(&request).unwrap().member().name());
}

#[test]
fn a_pick_allocates_nothing() {
    for ring in rings() {
        let balancer = balancer(ring, numbered(&[1; 100]));
        balancer.set_flag("m3", Flag::Disabled).unwrap();
        let failed = [balancer.member("m4").unwrap().id()];
        drop(pick(&balancer, 0));
        let counted = allocation_counter::measure(|| {
            for number in 0..500_u64 {
                drop(pick(&balancer, number << 23 | number << 55).unwrap());
                drop(balancer.pick(&PickRequest::new()).unwrap());
                drop(
                    balancer
                        .pick(&PickRequest::new().with_tried(&failed))
                        .unwrap(),
                );
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_pick_fails_only_if_every_member_is_full(
        kind in 0_usize..6,
        caps in prop::collection::vec(1_u32..4, 2..10),
        keys in prop::collection::vec(any::<u64>(), 40),
    ) {
        let balancer = balancer(rings()[kind].clone(), numbered(&vec![1; caps.len()]));
        let mut room = 0;
        for (at, &cap) in caps.iter().enumerate() {
            balancer.update(&format!("m{at}"), |spec| spec.with_max_in_flight(cap)).unwrap();
            room += cap as usize;
        }
        let held: Vec<_> = keys.iter().filter_map(|&key| pick(&balancer, key).ok()).collect();
        prop_assert_eq!(held.len(), room.min(keys.len()));
        if room <= keys.len() {
            prop_assert_eq!(pick(&balancer, 0).unwrap_err(), PickError::AtCapacity);
        }
    }

    #[test]
    fn an_explanation_names_the_member_of_the_next_pick(
        kind in 0_usize..6,
        steps in prop::collection::vec((0_u32..10, 0_usize..8, any::<u64>()), 1..60),
    ) {
        let balancer = balancer(rings()[kind].clone(), numbered(&[1, 2, 3]));
        foretells(&balancer, steps)?;
    }
}
