//! The laws of maps and ranges: shares, and which keys move.

use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::member::Ramp;
use equipoise::scheduler::{Maglev, Modulo, Ring, Scheduler};
use equipoise::stable_hash::{crc32_with_length, hash_bytes};
use equipoise::{Balancer, Flag, MemberSpec, PickError, PickRequest, Weight};
use proptest::prelude::*;

use super::foretold::foretells;
use super::{balancer, numbered, owners, pick, picked};

fn both() -> [Modulo; 2] {
    [Modulo::new(), Modulo::nginx()]
}

#[test]
fn each_has_its_name() {
    assert_eq!(both().map(|one| one.name()), ["modulo", "modulo-nginx"]);
    assert_eq!(Modulo::default().name(), "modulo");
    assert_eq!(
        both().map(|one| format!("{one:?}")),
        [
            r#"Modulo { lookup: "map", .. }"#,
            r#"Modulo { lookup: "ranges", .. }"#
        ]
    );
}

#[test]
fn shares_follow_the_weights() {
    for scheduler in both() {
        let balancer = balancer(scheduler, numbered(&[1, 2, 5]));
        let owners = owners(&balancer);
        let count = |name: &str| owners.iter().filter(|&owner| owner == name).count();
        for (name, expected) in [("m0", 500), ("m1", 1_000), ("m2", 2_500)] {
            assert!(
                count(name).abs_diff(expected) < 150,
                "{name}: {}",
                count(name)
            );
        }
    }
}

/// A balancer of members that have all recovered at this moment, and ramp up but for the first
/// `settled` ones.
fn recovered(scheduler: impl Scheduler, weights: &[u32], settled: usize) -> Balancer<()> {
    let clock = ManualClock::new();
    let members = (0..).zip(numbered(weights)).map(|(at, (name, weight))| {
        let spec = MemberSpec::new().with_weight(Weight::new(weight).unwrap());
        let ramp = Ramp::over(Duration::from_secs(160));
        let ramp = if at < settled { Ramp::NONE } else { ramp };
        (name, (), spec.with_ramp(ramp))
    });
    let builder = Balancer::builder().scheduler(scheduler).seed(7);
    let builder = builder.clock(clock.clone()).forced_recovery(false);
    let balancer = builder.members(members).build().unwrap();
    clock.advance(Duration::from_secs(1_000));
    for (name, _) in numbered(weights) {
        balancer.set_flag(&name, Flag::FailedCheck).unwrap();
    }
    for (name, _) in numbered(weights) {
        balancer.clear_flag(&name, Flag::FailedCheck).unwrap();
    }
    balancer
}

#[test]
fn members_that_ramp_up_together_have_the_shares_of_their_weights() {
    let schedulers: [Box<dyn Scheduler>; 4] = [
        Box::new(Modulo::new()),
        Box::new(Modulo::nginx()),
        Box::new(Maglev::new()),
        Box::new(Ring::with_points(655).unwrap()),
    ];
    for scheduler in schedulers {
        let name = scheduler.name();
        let balancer = recovered(scheduler, &[1, 2, 7], 0);
        let owners = owners(&balancer);
        for (member, expected) in [("m0", 400), ("m1", 800), ("m2", 2_800_usize)] {
            let count = owners.iter().filter(|&owner| owner == member).count();
            assert!(
                count.abs_diff(expected) < 200,
                "{name}, {member}: {count} of {expected}"
            );
        }
    }
}

#[test]
fn keys_that_thinned_members_pass_on_are_shared_by_the_map() {
    // One member has its full weight, the others a sixteenth of theirs.
    let balancer = recovered(Modulo::new(), &[1; 100], 1);
    let by_score = |number: &u64| {
        let key = hash_bytes(&number.to_le_bytes());
        let explained = balancer.explain(&PickRequest::new().with_hash(key));
        let foreseen = explained.picked().unwrap().name.clone();
        assert_eq!(*foreseen, picked(&balancer, key, &[]));
        let notes = &explained.details().notes;
        notes.iter().any(|note| note.contains("scores decide"))
    };
    let by_score = (0..1_000).filter(by_score).count();
    assert!(
        by_score < 50,
        "{by_score}: each costs a look at all members"
    );
}

