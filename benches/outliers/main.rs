//! What does a request cost with outlier detection, and with limits that follow latency?
//!
//! A request is a pick, a head and an end. `cargo bench --features health --bench outliers`; the
//! lanes take turns, and the least of all turns counts. What members cost that flap is in
//! `flapping.rs`, on Linux: `-- flapping` measures that alone.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]
#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the machine's time"
)]

#[path = "../service/cpu.rs"]
mod cpu;
mod flapping;

use std::thread::scope;
use std::time::Instant;

use equipoise::balancer::events::{Event, Interest, Observer};
use equipoise::health::{AdaptiveLimit, Aimd, OutlierDetector, SlowMembers};
use equipoise::{Balancer, Outcome, PickRequest};

/// Does nothing: what the measuring and telling costs.
struct Idle(Interest);

impl Observer for Idle {
    fn observe(&self, _: &Event<'_>) {}

    fn interest(&self) -> Interest {
        self.0 | Interest::ENDED
    }
}

#[derive(Clone, Copy, Debug)]
enum Lane {
    Plain,
    Idle,
    IdleWithTimes,
    Detector,
    DetectorWithTimes,
    Adaptive,
}

const LANES: [Lane; 6] = [
    Lane::Plain,
    Lane::Idle,
    Lane::IdleWithTimes,
    Lane::Detector,
    Lane::DetectorWithTimes,
    Lane::Adaptive,
];

/// Threads, and whether one member fails.
const COLUMNS: [(u32, bool); 3] = [(1, false), (2, false), (2, true)];

fn main() {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    let measuring = has("--bench");
    if !has("flapping") {
        lanes(measuring);
    }
    flapping::measure(measuring);
}

fn lanes(measuring: bool) {
    let (turns, requests) = if measuring { (60, 40_000) } else { (1, 100) };
    let mut least = LANES.map(|_| COLUMNS.map(|_| f64::INFINITY));
    for _ in 0..turns {
        for (lane, least) in LANES.into_iter().zip(&mut least) {
            for ((threads, ill), least) in COLUMNS.into_iter().zip(least) {
                *least = least.min(lap(lane, threads, ill, requests));
            }
        }
    }
    println!("| lane, ns a request | 1 thread | 2 threads | 2 threads, one member failing |");
    println!("|---|---:|---:|---:|");
    for (lane, least) in LANES.into_iter().zip(least) {
        let cells = least.map(|nanos| format!("{nanos:.0}")).join(" | ");
        println!("| {lane:?} | {cells} |");
    }
}

/// Nanoseconds a request and thread.
fn lap(lane: Lane, threads: u32, ill: bool, requests: u32) -> f64 {
    let balancer =
        Balancer::new((0..10).map(|number| (format!("m{number}"), number))).expect("ten members");
    let mut detector = None;
    let mut limits = None;
    let mut idle = None;
    match lane {
        Lane::Plain => {}
        Lane::Idle => idle = Some(balancer.observe(Idle(Interest::RESPONDED))),
        Lane::IdleWithTimes => idle = Some(balancer.observe(Idle(Interest::TIME_TO_HEAD))),
        Lane::Detector => detector = Some(OutlierDetector::new(&balancer)),
        Lane::DetectorWithTimes => {
            let builder = OutlierDetector::builder().slow_members(SlowMembers::new());
            detector = Some(builder.watch(&balancer));
        }
        Lane::Adaptive => limits = Some(AdaptiveLimit::new(&balancer, Aimd::new)),
    }
    let run = || {
        for _ in 0..requests {
            if let Ok(mut lease) = balancer.pick(&PickRequest::new()) {
                let status = if ill && *lease == 3 { 500 } else { 200 };
                lease.record_head(Some(status));
                lease.finish(Outcome::Success);
            }
        }
    };
    let begin = Instant::now();
    scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    let nanos = begin.elapsed().as_nanos() as f64 / f64::from(requests);
    drop((detector, limits, idle));
    nanos
}
