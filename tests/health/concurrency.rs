//! Limits that follow the latency of members.

use std::time::Duration;

use equipoise::health::{AdaptiveLimit, Aimd, Gradient2};
use equipoise::member::{Cause, MAX_IN_FLIGHT};
use equipoise::{Balancer, Lease, MemberSpec, PickRequest};

use super::simulation::{MILLI, SECOND, Simulation};

fn cap(farm: &Simulation, name: &str) -> u32 {
    farm.balancer.member(name).unwrap().max_in_flight()
}

#[test]
fn each_member_has_the_first_limit_from_the_beginning_and_none_afterwards() {
    let farm = Simulation::of(2);
    let limits = AdaptiveLimit::new(&farm.balancer, Gradient2::new);
    assert_eq!((cap(&farm, "m0"), cap(&farm, "m1")), (20, 20));
    farm.balancer
        .insert("m2", (), MemberSpec::new().with_max_in_flight(7))
        .unwrap();
    assert_eq!(cap(&farm, "m2"), 7, "the smaller counts");
    farm.balancer
        .update("m2", |spec| spec.with_max_in_flight(70))
        .unwrap();
    assert_eq!(cap(&farm, "m2"), 20);
    drop(limits);
    assert_eq!((cap(&farm, "m0"), cap(&farm, "m2")), (MAX_IN_FLIGHT, 70));
}

#[test]
fn a_limit_grows_while_it_is_used_and_answers_are_as_fast_as_ever() {
    let mut farm = Simulation::of(2);
    let limits = AdaptiveLimit::new(&farm.balancer, Gradient2::new);
    // 2 × 5 in flight: no reason to grow.
    farm.run(SECOND * 5, MILLI * 2, |_| (200, MILLI * 20));
    assert_eq!(cap(&farm, "m0"), 20);
    // 2 × 20 in flight are all that is allowed, and more would be.
    farm.run(SECOND * 30, MILLI / 2, |_| (200, MILLI * 20));
    assert!(cap(&farm, "m0") > 30, "{}", cap(&farm, "m0"));
    drop(limits);
}

#[test]
fn a_limit_shrinks_where_answers_take_longer_and_elsewhere_it_does_not() {
    let mut farm = Simulation::of(2);
    let rule = || Gradient2::new().with_bounds(2, 200).with_initial(50);
    let limits = AdaptiveLimit::builder(rule)
        .window(MILLI * 100)
        .watch(&farm.balancer);
    farm.run(SECOND * 2, MILLI / 2, |_| (200, MILLI * 20));
    let before = cap(&farm, "m1");
    farm.run(SECOND * 4, MILLI / 2, |name| match name {
        "m1" => (200, MILLI * 100),
        _ => (200, MILLI * 20),
    });
    assert!(
        cap(&farm, "m1") * 2 < before,
        "{before} to {}",
        cap(&farm, "m1")
    );
    assert!(cap(&farm, "m0") >= before);
    drop(limits);
}

#[test]
fn a_member_that_has_failed_at_once_is_held_against_no_time_but_that_of_its_work() {
    let mut farm = Simulation::of(2);
    let rule = || Gradient2::new().with_bounds(2, 200).with_initial(50);
    let limits = AdaptiveLimit::builder(rule)
        .window(MILLI * 100)
        .watch(&farm.balancer);
    farm.run(SECOND * 2, MILLI / 2, |_| (200, MILLI * 20));
    let before = cap(&farm, "m1");
    farm.run(SECOND * 10, MILLI / 2, |name| match name {
        "m1" => (500, MILLI / 10),
        _ => (200, MILLI * 20),
    });
    farm.run(SECOND * 2, MILLI / 4, |_| (200, MILLI * 20));
    let after = cap(&farm, "m1");
    assert!(after >= before, "{before} to {after}");
    drop(limits);
}

fn lease(balancer: &Balancer<()>) -> Lease<()> {
    balancer.pick(&PickRequest::new()).unwrap()
}

#[test]
fn a_drop_takes_a_tenth_of_it_and_a_window_has_ten_requests_at_least() {
    let farm = Simulation::of(1);
    let limits = AdaptiveLimit::new(&farm.balancer, Aimd::new);
    let rule = || Aimd::new().with_bounds(1, 200).with_initial(100);
    drop(limits);
    let limits = AdaptiveLimit::new(&farm.balancer, rule);
    let answer = |count: u32, status| {
        for _ in 0..count {
            let mut lease = lease(&farm.balancer);
            lease.record_head(Some(status));
        }
    };
    farm.clock.advance(SECOND);
    answer(9, 503);
    assert_eq!(cap(&farm, "m0"), 100);
    answer(1, 200);
    assert_eq!(cap(&farm, "m0"), 90);
    answer(99, 503);
    assert_eq!(cap(&farm, "m0"), 90, "the window is not over");
    farm.clock.advance(SECOND);
    answer(1, 200);
    assert_eq!(cap(&farm, "m0"), 81);
    for _ in 0..20 {
        lease(&farm.balancer).fail(Cause::TimedOut);
    }
    farm.clock.advance(SECOND);
    answer(1, 200);
    assert_eq!(cap(&farm, "m0"), 72);
    drop(limits);
}

#[test]
fn a_clock_that_is_put_back_holds_no_limit_up() {
    let farm = Simulation::of(1);
    let rule = || Aimd::new().with_bounds(1, 200).with_initial(100);
    farm.clock.advance(Duration::from_secs(3_600));
    let limits = AdaptiveLimit::new(&farm.balancer, rule);
    farm.clock.set(equipoise::clock::Timestamp::ORIGIN);
    for _ in 0..10 {
        let mut lease = lease(&farm.balancer);
        lease.record_head(Some(503));
    }
    assert_eq!(cap(&farm, "m0"), 90);
    drop(limits);
}
