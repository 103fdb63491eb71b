//! What do members cost that are ill and well a hundred times a second, under load?
//!
//! The load is the same in all rows, so that they differ by what flaps. What the toggling itself
//! costs is counted, too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use equipoise::balancer::events::{Event, Interest, Observer};
use equipoise::health::OutlierDetector;
use equipoise::member::{Cause, MemberKey};
use equipoise::{Balancer, Flag, Outcome, PickRequest};

use super::cpu;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flaps {
    /// For comparison.
    Nothing,
    /// Each member answers with 200 and 500 in turn, and a detector ejects some for 20 ms and
    /// more.
    Answers,
    /// Checks of half of the members pass and fail in turn.
    Checks,
}

const TURN: Duration = Duration::from_millis(10);
/// Of each of two threads, in a turn: 20 000 a second.
const REQUESTS: u32 = 100;
/// How many of a hundred may be out.
const PERCENT: u8 = 20;

/// Counts ejections.
struct Ejections(Arc<AtomicU64>);

impl Observer for Ejections {
    fn observe(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn interest(&self) -> Interest {
        Interest::EJECTED
    }
}

pub(crate) fn measure(measuring: bool) {
    if cpu::used().is_none() {
        println!("\nNo books of processor time on this system.");
        return;
    }
    let turns = if measuring { 1_000 } else { 5 };
    let seconds = (TURN * turns).as_secs_f64();
    println!(
        "\nMembers that flap each {TURN:?} for {seconds} s, under 20 000 requests a second.\n"
    );
    println!(
        "| members | what flaps | processor time, s | in s | requests | ejections | most out |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|");
    for members in [10, 1_000] {
        for flaps in [Flaps::Nothing, Flaps::Answers, Flaps::Checks] {
            row(members, flaps, turns);
        }
    }
}

fn row(members: usize, flaps: Flaps, turns: u32) {
    let names: Vec<_> = (0..members).map(|number| format!("m{number}")).collect();
    let balancer = names.iter().cloned().zip(0_usize..);
    let balancer = Balancer::new(balancer).expect("members");
    let detector = OutlierDetector::builder()
        .consecutive_failures(3)
        .interval(TURN * 2)
        .ejection_time(TURN * 2, TURN * 20)
        .max_ejected_percent(PERCENT)
        .watch(&balancer);
    let ejections = Arc::<AtomicU64>::default();
    balancer.observe(Ejections(ejections.clone())).keep();
    let (turn, stop, requests) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let is_ill = |member: usize| {
        let turn = turn.load(Ordering::Relaxed);
        flaps == Flaps::Answers && (member as u64 / 2 + turn) % 2 == 0
    };
    let load = || {
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..REQUESTS {
                let Ok(mut lease) = balancer.pick(&PickRequest::new()) else {
                    continue;
                };
                let status = if is_ill(*lease) { 500 } else { 200 };
                lease.record_head(Some(status));
                lease.finish(Outcome::Success);
                requests.fetch_add(1, Ordering::Relaxed);
            }
            next += TURN;
            sleep(next.saturating_duration_since(Instant::now()));
        }
    };
    let (mut most, mut used, mut elapsed) = (0, Duration::ZERO, Duration::ZERO);
    scope(|scope| {
        scope.spawn(load);
        scope.spawn(load);
        let before = cpu::used().expect("books");
        let began = Instant::now();
        let mut next = began;
        for _ in 0..turns {
            let now = turn.fetch_add(1, Ordering::Relaxed);
            if flaps == Flaps::Checks {
                let failed = (now % 2 == 0).then_some(Cause::Refused);
                let half = names.iter().step_by(2);
                let half = half.map(|name| (MemberKey::Name(name), failed.clone()));
                balancer.apply_check_results(half);
            }
            next += TURN;
            sleep(next.saturating_duration_since(Instant::now()));
            most = most.max(out(&balancer));
        }
        // The threads are alive still, as their books are gone with them.
        used = cpu::used().expect("books").saturating_sub(before);
        elapsed = began.elapsed();
        stop.store(true, Ordering::Relaxed);
    });
    drop(detector);
    let all = balancer.members();
    let picked: u64 = all.iter().map(|member| member.picked()).sum();
    let requests = requests.into_inner();
    assert_eq!(picked, requests, "counts were lost");
    assert!(all.iter().all(|member| member.in_flight() == 0));
    let allowed = (members * usize::from(PERCENT) / 100).max(1);
    assert!(most <= allowed, "{most} were out");
    println!(
        "| {members} | {flaps:?} | {:.2} | {:.1} | {requests} | {} | {most} |",
        used.as_secs_f64(),
        elapsed.as_secs_f64(),
        ejections.load(Ordering::Relaxed),
    );
}

/// How many members are ejected at the same time: two looks at each show the same ejection.
fn out(balancer: &Balancer<usize>) -> usize {
    let look = || -> BTreeSet<_> {
        let members = balancer.members();
        let ejected = members.iter().filter_map(|member| {
            if !member.status().contains(Flag::Ejected) {
                return None;
            }
            let health = member.health();
            let outage = health.outage(Flag::Ejected)?;
            Some((member.id(), outage.since))
        });
        ejected.collect()
    };
    let first = look();
    first.intersection(&look()).count()
}