#[test]
fn a_map_has_a_slot_for_each_unit_of_the_eligible_weight() {
    let balancer = balancer(Modulo::new(), numbered(&[4, 2, 6]));
    let slots =
        |count| -> Vec<String> { (0..count).map(|key| picked(&balancer, key, &[])).collect() };
    assert_eq!(slots(6), ["m0", "m2", "m0", "m2", "m1", "m2"]);
    balancer.set_flag("m2", Flag::Disabled).unwrap();
    assert_eq!(slots(4), ["m0", "m0", "m1", "m0"]);
    let explained = balancer.explain(&PickRequest::new().with_hash(7));
    let position = explained.details().position.unwrap();
    assert_eq!((position.index, position.len), (1, 3));
    balancer.clear_flag("m2", Flag::Disabled).unwrap();
    let weight = Weight::new(2).unwrap();
    for name in ["m0", "m2"] {
        balancer
            .update(name, |spec| spec.with_weight(weight))
            .unwrap();
    }
    assert_eq!(slots(4), ["m0", "m1", "m2", "m0"]);
}

#[test]
fn with_ranges_a_failure_moves_the_keys_of_the_member_only() {
    let balancer = balancer(Modulo::nginx(), numbered(&[1, 2, 3, 4]));
    let before = owners(&balancer);
    balancer.set_flag("m3", Flag::FailedCheck).unwrap();
    for (before, after) in before.iter().zip(owners(&balancer)) {
        assert!(*before == after || before == "m3");
        assert_ne!(after, "m3");
    }
    balancer.clear_flag("m3", Flag::FailedCheck).unwrap();
    assert_eq!(owners(&balancer), before);
}

/// Where the keys of one of `count` equal members go after it has failed.
fn failed_over(scheduler: Modulo, count: usize) -> Vec<usize> {
    let balancer = balancer(scheduler, numbered(&vec![1; count]));
    let failed = balancer.member("m3").unwrap().id();
    let mut counts = vec![0; count];
    for number in 0..8_000_u64 {
        let key = crc32_with_length(&number.to_le_bytes());
        if picked(&balancer, key, &[]) == "m3" {
            let other = picked(&balancer, key, &[failed]);
            counts[other[1..].parse::<usize>().unwrap()] += 1;
        }
    }
    assert_eq!(counts[3], 0);
    counts
}

#[test]
fn requests_that_fail_over_are_shared() {
    for scheduler in both() {
        let counts = failed_over(scheduler, 7);
        let total: usize = counts.iter().sum();
        let others = counts.iter().filter(|&&count| count > 0);
        let least = others.clone().min().unwrap();
        assert_eq!(others.clone().count(), 6);
        let most = others.max().unwrap();
        assert!(*most < total / 4 && *least > total / 12, "{counts:?}");
    }
}

/// The CRCs of two texts of one length differ in the same bits as those of the texts with a
/// prefix. So the second remainder follows from the first if only some bits count.
#[test]
fn a_power_of_two_sends_keys_of_one_length_to_one_other_member_as_in_nginx() {
    let counts = failed_over(Modulo::nginx(), 8);
    assert_eq!(counts.iter().filter(|&&count| count > 0).count(), 1);
}

/// Returns the shares of all hashes of 15 bits that each member has, by the first hash, and
/// whether the explanation has a remark.
fn shares_by_hash(hundredths: &[u32]) -> (Vec<f64>, bool) {
    let weights = hundredths.iter().map(|&weight| {
        let weight = Weight::from_hundredths(weight).unwrap();
        MemberSpec::new().with_weight(weight)
    });
    let members = weights.enumerate();
    let balancer = Balancer::builder()
        .scheduler(Modulo::nginx())
        .members(members.map(|(at, spec)| (format!("m{at}"), at, spec)))
        .build()
        .unwrap();
    let mut counts = vec![0; hundredths.len()];
    for hash in 0..1_u64 << 15 {
        let request = PickRequest::new().with_hash(hash << 16);
        counts[*balancer.pick(&request).unwrap()] += 1;
    }
    let explained = balancer.explain(&PickRequest::new().with_hash(0));
    let notes = explained.details().notes.iter();
    let counts = counts.into_iter();
    (
        counts.map(|it| f64::from(it) / 32_768.0).collect(),
        notes.filter(|note| note.contains("15 bits")).count() > 0,
    )
}

