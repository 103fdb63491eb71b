//! Standing in line for a member: order, and who does not have to.

use crate::support::{Task, capped, fleet, pick};
use equipoise::{Balancer, Flag, Lease, MemberSpec, PickError, PickRequest};
use std::future::{Future, pending};

fn wait<'r>(
    balancer: &Balancer<&'static str>,
    request: PickRequest<'r>,
) -> impl Future<Output = Result<Lease<&'static str>, PickError>> + use<'r> {
    balancer.pick_wait(&request, pending())
}

/// One member that takes one request at a time.
fn narrow() -> Balancer<&'static str> {
    fleet([("a", capped(1))]).0
}

#[test]
fn who_comes_first_is_served_first() {
    let balancer = narrow();
    let mut held = pick(&balancer).unwrap();
    let mut line: Vec<_> = (0..4)
        .map(|_| Task::pending(wait(&balancer, PickRequest::new())))
        .collect();
    while !line.is_empty() {
        drop(held);
        assert!(
            line.iter().skip(1).all(|task| !task.is_woken()),
            "only the first is woken"
        );
        assert!(line.iter_mut().skip(1).all(|task| task.poll().is_pending()));
        held = line.remove(0).run().expect("its turn").unwrap();
        for task in &mut line {
            assert!(task.run().is_none());
        }
    }
}

#[test]
fn a_plain_pick_does_not_overtake() {
    let balancer = narrow();
    let held = pick(&balancer).unwrap();
    let mut first = Task::pending(wait(&balancer, PickRequest::new()));
    drop(held);
    assert_eq!(pick(&balancer).unwrap_err(), PickError::AtCapacity);
    drop(first.run().unwrap().unwrap());
    assert!(pick(&balancer).is_ok(), "nobody is in line any more");
}

#[test]
fn who_leaves_the_line_passes_its_turn_on() {
    let balancer = narrow();
    let held = pick(&balancer).unwrap();
    let first = Task::pending(wait(&balancer, PickRequest::new()));
    let middle = Task::pending(wait(&balancer, PickRequest::new()));
    let mut last = Task::pending(wait(&balancer, PickRequest::new()));
    drop(middle);
    drop(held);
    assert!(first.is_woken() && !last.is_woken());
    drop(first);
    assert!(last.run().is_some());
}

#[test]
fn several_free_places_serve_several_in_line() {
    let (balancer, _) = fleet([("a", capped(3))]);
    let held: Vec<_> = (0..3).map(|_| pick(&balancer).unwrap()).collect();
    let mut line: Vec<_> = (0..3)
        .map(|_| Task::pending(wait(&balancer, PickRequest::new())))
        .collect();
    drop(held);
    let mut served = Vec::new();
    for task in &mut line {
        served.push(task.run().expect("who is served wakes the next").unwrap());
    }
    assert_eq!(balancer.member("a").unwrap().in_flight(), 3);
}

#[test]
fn a_request_that_has_tried_members_waits_beside_the_line() {
    let (balancer, _) = fleet([("a", capped(1)), ("b", MemberSpec::new())]);
    let tried = [balancer.member("b").unwrap().id()];
    let held = pick(&balancer).unwrap();
    assert_eq!(*held, "a");
    let mut beside = Task::pending(wait(&balancer, PickRequest::new().with_tried(&tried)));
    assert_eq!(*pick(&balancer).unwrap(), "b", "others are not held up");
    drop(held);
    let lease = beside.run().expect("it is told").unwrap();
    assert_eq!(*lease, "a");
}

#[test]
fn a_request_that_insists_on_its_member_waits_beside_the_line() {
    let full = capped(1).with_route("r");
    let (balancer, _) = fleet([("a", full), ("b", MemberSpec::new())]);
    let insists = PickRequest::new()
        .with_session(Some("r"))
        .with_no_failover();
    let held = balancer.pick(&insists).unwrap();
    let mut beside = Task::pending(wait(&balancer, insists));
    assert_eq!(*pick(&balancer).unwrap(), "b", "others are not held up");
    drop(held);
    assert_eq!(*beside.run().expect("it is told").unwrap(), "a");
}

/// A drains and serves its sessions; B is out, so that a newcomer has to wait.
fn draining() -> Balancer<&'static str> {
    let drains = MemberSpec::new().with_route("a").with_flag(Flag::Draining);
    let out = MemberSpec::new().with_flag(Flag::Disabled);
    fleet([("a", drains), ("b", out)]).0
}

#[test]
fn a_session_whose_member_can_serve_is_not_held_up_by_the_line() {
    let balancer = draining();
    let session = PickRequest::new().with_session(Some("a"));
    let _newcomer = Task::pending(wait(&balancer, PickRequest::new()));
    let lease = balancer
        .pick(&session)
        .expect("nobody in line could have a");
    assert_eq!(*lease, "a");
}

#[test]
fn a_session_whose_member_can_serve_does_not_wait_behind_the_line() {
    let balancer = draining();
    let session = PickRequest::new().with_session(Some("a"));
    let _newcomer = Task::pending(wait(&balancer, PickRequest::new()));
    let mut waiting = Task::new(wait(&balancer, session));
    assert!(waiting.poll().is_ready());
}

#[test]
fn a_session_is_served_by_its_member_when_its_turn_comes() {
    let full = || capped(1);
    let (balancer, _) = fleet([("a", full().with_route("a")), ("b", full())]);
    let [first, second] = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    let session = PickRequest::new().with_session(Some("a"));
    let mut waiting = Task::pending(wait(&balancer, session));
    drop(first);
    let lease = waiting.run().unwrap().unwrap();
    assert_eq!((*lease, lease.session()), ("a", equipoise::Session::Hit));
    drop(second);
}
