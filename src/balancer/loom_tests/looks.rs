//! Picks that look at few members without a lock, and notes of loads where there are many:
//! against other picks, ends and changes of the group. Two members are few here.

use super::super::{Balancer, PickRequest};
use super::{capped, check, empty, in_flight, join, pick, picked, spawn};
use crate::member::{Flag, MemberSpec, Weight};
use crate::scheduler::ByBusyness;

/// The weight of a member that comes and goes, in hundredths.
const GUEST: u32 = 997;

fn guest() -> MemberSpec {
    MemberSpec::new().with_weight(Weight::from_hundredths(GUEST).unwrap())
}

fn of<'m>(members: impl IntoIterator<Item = (&'m str, MemberSpec)>) -> Balancer<()> {
    let members = members.into_iter().map(|(name, spec)| (name, (), spec));
    let builder = empty().scheduler(ByBusyness::new());
    builder.members(members).build().unwrap()
}

fn few() -> Balancer<()> {
    of(["a", "b"].map(|name| (name, MemberSpec::new().with_route(name))))
}

fn many() -> Balancer<()> {
    of(["a", "b", "c"].map(|name| (name, MemberSpec::new().with_route(name))))
}

fn many_with_guest() -> Balancer<()> {
    let stay = ["a", "b"].map(|name| (name, MemberSpec::new().with_route(name)));
    of(stay.into_iter().chain([("guest", guest())]))
}

/// A pick of a session of "a".
fn hit(balancer: &Balancer<()>) {
    let request = PickRequest::new().with_session(Some("a"));
    drop(balancer.pick(&request).unwrap());
}

/// Each pick gave each member its weight, and took the total from the member that was
/// picked. Modulo the guest's weight, the total is that of those that `stay`, whether the
/// guest was there or not.
fn assert_counted_once(balancer: &Balancer<()>, stay: &[&str]) {
    let members = balancer.members();
    let all: u64 = members.iter().map(|member| member.picked()).sum();
    let total = 100 * i64::try_from(stay.len()).unwrap();
    for name in stay {
        let own = i64::try_from(balancer.member(name).unwrap().picked()).unwrap();
        let expected = 100 * i64::try_from(all).unwrap() - total * own;
        let off = balancer.standing(name).unwrap() - expected;
        assert_eq!(off.rem_euclid(GUEST.into()), 0, "{name}");
    }
}

/// Nothing is in flight, and picks go round all members, of equal weight: those that are
/// held and those that are not.
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

/// A member that is idle, and whose load is noted as more, is never picked.
fn assert_each_is_picked(balancer: &Balancer<()>) {
    let picks = || {
        balancer
            .members()
            .iter()
            .map(|it| it.picked())
            .collect::<Vec<_>>()
    };
    let before = picks();
    for _ in 0..4 * before.len() {
        drop(picked(balancer));
    }
    assert!(
        picks()
            .iter()
            .zip(before)
            .all(|(now, before)| *now > before)
    );
}