#[test]
fn fractions_of_weights_leave_no_member_of_nginxs_ranges_without_keys() {
    let weights: Vec<u32> = (0..10).map(|at| [10_000, 9_950][at % 2]).collect();
    for weights in [weights, vec![10_000, 10_000, 5_050]] {
        let total: u32 = weights.iter().sum();
        let (shares, is_noted) = shares_by_hash(&weights);
        for (share, &weight) in shares.iter().zip(&weights) {
            let due = f64::from(weight) / f64::from(total);
            assert!((share / due - 1.0).abs() < 0.06, "{shares:?}");
        }
        assert!(!is_noted);
    }
}

#[test]
fn weights_that_are_too_fine_for_nginxs_hashes_are_noted() {
    let (shares, is_noted) = shares_by_hash(&[20_001, 20_000]);
    assert!(is_noted && shares[1] < 0.4, "{shares:?}");
    let (shares, is_noted) = shares_by_hash(&[4_000_000, 100]);
    assert!(is_noted && shares[1] == 0.0, "{shares:?}");
    assert!(!shares_by_hash(&[200, 400]).1);
}

#[test]
fn a_request_without_a_key_gets_a_random_one() {
    for scheduler in both() {
        let balancer = balancer(scheduler, numbered(&[1, 3]));
        let heavy = (0..4_000).filter(|_| {
            let explained = balancer.explain(&PickRequest::new());
            let foreseen = explained.picked().unwrap().name.clone();
            let lease = balancer.pick(&PickRequest::new()).unwrap();
            assert_eq!(&*foreseen, lease.member().name());
            lease.member().name() == "m1"
        });
        let heavy = heavy.count();
        assert!(heavy.abs_diff(3_000) < 150, "{heavy}");
    }
}

#[test]
fn a_pick_allocates_nothing() {
    for scheduler in both() {
        let balancer = balancer(scheduler, numbered(&[1; 100]));
        balancer.set_flag("m3", Flag::Disabled).unwrap();
        let failed = [balancer.member("m4").unwrap().id()];
        drop(pick(&balancer, 0));
        let counted = allocation_counter::measure(|| {
            for number in 0..500_u64 {
                let key = hash_bytes(&number.to_le_bytes());
                let request = PickRequest::new().with_hash(key).with_tried(&failed);
                drop(balancer.pick(&request).unwrap());
                drop(balancer.pick(&PickRequest::new()).unwrap());
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
    }
}

#[test]
fn a_scheduler_set_later_has_the_map_of_the_members() {
    let balancer = Balancer::new(["a", "b", "c"].map(|name| (name, ()))).unwrap();
    balancer.set_scheduler(Modulo::new());
    let slots: Vec<String> = (0..3).map(|key| picked(&balancer, key, &[])).collect();
    assert_eq!(slots, ["a", "b", "c"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_pick_fails_only_if_every_member_is_full(
        kind in 0_usize..2,
        caps in prop::collection::vec(1_u32..4, 2..10),
        keys in prop::collection::vec(any::<u64>(), 40),
    ) {
        let [map, ranges] = both();
        let scheduler = if kind == 0 { map } else { ranges };
        let balancer = balancer(scheduler, numbered(&vec![1; caps.len()]));
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
        kind in 0_usize..2,
        steps in prop::collection::vec((0_u32..10, 0_usize..8, any::<u64>()), 1..60),
    ) {
        let [map, ranges] = both();
        let scheduler = if kind == 0 { map } else { ranges };
        let balancer = balancer(scheduler, numbered(&[1, 2, 3]));
        foretells(&balancer, steps)?;
    }
}
