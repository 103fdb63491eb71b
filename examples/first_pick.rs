//! A balancer without a network: members, picks, a session, a member that fails and
//! recovers, and the table that explains the picks.
//!
//! Run it with `cargo run --example first_pick`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::time::Duration;

use equipoise::clock::ManualClock;
use equipoise::{Balancer, Flag, MemberSpec, Outcome, PickRequest, Weight};

fn main() -> Result<(), Box<dyn Error>> {
    // Time advances only on request: nothing here has to sleep.
    let clock = ManualClock::new();
    let balancer = Balancer::builder()
        .clock(clock.clone())
        .member(
            "big",
            "10.0.0.1:80",
            MemberSpec::new()
                .with_weight(Weight::new(3)?)
                .with_route("r1"),
        )
        .member("small", "10.0.0.2:80", MemberSpec::new().with_route("r2"))
        .member(
            "backup",
            "10.0.0.3:80",
            MemberSpec::new().with_flag(Flag::HotStandby),
        )
        .build()?;

    println!("Eight requests over weights 3 and 1:");
    println!("  {}\n", pick_names(&balancer, 8)?);

    println!("A session that belongs to route r2 stays there:");
    let session = PickRequest::new().with_session(Some("r2"));
    for _ in 0..3 {
        let lease = balancer.pick(&session)?;
        println!(
            "  {} at {} ({:?})",
            lease.member().name(),
            *lease,
            lease.session()
        );
        lease.finish(Outcome::Success);
    }

    println!(
        "\nsmall does not respond: it is put in error, and the request goes to another member."
    );
    let failed = balancer.pick(&session)?;
    failed.put_in_error();
    let tried = [failed.member().id()];
    failed.finish(Outcome::Failure);
    let second = balancer.pick(&session.with_tried(&tried))?;
    println!("  {} ({:?})", second.member().name(), second.session());
    second.finish(Outcome::Success);
    println!("\n{}", balancer.explain(&session));

    println!("big is taken out of service too. Only the standby is left:");
    balancer.set_flag("big", Flag::Disabled)?;
    println!("  {}\n", pick_names(&balancer, 4)?);

    println!("A minute later small is tried again, and big returns with its standing:");
    clock.advance(Duration::from_secs(60));
    balancer.clear_flag("big", Flag::Disabled)?;
    println!("  {}\n", pick_names(&balancer, 8)?);
    println!("{}", balancer.explain(&session));

    let in_flight: u32 = balancer.members().iter().map(|m| m.in_flight()).sum();
    println!("In flight at the end: {in_flight}");
    Ok(())
}

/// Picks `count` times and returns the names in order.
fn pick_names(balancer: &Balancer<&str>, count: usize) -> Result<String, Box<dyn Error>> {
    let mut names = Vec::new();
    for _ in 0..count {
        let lease = balancer.pick(&PickRequest::new())?;
        names.push(lease.member().name().to_owned());
        lease.finish(Outcome::Success);
    }
    Ok(names.join(" "))
}