/// Runs two picks beside each other.
fn two_picks_take_two_members(start: fn() -> Balancer<()>) {
    check(move || {
        let balancer = start();
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
fn loom_two_looks_at_once_do_not_take_the_same_member() {
    two_picks_take_two_members(few);
}

/// Runs `change` beside a pick, and beside a session's pick.
fn each_pick_counts_once(
    start: fn() -> Balancer<()>,
    change: fn(&Balancer<()>),
    stay: &'static [&str],
) {
    for run in [|it: &Balancer<()>| drop(picked(it)), hit] {
        check(move || {
            let balancer = start();
            let other = balancer.clone();
            let picking = spawn(move || run(&other));
            change(&balancer);
            join(picking);
            assert_counted_once(&balancer, stay);
        });
    }
}

#[test]
fn loom_a_pick_during_a_change_of_the_group_counts_once() {
    fn start() -> Balancer<()> {
        of([("a", MemberSpec::new().with_route("a")), ("guest", guest())])
    }
    fn change(balancer: &Balancer<()>) {
        balancer.set_flag("guest", Flag::Draining).unwrap();
    }
    each_pick_counts_once(start, change, &["a"]);
}

#[test]
fn loom_a_pick_while_a_member_is_back_counts_once() {
    fn start() -> Balancer<()> {
        let balancer = of([("a", MemberSpec::new().with_route("a")), ("guest", guest())]);
        balancer.set_flag("guest", Flag::Draining).unwrap();
        balancer
    }
    fn change(balancer: &Balancer<()>) {
        balancer.clear_flag("guest", Flag::Draining).unwrap();
    }
    each_pick_counts_once(start, change, &["a"]);
}

#[test]
fn loom_a_pick_while_the_members_become_many_counts_once() {
    fn change(balancer: &Balancer<()>) {
        balancer.insert("guest", (), guest()).unwrap();
    }
    each_pick_counts_once(few, change, &["a", "b"]);
}

#[test]
fn loom_a_pick_while_the_members_become_few_counts_once() {
    fn change(balancer: &Balancer<()>) {
        balancer.set_flag("guest", Flag::Draining).unwrap();
    }
    each_pick_counts_once(many_with_guest, change, &["a", "b"]);
}

#[test]
fn loom_a_pick_beside_a_question_counts_once() {
    fn change(balancer: &Balancer<()>) {
        let _ = balancer.standing("b");
    }
    each_pick_counts_once(few, change, &["a", "b"]);
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
        let balancer = of([("a", capped(1))]);
        let lease = picked(&balancer);
        let ending = spawn(move || drop(lease));
        drop(pick(&balancer));
        join(ending);
        drop(picked(&balancer));
    });
}

#[test]
fn loom_a_full_member_whose_cap_is_raised_is_not_left_aside() {
    check(|| {
        let balancer = of([("a", capped(1))]);
        let lease = picked(&balancer);
        let other = balancer.clone();
        let picking = spawn(move || drop(pick(&other)));
        balancer
            .update("a", |spec| spec.with_max_in_flight(2))
            .unwrap();
        join(picking);
        drop((picked(&balancer), lease));
    });
}

#[test]
fn loom_a_session_of_a_member_that_is_set_aside_pays_for_its_pick() {
    check(|| {
        let balancer = of([("a", capped(1).with_route("a")), ("b", MemberSpec::new())]);
        let [first, second] = [(); 2].map(|()| picked(&balancer));
        // The turn of "a", which is full.
        let third = picked(&balancer);
        let ending = spawn(move || drop(first));
        hit(&balancer);
        join(ending);
        drop((second, third));
        let sum = ["a", "b"].map(|name| balancer.standing(name).unwrap());
        assert_eq!(sum[0] + sum[1], 0);
        assert_eq!(in_flight(&balancer, "a") + in_flight(&balancer, "b"), 0);
        assert_each_is_picked(&balancer);
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
        assert_each_is_picked(&balancer);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_an_end_beside_one_while_its_load_is_noted_is_not_lost() {
    check(|| {
        let balancer = of(["a", "b", "c"].map(|name| (name, MemberSpec::new())));
        let [first, second, third] = [(); 3].map(|()| picked(&balancer));
        // Its load is noted as it is.
        let fourth = picked(&balancer);
        let ending = spawn(move || drop(first));
        drop(second);
        drop(picked(&balancer));
        join(ending);
        drop((third, fourth));
        assert_each_is_picked(&balancer);
    });
}

#[test]
fn loom_an_end_while_a_new_scheduler_notes_loads_is_not_lost() {
    check(|| {
        let balancer = many();
        let [first, second, third] = [(); 3].map(|()| picked(&balancer));
        let ending = spawn(move || drop(first));
        balancer.set_scheduler(ByBusyness::weighted());
        join(ending);
        drop((second, third));
        assert_each_is_picked(&balancer);
    });
}

#[test]
fn loom_a_session_beside_a_pick_of_many_is_load() {
    check(|| {
        let balancer = many();
        let other = balancer.clone();
        let session = spawn(move || hit(&other));
        drop(picked(&balancer));
        join(session);
        assert_counted_once(&balancer, &["a", "b", "c"]);
        assert_idle_and_even(&balancer);
    });
}

/// Many members, all idle, whose turns are made ahead.
fn many_with_turns() -> Balancer<()> {
    let balancer = many();
    for _ in 0..2 {
        drop(picked(&balancer));
    }
    balancer
}

#[test]
fn loom_two_turns_at_once_are_of_two_members() {
    two_picks_take_two_members(many_with_turns);
}

#[test]
fn loom_a_turn_whose_member_a_session_picks_counts_once() {
    check(|| {
        let balancer = many_with_turns();
        // The next turn is that of "c", the one after it that of "a".
        drop(picked(&balancer));
        let other = balancer.clone();
        let session = spawn(move || hit(&other));
        drop(picked(&balancer));
        join(session);
        assert_counted_once(&balancer, &["a", "b", "c"]);
        assert_idle_and_even(&balancer);
    });
}

#[test]
fn loom_an_end_below_its_note_withdraws_turns() {
    check(|| {
        let balancer = many();
        let [first, second, third] = [(); 3].map(|()| picked(&balancer));
        // The loads of all are noted as they are.
        let fourth = picked(&balancer);
        drop((second, third));
        let ending = spawn(move || drop(first));
        drop(picked(&balancer));
        join(ending);
        drop(fourth);
        assert_each_is_picked(&balancer);
        assert_idle_and_even(&balancer);
    });
}
