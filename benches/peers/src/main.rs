//! What does a pick cost beside those of `pingora-load-balancing` and tower, in one run, with
//! all members usable and with half of them? See `benches/README.md`.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml [-- NAME..]`: only the
//! contenders whose names contain one of the words. With `--test` each runs once, briefly, to
//! check that it runs.

#![allow(
    clippy::expect_used,
    dead_code,
    reason = "a benchmark that cannot be set up has nothing to show; it shares files with `pick`"
)]

#[path = "../../pick/fleet.rs"]
mod fleet;
#[path = "../../pick/lanes.rs"]
mod lanes;
#[path = "../../pick/ours.rs"]
mod ours;
mod pingora;
#[path = "../../pick/references.rs"]
mod references;
#[path = "../../pick/tower_p2c.rs"]
mod tower_p2c;

use std::time::Duration;

use tower::balance::p2c::Balance;
use tower::load::{CompleteOnResponse, PeakEwmaDiscover, PendingRequestsDiscover};

use fleet::{Method, Weights};
use lanes::{Contender, median};
use ours::{Ours, Use};
use references::Floor;

/// Samples of each contender; the floor runs before each.
const SAMPLES: usize = 15;

/// What one sample should take, in nanoseconds.
const SAMPLE_NS: f64 = 2e7;

/// The contenders of other crates, by name.
const PEERS: [&str; 6] = [
    "pingora RoundRobin",
    "pingora Random",
    "pingora FNVHash",
    "pingora Consistent",
    "tower p2c, PendingRequests",
    "tower p2c, PeakEwma",
];

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let is_trial = words.iter().any(|word| word == "--test");
    words.retain(|word| !word.starts_with("--"));
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(&**word));
    let ours = Method::ALL.map(|method| method.name().to_owned());
    let peers = PEERS.map(str::to_owned);
    let names: Vec<String> = ours.into_iter().chain(peers).collect();
    let sizes: &[usize] = match is_trial {
        true => &[10],
        false => &[10, 100, 1_000, 10_000],
    };
    for threads in [1, 2] {
        for is_half in [false, true] {
            let usable = if is_half {
                "half of the members usable"
            } else {
                "all members usable"
            };
            println!("\n### {threads} thread(s), {usable}: ns per pick and core (× the floor)\n");
            let heads: String = sizes.iter().map(|n| format!(" n = {n} |")).collect();
            println!("| pick |{heads}\n|---|{}", "---:|".repeat(sizes.len()));
            for name in names.iter().filter(|name| wanted(name)) {
                let cells = sizes.iter().map(|&count| {
                    eprintln!("{name}, n = {count}, {threads} thread(s), {usable}");
                    match contender(name, count, is_half, threads) {
                        None => "–".to_owned(),
                        Some(it) if is_trial => trial(&*it, threads),
                        Some(it) => measured(&*it, threads, count),
                    }
                });
                println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
            }
        }
    }
}

/// Picks a few times.
fn trial(contender: &dyn Contender, threads: usize) -> String {
    format!("{:.0}", lanes::time(contender, threads, 100).mean)
}

/// Builds a contender; `None` if it cannot do this.
fn contender(
    name: &str,
    count: usize,
    is_half: bool,
    threads: usize,
) -> Option<Box<dyn Contender>> {
    if let Some(method) = Method::ALL.into_iter().find(|it| it.name() == name) {
        let usage = if is_half {
            Use::HalfUnusable
        } else {
            Use::AtOnce
        };
        return Some(Box::new(Ours::new(method, Weights::Equal, usage, count)));
    }
    if let Some(pingora) = pingora::selection(name, count, is_half) {
        return Some(pingora);
    }
    // It takes `&mut self`.
    if threads > 1 {
        return None;
    }
    let ready = CompleteOnResponse::default();
    let members = tower_p2c::members(count, !is_half);
    Some(match name {
        "tower p2c, PendingRequests" => Box::new(tower_p2c::Alone::over(|| {
            Balance::new(PendingRequestsDiscover::new(members, ready))
        })),
        _ => Box::new(tower_p2c::Alone::over(|| {
            let (first, decay) = (Duration::from_millis(10), Duration::from_secs(10));
            Balance::new(PeakEwmaDiscover::new(members, first, decay, ready))
        })),
    })
}

/// Returns the median, and in brackets the median of the ratios to the floor beside it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that need not be exact"
)]
fn measured(contender: &dyn Contender, threads: usize, count: usize) -> String {
    let floor = Floor::new(count);
    let first = lanes::time(contender, 1, 50).mean.max(1.0);
    // So that the caches are warm; a scan is slow and needs fewer.
    let warm = (2 * count as u64).min((SAMPLE_NS / first) as u64);
    lanes::time(contender, 1, warm);
    let trial = lanes::time(contender, threads, warm.min(2_000))
        .mean
        .max(1.0);
    let picks = (SAMPLE_NS / trial) as u64;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let beside = lanes::time(&floor, threads, picks.clamp(1 << 14, 1 << 17));
        let own = lanes::time(contender, threads, picks);
        samples.push((own.ns, own.ns / beside.ns));
    }
    let ns = median(samples.iter().map(|sample| sample.0)).unwrap_or(f64::NAN);
    let ratio = median(samples.iter().map(|sample| sample.1)).unwrap_or(f64::NAN);
    format!("{ns:.0} ({ratio:.2})")
}
