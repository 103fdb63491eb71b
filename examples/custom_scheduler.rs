//! A custom scheduler in thirty lines: it picks the less busy of two random members. Five
//! more lines hold it to the laws of the test kit.
//!
//! Run it with `cargo run --example custom_scheduler --features testkit`, and its test with
//! `cargo test --example custom_scheduler --features testkit`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use allocation_counter::measure;
use equipoise::scheduler::{Candidate, Candidates, Pick, PickContext, Scheduler};
use equipoise::testkit::laws::{self, Violation};
use equipoise::{Balancer, MemberId, MemberSpec, PickRequest};

/// Power of two choices (Mitzenmacher 1996): almost as even as comparing all members.
#[derive(Debug)]
struct TwoChoices;

impl TwoChoices {
    fn better<'c>(candidates: &Candidates<'c>, context: &PickContext<'_>) -> Option<Candidate<'c>> {
        // Of the members that the request has not tried: a request that fails over is drawn
        // a member, too, and does not go to the first one.
        let open = || candidates.iter().filter(Candidate::has_room);
        let count = open().count() as u64;
        let draw = || open().nth(usize::try_from(context.random().below(count)).ok()?);
        let drawn = [draw(), draw()].into_iter().flatten();
        drawn.min_by_key(|candidate| candidate.state().in_flight())
    }
}

impl Scheduler for TwoChoices {
    fn name(&self) -> &'static str {
        "twochoices"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let better = Self::better(candidates, context);
        // The drawn member may just have reached its cap or been removed: take any other.
        candidates.claim_first(better.into_iter().chain(candidates.iter()))
    }

    fn peek(&self, candidates: &Candidates<'_>, context: &PickContext<'_>) -> Option<MemberId> {
        Self::better(candidates, context).map(|candidate| candidate.id())
    }
}

/// The laws that it keeps. A broken one is reported with a small example.
fn keeps_the_laws() -> Result<(), Violation> {
    laws::check_all(|| TwoChoices)?;
    laws::shares_failovers(|| TwoChoices, 1.3)?;
    laws::allocates_nothing(|| TwoChoices, |pick| measure(pick).count_total)
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

    keeps_the_laws()?;
    println!("it keeps the laws of the test kit");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_choices_keep_the_laws() -> Result<(), equipoise::testkit::laws::Violation> {
        super::keeps_the_laws()
    }
}
