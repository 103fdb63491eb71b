//! The cap on requests in flight.

use crate::support::{capped, fleet, in_flight, pick, picks};
use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic, MemberSpec, PickError, Scheduler};

fn each_method(test: impl Fn(&Balancer<()>)) {
    fn with(scheduler: impl Scheduler) -> Balancer<()> {
        Balancer::builder().scheduler(scheduler).build().unwrap()
    }
    test(&with(ByRequests::new()));
    test(&with(ByTraffic::new()));
    test(&with(ByBusyness::new()));
    test(&with(ByBusyness::weighted()));
}

#[test]
fn a_member_at_its_cap_is_stepped_over_until_one_of_its_requests_ends() {
    each_method(|balancer| {
        balancer.insert("a", (), capped(2));
        balancer.insert("b", (), capped(1));
        let mut held: Vec<_> = (0..3).map(|_| pick(balancer).unwrap()).collect();
        assert_eq!((in_flight(balancer, "a"), in_flight(balancer, "b")), (2, 1));
        for _ in 0..3 {
            assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        }
        for name in ["a", "b", "a"] {
            let at = held.iter().position(|lease| lease.member().name() == name);
            drop(held.swap_remove(at.unwrap()));
            held.push(pick(balancer).unwrap());
            assert_eq!(held[2].member().name(), name, "the only one with room");
            assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        }
    });
}

#[test]
fn a_cap_changes_neither_tier_nor_group() {
    let standby = MemberSpec::new().with_flag(equipoise::Flag::HotStandby);
    let spare = MemberSpec::new().with_flag(equipoise::Flag::HotSpare);
    let later = MemberSpec::new().with_tier(1);
    let (balancer, _) = fleet([("a", capped(1)), ("s", standby), ("r", spare), ("t", later)]);
    let held = pick(&balancer).unwrap();
    assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
    drop(held);
    assert_eq!(picks(&balancer, 1), "a");
}

#[test]
fn a_cap_of_nothing_is_always_reached() {
    each_method(|balancer| {
        balancer.insert("a", (), capped(0));
        assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        balancer.insert("b", (), MemberSpec::new());
        assert_eq!(picks(balancer, 3), "bbb");
        balancer
            .update("a", MemberSpec::without_max_in_flight)
            .unwrap();
        assert!(picks(balancer, 3).contains('a'));
    });
}

#[test]
fn a_cap_may_be_lowered_below_what_is_in_flight_and_raised_again() {
    each_method(|balancer| {
        balancer.insert("a", (), capped(4));
        let mut held: Vec<_> = (0..4).map(|_| pick(balancer).unwrap()).collect();
        balancer
            .update("a", |spec| spec.with_max_in_flight(2))
            .unwrap();
        for left in [3, 2] {
            held.pop();
            assert_eq!(in_flight(balancer, "a"), left);
            assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        }
        held.pop();
        held.push(pick(balancer).unwrap());
        assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        balancer
            .update("a", |spec| spec.with_max_in_flight(3))
            .unwrap();
        held.push(pick(balancer).unwrap());
        assert_eq!(in_flight(balancer, "a"), 3);
    });
}

#[test]
fn nobody_is_at_capacity_where_the_full_ones_were_tried() {
    let (balancer, _) = fleet([("a", capped(1)), ("b", MemberSpec::new())]);
    let _held = pick(&balancer).unwrap();
    let tried = [
        balancer.member("a").unwrap().id(),
        balancer.member("b").unwrap().id(),
    ];
    let request = equipoise::PickRequest::new();
    let error = balancer.pick(&request.with_tried(&tried)).unwrap_err();
    assert!(matches!(
        error,
        PickError::NoneUsable {
            members: 2,
            tried: 2,
            ..
        }
    ));
    let error = balancer.pick(&request.with_tried(&tried[1..])).unwrap_err();
    assert_eq!(error, PickError::AtCapacity);
}

#[test]
fn a_member_that_is_taken_out_at_its_cap_returns_with_room_or_without() {
    each_method(|balancer| {
        use equipoise::Flag::Disabled;
        balancer.insert("a", (), capped(1));
        balancer.insert("b", (), MemberSpec::new().with_tier(1));
        let held = pick(balancer).unwrap();
        assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        balancer.set_flag("a", Disabled).unwrap();
        assert_eq!(picks(balancer, 1), "b");
        balancer.clear_flag("a", Disabled).unwrap();
        assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        balancer.set_flag("a", Disabled).unwrap();
        drop(held);
        balancer.clear_flag("a", Disabled).unwrap();
        assert_eq!(picks(balancer, 2), "aa");
    });
}
