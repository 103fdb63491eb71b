//! Picks by a hash key: the laws of rings and maps, and picks that are the same as those of
//! real servers.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what cannot be set up ends its test")]

mod foretold;
mod haproxy;
mod modulo;
mod nginx;
mod ring;
mod servers;

use equipoise::scheduler::Scheduler;
use equipoise::{Balancer, Lease, MemberId, MemberSpec, PickError, PickRequest, Weight};

/// A balancer of members with these names and whole weights.
fn balancer(
    scheduler: impl Scheduler,
    members: impl IntoIterator<Item = (String, u32)>,
) -> Balancer<()> {
    let members = members.into_iter().map(|(name, weight)| {
        let weight = Weight::new(weight).unwrap();
        (name, (), MemberSpec::new().with_weight(weight))
    });
    let builder = Balancer::builder().scheduler(scheduler).seed(7);
    let builder = builder.forced_recovery(false);
    builder.members(members).build().unwrap()
}

/// Members `m0`, `m1` and so on.
fn numbered(weights: &[u32]) -> Vec<(String, u32)> {
    let member = |(at, &weight): (usize, &u32)| (format!("m{at}"), weight);
    weights.iter().enumerate().map(member).collect()
}

fn pick(balancer: &Balancer<()>, key: u64) -> Result<Lease<()>, PickError> {
    balancer.pick(&PickRequest::new().with_hash(key))
}

/// The name of the member that a key goes to after some members have been tried.
fn picked(balancer: &Balancer<()>, key: u64, tried: &[MemberId]) -> String {
    let request = PickRequest::new().with_hash(key).with_tried(tried);
    let lease = balancer.pick(&request).unwrap();
    lease.member().name().to_owned()
}

/// The owners of 4 000 keys.
fn owners(balancer: &Balancer<()>) -> Vec<String> {
    let key = |number: u64| equipoise::stable_hash::hash_bytes(&number.to_le_bytes());
    (0..4_000)
        .map(|number| picked(balancer, key(number), &[]))
        .collect()
}
