//! The cap on requests in flight.

use crate::support::{Task, capped, fleet, in_flight, pick, picks};
use equipoise::member::MAX_IN_FLIGHT;
use equipoise::{
    Balancer, ByBusyness, ByRequests, ByTraffic, MemberSpec, PickError, PickRequest, Scheduler,
};

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
        balancer.insert("a", (), capped(2)).unwrap();
        balancer.insert("b", (), capped(1)).unwrap();
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
        balancer.insert("a", (), capped(0)).unwrap();
        assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        balancer.insert("b", (), MemberSpec::new()).unwrap();
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
        balancer.insert("a", (), capped(4)).unwrap();
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
    let request = PickRequest::new();
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
        balancer.insert("a", (), capped(1)).unwrap();
        balancer
            .insert("b", (), MemberSpec::new().with_tier(1))
            .unwrap();
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

#[test]
fn the_smaller_of_the_specs_cap_and_the_learned_limit_counts() {
    each_method(|balancer| {
        balancer.insert("a", (), capped(2)).unwrap();
        let limit = balancer.learned_limit("a").unwrap();
        let full_with = |count: usize| {
            let held: Vec<_> = (0..count).map(|_| pick(balancer).unwrap()).collect();
            assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
            drop(held);
        };
        limit.set(Some(1));
        full_with(1);
        limit.set(Some(3));
        full_with(2);
        balancer
            .update("a", MemberSpec::without_max_in_flight)
            .unwrap();
        full_with(3);
        limit.set(None);
        let held: Vec<_> = (0..9).map(|_| pick(balancer).unwrap()).collect();
        assert_eq!(balancer.member("a").unwrap().max_in_flight(), MAX_IN_FLIGHT);
        drop(held);
    });
}

#[test]
fn a_learned_limit_below_what_is_in_flight_cancels_nothing() {
    each_method(|balancer| {
        balancer.insert("a", (), MemberSpec::new()).unwrap();
        let mut held: Vec<_> = (0..3).map(|_| pick(balancer).unwrap()).collect();
        held[0].learned_limit().set(Some(1));
        assert_eq!(in_flight(balancer, "a"), 3);
        for left in [2, 1] {
            held.pop();
            assert_eq!(in_flight(balancer, "a"), left);
            assert_eq!(pick(balancer).unwrap_err(), PickError::AtCapacity);
        }
        held.pop();
        held.push(pick(balancer).unwrap());
    });
}

#[test]
fn a_member_at_its_learned_limit_is_stepped_over_until_the_limit_is_raised() {
    each_method(|balancer| {
        balancer.insert("a", (), MemberSpec::new()).unwrap();
        balancer.insert("b", (), MemberSpec::new()).unwrap();
        let limit = balancer.learned_limit("a").unwrap();
        limit.set(Some(0));
        assert_eq!(picks(balancer, 4), "bbbb");
        limit.set(Some(1));
        let both = [pick(balancer).unwrap(), pick(balancer).unwrap()];
        assert!(both.iter().any(|lease| lease.member().name() == "a"));
        assert_eq!(picks(balancer, 2), "bb");
    });
}

#[test]
fn a_learned_limit_belongs_to_the_member_and_goes_with_it() {
    let (balancer, _) = fleet([("a", capped(9))]);
    balancer.learned_limit("a").unwrap().set(Some(4));
    let learned = || balancer.member("a").unwrap().learned_limit();
    balancer
        .insert("a", "another payload", MemberSpec::new())
        .unwrap();
    assert_eq!(learned(), Some(4));
    balancer
        .update("a", |spec| spec.with_max_in_flight(7))
        .unwrap();
    assert_eq!(learned(), Some(4));
    balancer.replace_all([("a", "", capped(5))]).unwrap();
    assert_eq!(learned(), Some(4));
    assert_eq!(balancer.spec("a").unwrap().max_in_flight(), Some(5));

    balancer.remove("a").unwrap();
    balancer.insert("a", "a", MemberSpec::new()).unwrap();
    assert_eq!(learned(), None);
}

#[test]
fn raising_a_learned_limit_serves_as_many_of_the_line_as_there_is_room_for() {
    let (balancer, _) = fleet([("a", MemberSpec::new())]);
    let held = pick(&balancer).unwrap();
    let limit = held.into_guard().learned_limit();
    limit.set(Some(0));
    let wait = || balancer.pick_wait(&PickRequest::new(), std::future::pending());
    let mut line = [(); 3].map(|()| Task::pending(wait()));
    limit.set(Some(2));
    let served: Vec<_> = line.iter_mut().map(|task| task.run()).collect();
    assert_eq!(served.iter().flatten().count(), 2);
    assert!(served[2].is_none(), "the last one came last");
    limit.set(None);
    assert!(line[2].run().is_some());
}

#[test]
fn a_session_at_its_members_learned_limit_waits_beside_the_line_until_it_is_raised() {
    let (balancer, _) = fleet([("a", MemberSpec::new().with_route("r"))]);
    let limit = balancer.learned_limit("a").unwrap();
    limit.set(Some(0));
    let request = PickRequest::new()
        .with_session(Some("r"))
        .with_no_failover();
    let mut session = Task::pending(balancer.pick_wait(&request, std::future::pending()));
    limit.set(Some(1));
    assert!(matches!(session.run(), Some(Ok(_))));
}

#[test]
fn a_limit_that_is_set_to_what_it_is_wakes_nobody() {
    let (balancer, _) = fleet([("a", MemberSpec::new())]);
    let limit = balancer.learned_limit("a").unwrap();
    limit.set(Some(0));
    let wait = balancer.pick_wait(&PickRequest::new(), std::future::pending());
    let waiting = Task::pending(wait);
    limit.set(Some(0));
    assert!(!waiting.is_woken());
}

#[test]
fn a_learned_limit_is_found_by_the_id_of_a_member_that_is_there() {
    let (balancer, _) = fleet([("a", MemberSpec::new())]);
    let id = balancer.member("a").unwrap().id();
    let limit = balancer.learned_limit(id).unwrap();
    balancer.remove("a").unwrap();
    assert!(balancer.learned_limit(id).is_none());
    assert!(balancer.learned_limit("a").is_none());
    limit.set(Some(1)); // of no use, and of no harm
    balancer.insert("b", "b", MemberSpec::new()).unwrap();
    assert!(balancer.learned_limit(id).is_none(), "whoever has its slot");
}
