//! What holds for every scheduler: caps, tried members, changes, and no allocation.

use std::collections::BTreeMap;

use equipoise::{Flag, MemberSpec, PickError, PickRequest};

use crate::support::{assert_near, balancer, counts, every, pick, picked, weight};

#[test]
fn a_full_member_is_passed_over_and_only_full_ones_are_at_capacity() {
    for scheduler in every() {
        let name = scheduler.name();
        let specs = vec![
            weight(9).with_max_in_flight(1),
            weight(1).with_max_in_flight(3),
            weight(1).with_max_in_flight(2),
        ];
        let balancer = balancer(scheduler, specs);
        let mut held: Vec<_> = (0..6).map(|_| pick(&balancer)).collect();
        let mut count = [0; 3];
        held.iter().for_each(|lease| count[**lease] += 1);
        assert_eq!(count, [1, 3, 2], "{name}");
        let full = balancer.pick(&PickRequest::new()).unwrap_err();
        assert_eq!(full, PickError::AtCapacity, "{name}");
        let freed = *held.swap_remove(3);
        assert_eq!(picked(&balancer), freed, "{name}");
        balancer.set_flag("m0", Flag::Disabled).unwrap();
        balancer.set_flag("m1", Flag::Disabled).unwrap();
        balancer.set_flag("m2", Flag::Disabled).unwrap();
        let none = balancer.pick(&PickRequest::new()).unwrap_err();
        assert_ne!(none, PickError::AtCapacity, "{name}");
    }
}

#[test]
fn failed_over_requests_are_shared_too() {
    for scheduler in every() {
        let name = scheduler.name();
        let balancer = balancer(scheduler, vec![MemberSpec::new(); 5]);
        let mut second = [0; 5];
        for _ in 0..4_000 {
            let first = pick(&balancer);
            let tried = [first.member().id()];
            drop(first);
            let retry = balancer
                .pick(&PickRequest::new().with_tried(&tried))
                .unwrap();
            assert_ne!(retry.member().id(), tried[0], "{name}");
            second[*retry] += 1;
        }
        for count in second {
            assert_near(count, 800.0, 0.15);
        }
        let ids: Vec<_> = balancer.members().iter().map(|one| one.id()).collect();
        let all = PickRequest::new().with_tried(&ids);
        assert!(balancer.pick(&all).is_err(), "{name}");
        // Retries after the same failure are shared as well.
        let tried = &ids[..1];
        let mut second = [0; 5];
        for _ in 0..4_000 {
            let request = PickRequest::new().with_tried(tried);
            second[*balancer.pick(&request).unwrap()] += 1;
        }
        assert_eq!(second[0], 0, "{name}");
        for &count in &second[1..] {
            assert_near(count, 1_000.0, 0.15);
        }
    }
}

#[test]
fn members_come_and_go() {
    for scheduler in every() {
        let name = scheduler.name();
        let balancer = balancer(scheduler, vec![MemberSpec::new(); 20]);
        for step in 0..40 {
            let member = format!("m{}", step % 25);
            match step % 3 {
                0 => drop(balancer.remove(&member)),
                1 => drop(balancer.insert(&*member, step % 25, MemberSpec::new())),
                _ => drop(balancer.set_flag("m7", Flag::Draining)),
            }
            let counts: BTreeMap<_, _> = (0..200).fold(BTreeMap::new(), |mut counts, _| {
                *counts.entry(picked(&balancer)).or_insert(0) += 1;
                counts
            });
            for &at in counts.keys() {
                assert!(
                    balancer.member(&format!("m{at}")).is_some(),
                    "{name}: {at} was removed"
                );
            }
            assert!(counts.len() > 10, "{name}: {counts:?}");
        }
        balancer.clear_flag("m7", Flag::Draining).unwrap();
    }
}

#[test]
fn spares_of_another_tier_are_picked_in_turn_with_those_whose_place_they_take() {
    for scheduler in every() {
        let name = scheduler.name();
        let specs = vec![
            MemberSpec::new(),
            MemberSpec::new().with_flag(Flag::Disabled),
            MemberSpec::new().with_flag(Flag::HotSpare),
            MemberSpec::new().with_tier(1),
        ];
        let balancer = balancer(scheduler, specs);
        let counts = counts(&balancer, 4_000);
        assert_eq!((counts[1], counts[3]), (0, 0), "{name}");
        assert_near(counts[0], 2_000.0, 0.1);
    }
}

#[test]
fn a_pick_allocates_nothing() {
    for count in [8, 100] {
        for scheduler in every() {
            let name = scheduler.name();
            let weights = (0..count).map(|at| weight(1 + at % 5));
            let balancer = balancer(scheduler, weights.collect());
            balancer.set_flag("m3", Flag::Disabled).unwrap();
            balancer.learned_limit("m2").unwrap().set(Some(1));
            let tried = [balancer.member("m1").unwrap().id()];
            drop(pick(&balancer));
            let mut held = Vec::with_capacity(50);
            let counted = allocation_counter::measure(|| {
                for round in 0..1_000 {
                    drop(pick(&balancer));
                    drop(
                        balancer
                            .pick(&PickRequest::new().with_tried(&tried))
                            .unwrap(),
                    );
                    if round % 20 == 0 {
                        held.push(pick(&balancer));
                    }
                }
                held.clear();
            });
            assert_eq!(counted.count_total, 0, "{name} of {count}: {counted:?}");
        }
    }
}

#[test]
fn one_seed_gives_one_sequence_of_picks() {
    for (one, other) in every().into_iter().zip(every()) {
        let specs = || (1..30).map(weight).collect::<Vec<_>>();
        let (one, other) = (balancer(one, specs()), balancer(other, specs()));
        for _ in 0..500 {
            assert_eq!(picked(&one), picked(&other));
        }
    }
}
