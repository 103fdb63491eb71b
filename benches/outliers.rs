//! What does a request cost with outlier detection, and with limits that follow latency?
//!
//! A request is a pick, a head and an end. `cargo bench --features health --bench outliers`; the
//! lanes take turns, and the least of all turns counts.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]
#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the machine's time"
)]

use std::thread::scope;
use std::time::Instant;

use equipoise::balancer::events::{Event, Interest, Observer};
use equipoise::health::{AdaptiveLimit, Aimd, OutlierDetector, SlowMembers};
use equipoise::{Balancer, Outcome, PickRequest};

/// Wants what a detector wants, and does nothing: what the measuring and telling costs.
struct Idle;

impl Observer for Idle {
    fn observe(&self, _: &Event<'_>) {}

    fn interest(&self) -> Interest {
        Interest::ANSWERED | Interest::ENDED
    }
}

#[derive(Clone, Copy, Debug)]
enum Lane {
    Plain,
    Idle,
    Detector,
    DetectorWithTimes,
    Adaptive,
}

const LANES: [Lane; 5] = [
    Lane::Plain,
    Lane::Idle,
    Lane::Detector,
    Lane::DetectorWithTimes,
    Lane::Adaptive,
];

fn main() {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let (turns, requests) = if measuring { (60, 40_000) } else { (1, 100) };
    println!("| lane, ns a request | 1 thread | 2 threads | 2 threads, one member failing |");
    println!("|---|---:|---:|---:|");
    for lane in LANES {
        let cells = [(1, false), (2, false), (2, true)].map(|(threads, ill)| {
            let times = (0..turns).map(|_| lap(lane, threads, ill, requests));
            times.fold(f64::INFINITY, f64::min)
        });
        let cells = cells.map(|nanos| format!("{nanos:.0}")).join(" | ");
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
        Lane::Idle => idle = Some(balancer.observe(Idle)),
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
                lease.answered(Some(status));
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
