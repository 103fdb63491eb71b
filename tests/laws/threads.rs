//! Many threads, and then quiet: each pick was counted once in the standings, and no load is
//! left over, whatever changed meanwhile.
//!
//! A pick gives each member its weight and takes the total from the member that was picked.
//! One member, with a weight of its own, comes and goes. Modulo that weight, the total is
//! always that of the others, so their standings follow from how often each was picked.

use std::thread;

use equipoise::{Balancer, Flag, MemberSpec, PickRequest, Weight};

use crate::methods::Method;

/// The weight of the member that comes and goes, in hundredths.
const GUEST: u32 = 997;

const THREADS: usize = 4;

fn rounds() -> usize {
    match std::env::var_os("EQUIPOISE_STRESS_SECONDS") {
        Some(_) => 100,
        None => 10,
    }
}

fn start(method: Method, stays: usize) -> Balancer<()> {
    let spec = |name: usize| MemberSpec::new().with_route(format!("r{name}"));
    let stay = (0..stays).map(|name| (format!("m{name}"), (), spec(name)));
    let weight = Weight::from_hundredths(GUEST).unwrap();
    let guest = MemberSpec::new().with_weight(weight);
    let builder = Balancer::builder().members(stay);
    let balancer = builder.member("guest", (), guest).build().unwrap();
    method.install(&balancer);
    balancer
}

/// Picks of sessions and others, some of which are held for a while.
fn picks(balancer: &Balancer<()>, stays: usize, seed: usize) {
    let mut held = Vec::new();
    for pick in 0..1_000 {
        let route = format!("r{}", (pick * 7 + seed) % stays);
        let mut request = PickRequest::new();
        if (pick + seed) % 3 == 0 {
            request = request.with_session(Some(&route));
        }
        let lease = balancer.pick(&request).unwrap();
        if pick % 4 == 0 {
            held.push(lease);
        }
        if held.len() > 20 {
            held.clear();
        }
    }
}

fn changes(balancer: &Balancer<()>, stays: usize) {
    for change in 0..100_u32 {
        let on = change % 2 == 0;
        match on {
            true => balancer.set_flag("guest", Flag::Draining).unwrap(),
            false => balancer.clear_flag("guest", Flag::Draining).unwrap(),
        };
        // Nothing that matters, but the scheduler is told.
        let name = format!("m{}", change as usize % stays);
        let cap = 1_000 + change;
        balancer
            .update(&name, |spec| spec.with_max_in_flight(cap))
            .unwrap();
        let _ = balancer.standing(&name);
        thread::yield_now();
    }
}

/// Modulo the guest's weight.
fn assert_counted_once(balancer: &Balancer<()>, stays: usize) {
    let members = balancer.members();
    let all: u64 = members.iter().map(|member| member.picked()).sum();
    for member in &members[..stays] {
        let total = 100 * i128::try_from(stays).unwrap();
        let expected = 100 * i128::from(all) - total * i128::from(member.picked());
        let standing = i128::from(balancer.standing(member.name()).unwrap());
        let off = (standing - expected).rem_euclid(i128::from(GUEST));
        assert_eq!(off, 0, "{} of {stays}", member.name());
    }
}

/// Picks that are held go once round all members of equal weight.
fn assert_idle(balancer: &Balancer<()>) {
    balancer.set_flag("guest", Flag::Draining).unwrap();
    let members = balancer.members();
    let stay = &members[..members.len() - 1];
    let pick = |_| balancer.pick(&PickRequest::new()).unwrap();
    let leases: Vec<_> = stay.iter().map(pick).collect();
    for member in stay {
        assert_eq!(member.in_flight(), 1, "{}", member.name());
    }
    drop(leases);
    balancer.clear_flag("guest", Flag::Draining).unwrap();
}

fn live(method: Method) {
    // Looked at, kept in books, and one or the other as the guest comes and goes.
    for stays in [3, 16, 17] {
        let balancer = start(method, stays);
        for _ in 0..rounds() {
            thread::scope(|scope| {
                for seed in 0..THREADS {
                    let balancer = &balancer;
                    scope.spawn(move || picks(balancer, stays, seed));
                }
                changes(&balancer, stays);
            });
            assert_counted_once(&balancer, stays);
            assert_idle(&balancer);
        }
    }
}

#[test]
fn each_pick_by_busyness_counts_once_beside_other_threads() {
    live(Method::Busyness);
}

#[test]
fn each_pick_by_weighted_busyness_counts_once_beside_other_threads() {
    live(Method::WeightedBusyness);
}
