//! Waiting until a removed member has ended its requests.

use crate::support::{Task, pick, plain};
use equipoise::MemberSpec;

#[test]
fn a_removed_member_is_drained_when_its_last_request_ends() {
    let balancer = plain(["a"]);
    let leases = [pick(&balancer).unwrap(), pick(&balancer).unwrap()];
    let removed = balancer.remove("a").unwrap();
    let mut drained = Task::pending(removed.drained());
    let [first, last] = leases;
    drop(first);
    assert!(drained.run().is_none());
    drop(last);
    assert!(drained.run().is_some());
}

#[test]
fn a_member_without_requests_is_drained_at_once() {
    let balancer = plain(["a"]);
    let removed = balancer.remove("a").unwrap();
    assert!(Task::new(removed.drained()).poll().is_ready());
}

#[test]
fn several_may_wait_and_who_stops_waiting_disturbs_nobody() {
    let balancer = plain(["a"]);
    let lease = pick(&balancer).unwrap();
    let removed = balancer.remove("a").unwrap();
    let impatient = Task::pending(removed.drained());
    let mut patient = Task::pending(removed.drained());
    let mut late = Task::pending(removed.drained());
    drop(impatient);
    drop(removed);
    drop(lease.into_guard());
    assert!(patient.run().is_some());
    assert!(late.run().is_some());
}

#[test]
fn it_waits_for_the_requests_of_a_name_that_returned_too() {
    let balancer = plain(["a"]);
    let before = pick(&balancer).unwrap();
    let removed = balancer.remove("a").unwrap();
    balancer.insert("a", "a", MemberSpec::new()).unwrap();
    let after = pick(&balancer).unwrap();
    let mut drained = Task::pending(removed.drained());
    drop(before);
    assert!(drained.run().is_none());
    drop(after);
    assert!(drained.run().is_some());
}
