//! Everything at once on a few threads: nothing may be lost, stuck or left parked.
//!
//! Four threads pick and let go while a fifth changes the membership, the flags, the
//! caps and the scheduler (`crew`). Then all is quiet, and the counts and the books
//! must be exact (`aftermath`). Half a second for each method, two in total; set
//! `EQUIPOISE_STRESS_SECONDS` for another total.

#![allow(clippy::unwrap_used, reason = "a panic is how a fault is found")]
#![allow(clippy::expect_used, reason = "a panic is how a fault is found")]

mod aftermath;
mod crew;
mod method;

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use equipoise::Balancer;
use equipoise::clock::ManualClock;
use equipoise::random::Random;

use crew::{Churner, Picker, Seen};
use method::Method;

const PICKERS: u64 = 4;

/// How much longer than wanted a run may take before it counts as a deadlock.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn by_busyness_everything_is_exact_after_a_storm() {
    storm(Method::Busyness);
}

#[test]
fn by_heartbeat_everything_is_exact_after_a_storm() {
    storm(Method::Heartbeat);
}

#[test]
fn by_requests_everything_is_exact_after_a_storm() {
    storm(Method::Requests);
}

#[test]
fn by_traffic_everything_is_exact_after_a_storm() {
    storm(Method::Traffic);
}

fn storm(method: Method) {
    let seconds = std::env::var("EQUIPOISE_STRESS_SECONDS").ok();
    let seconds: f64 = seconds.map_or(2.0, |seconds| seconds.parse().unwrap());
    let length = Duration::from_secs_f64(seconds / 4.0);
    watched(length + PATIENCE, || rounds(method, length));
}

/// Storms are short, so that there are many ends to look at.
fn rounds(method: Method, length: Duration) {
    let end = now() + length;
    let (mut seed, mut leases) = (0, 0);
    while now() < end {
        seed += 1;
        leases += one_round(method, seed, Duration::from_millis(50));
    }
    assert!(leases > 0, "a storm without a single lease");
}

/// Changes for half of its time, so that what they have put right or wrong has a while
/// to show. Returns how many leases were granted.
fn one_round(method: Method, seed: u64, half: Duration) -> u64 {
    let calm = now() + half;
    let end = calm + half;
    let clock = ManualClock::new();
    let builder = Balancer::builder().clock(clock.clone()).seed(seed);
    let balancer = builder.build().unwrap();
    let mut churner = Churner::new(&balancer, clock, method, Random::seeded(seed));
    churner.begin();

    let mut seen = Seen::default();
    thread::scope(|scope| {
        let pickers: Vec<_> = (1..=PICKERS)
            .map(|picker| Picker::new(&balancer, Random::seeded(seed ^ (picker << 32))))
            .map(|picker| scope.spawn(move || picker.work(|| now() < end)))
            .collect();
        let churner = scope.spawn(|| {
            while now() < calm {
                churner.change_something();
            }
        });
        churner.join().unwrap();
        for picker in pickers {
            seen.add(picker.join().unwrap());
        }
    });
    let known = churner.into_known();
    aftermath::counts_are_exact(&known, &seen);
    aftermath::books_agree_with_facts(&balancer);
    aftermath::nobody_stays_parked(&balancer);
    aftermath::everybody_has_a_turn(&balancer);
    aftermath::nothing_is_in_flight(&balancer);
    seen.total()
}

/// Runs `work`; ends the whole process if it does not come to its end, because threads
/// that wait for each other cannot be stopped.
fn watched(limit: Duration, work: impl FnOnce()) {
    let (done, waiting) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                give_up(limit);
            }
        });
        // Dropped at the end, and also when `work` panics.
        let _done = done;
        work();
    });
}

#[expect(clippy::print_stderr, reason = "the last words of a process")]
fn give_up(limit: Duration) {
    eprintln!("a deadlock: no end after {limit:?}");
    std::process::abort();
}

#[expect(
    clippy::disallowed_methods,
    reason = "a storm has its length in real time"
)]
fn now() -> Instant {
    Instant::now()
}
