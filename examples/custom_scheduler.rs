//! A custom scheduler in thirty lines: it picks the less busy of two random members.
//!
//! Run it with `cargo run --example custom_scheduler`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use equipoise::scheduler::{Candidate, Candidates, Pick, PickContext, Scheduler};
use equipoise::{Balancer, MemberSpec, PickRequest};

/// Power of two choices (Mitzenmacher 1996): almost as even as comparing all members.
#[derive(Debug)]
struct TwoChoices;

impl Scheduler for TwoChoices {
    fn name(&self) -> &'static str {
        "twochoices"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let draw = || -> Option<Candidate<'c>> {
            let at = context.random().below(candidates.len() as u64);
            candidates.at(usize::try_from(at).ok()?)
        };
        let drawn = [draw(), draw()].into_iter().flatten();
        let better = drawn.min_by_key(|candidate| candidate.state().in_flight());
        // The drawn members may be at their caps, tried or just removed: take any other.
        candidates.claim_first(better.into_iter().chain(candidates.iter()))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let members = (0..10).map(|at| (format!("node{at}"), at, MemberSpec::new()));
    let balancer = Balancer::builder()
        .scheduler(TwoChoices)
        .seed(42)
        .members(members)
        .build()?;

    // A hundred concurrent requests: in flight until the leases are dropped.
    let mut leases = Vec::new();
    for _ in 0..100 {
        leases.push(balancer.pick(&PickRequest::new())?);
    }
    for member in balancer.members() {
        let in_flight = member.in_flight() as usize;
        println!(
            "{:<6} {:>3} {}",
            member.name(),
            in_flight,
            "#".repeat(in_flight)
        );
    }
    drop(leases);
    let left: u32 = balancer.members().iter().map(|m| m.in_flight()).sum();
    println!("in flight once the leases are dropped: {left}");
    Ok(())
}
