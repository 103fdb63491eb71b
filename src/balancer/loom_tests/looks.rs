//! Picks that look at few members without a lock, and notes of loads where there are many:
//! against other picks, ends and changes of the group. Two members are few here.

use super::super::{Balancer, PickRequest};
use super::{capped, check, empty, in_flight, join, pick, picked, spawn};
use crate::member::{Flag, MemberSpec};
use crate::scheduler::ByBusyness;

fn of(names: &[&str], spec: &MemberSpec) -> Balancer<()> {
    let members = names.iter().map(|&name| (name, (), spec.clone()));
    let builder = empty().scheduler(ByBusyness::new());
    builder.members(members).build().unwrap()
}

fn few() -> Balancer<()> {
    of(&["a", "b"], &MemberSpec::new())
}

fn many() -> Balancer<()> {
    of(&["a", "b", "c"], &MemberSpec::new())
}

/// Nothing is in flight, and picks that are held go once round all members.
fn assert_idle_and_even(balancer: &Balancer<()>) {
    let members = balancer.members();
    let standings = members.iter().map(|it| balancer.standing(it.name()));
    assert_eq!(standings.map(Option::unwrap).sum::<i64>(), 0);
    let leases: Vec<_> = members.iter().map(|_| picked(balancer)).collect();
    for member in &members {
        assert_eq!(member.in_flight(), 1, "{}", member.name());
    }
    drop(leases);
}

#[test]
fn loom_two_looks_at_once_do_not_take_the_same_member() {
    check(|| {
        let balancer = few();
        let other = balancer.clone();
        let picking = spawn(move || picked(&other));
        let first = picked(&balancer);
        let second = join(picking);
        assert_ne!(first.member().name(), second.member().name());
        drop((first, second));
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_look_during_a_change_of_the_group_is_counted_once() {
    check(|| {
        let balancer = few();
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        balancer.set_flag("b", Flag::Draining).unwrap();
        join(picking);
        balancer.clear_flag("b", Flag::Draining).unwrap();
        assert_eq!(in_flight(&balancer, "a") + in_flight(&balancer, "b"), 0);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_look_while_the_members_become_many_is_counted_once() {
    check(|| {
        let balancer = few();
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        balancer.insert("c", (), MemberSpec::new()).unwrap();
        join(picking);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_pick_while_the_members_become_few_is_counted_once() {
    check(|| {
        let balancer = many();
        let other = balancer.clone();
        let picking = spawn(move || drop(picked(&other)));
        balancer.set_flag("c", Flag::Draining).unwrap();
        join(picking);
        balancer.clear_flag("c", Flag::Draining).unwrap();
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_look_claims_no_member_that_is_removed() {
    check(|| {
        let balancer = few();
        let other = balancer.clone();
        let picking = spawn(move || picked(&other));
        let removed = balancer.remove("a").unwrap();
        let lease = join(picking);
        let on_removed = u32::from(lease.member().name() == "a");
        assert_eq!(removed.in_flight(), on_removed);
        assert_eq!(picked(&balancer).member().name(), "b");
        drop(lease);
        assert_eq!(removed.in_flight(), 0);
    });
}

#[test]
fn loom_a_full_member_whose_lease_ends_is_not_left_aside() {
    check(|| {
        let balancer = of(&["a"], &capped(1));
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        drop(pick(&balancer));
        join(ending);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_an_end_while_its_load_is_noted_is_not_lost() {
    check(|| {
        let balancer = many();
        let leases = [(); 3].map(|()| picked(&balancer));
        let [first, second, third] = leases;
        let ending = spawn(move || drop(first));
        // It reads loads again and notes them.
        let fourth = picked(&balancer);
        join(ending);
        drop((second, third, fourth));
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_a_session_beside_a_pick_of_many_is_load() {
    check(|| {
        let route = MemberSpec::new().with_route("r");
        let balancer = of(&["a", "b", "c"], &route);
        let other = balancer.clone();
        let session = spawn(move || {
            let request = PickRequest::new().with_session(Some("r"));
            drop(other.pick(&request).unwrap());
        });
        drop(picked(&balancer));
        join(session);
        assert_idle_and_even(&balancer);
    });
}
