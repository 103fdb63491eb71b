//! Does a pick allocate, and how many bytes does a member take?
//!
//! It counts with an allocator of its own, which would distort timings: hence a
//! program of its own. `cargo bench --bench memory`; it fails if a pick allocates.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]
#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

#[expect(dead_code, reason = "it is shared with `pick`")]
#[path = "pick/fleet.rs"]
mod fleet;

use std::hint::black_box;
use std::net::SocketAddr;

use allocation_counter::measure;
use equipoise::{Balancer, Outcome, PickRequest};

use fleet::{Method, Weights};

/// The most bytes that a member without a route may take, schedulers included, by the methods
/// that have no tables or readings of their own.
const fn most_bytes(weights: Weights) -> f64 {
    match weights {
        Weights::Equal | Weights::Ten => 512.0,
        Weights::All => 640.0,
    }
}

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[usize] = if measuring { &[1_000, 10_000] } else { &[100] };
    println!("\n### Heap allocations in 10 000 picks\n");
    println!(
        "| method, weights | leases dropped at once | 100 held | 90 % sticky | 3 tried | ended, every tenth failed |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let mut sum = 0;
    for (method, weights) in combinations() {
        let counts = allocations(method, weights, sizes[0]);
        sum += counts.iter().sum::<u64>();
        let cells = counts.map(|count| count.to_string()).join(" | ");
        println!("| {}, {weights:?} | {cells} |", method.name());
    }
    println!("\n### Bytes per member, schedulers and a `SocketAddr` included\n");
    let heads = sizes
        .iter()
        .flat_map(|size| ["", ", routes"].map(|routes| format!(" n = {size}{routes} |")));
    println!("| method, weights |{}", heads.collect::<String>());
    println!("|---|{}", "---:|".repeat(2 * sizes.len()));
    let mut most = [Weights::Equal, Weights::Ten, Weights::All].map(|weights| (weights, 0.0_f64));
    for (method, weights) in combinations() {
        let cells = sizes.iter().flat_map(|&size| {
            [false, true].map(|routes| bytes_per_member(method, weights, size, routes))
        });
        let cells: Vec<f64> = cells.collect();
        let plain = cells.iter().step_by(2).copied().fold(0.0, f64::max);
        for (of, most) in &mut most {
            if *of == weights && method.is_apache() {
                *most = most.max(plain);
            }
        }
        let cells: String = cells.iter().map(|bytes| format!(" {bytes:.0} |")).collect();
        println!("| {}, {weights:?} |{cells}", method.name());
    }
    println!("\nAllocations: {sum} (target: 0).");
    for (weights, bytes) in most {
        let target = most_bytes(weights);
        println!(
            "Bytes per member, {weights:?}, without routes, by ByRequests, ByBusyness and \
             ByTraffic: {bytes:.0} at most (target: {target:.0})."
        );
    }
    assert_eq!(sum, 0, "a pick allocates nothing");
}

fn combinations() -> impl Iterator<Item = (Method, Weights)> {
    let methods = Method::ALL.into_iter();
    methods.flat_map(|method| Weights::ALL.map(|weights| (method, weights)))
}

/// The bytes that building a balancer leaves behind.
fn bytes_per_member(method: Method, weights: Weights, count: usize, routes: bool) -> f64 {
    let mut built = None;
    let info = measure(|| built = Some(fleet::balancer(method, weights, count, routes)));
    drop(black_box(built));
    info.bytes_current as f64 / count as f64
}

/// The allocations of 10 000 picks, for each of five ways of picking and ending.
fn allocations(method: Method, weights: Weights, count: usize) -> [u64; 5] {
    let balancer = fleet::balancer(method, weights, count, true);
    let routes: Vec<String> = (0..count).map(fleet::route).collect();
    let tried: Vec<_> = balancer
        .members()
        .iter()
        .map(|member| member.id())
        .collect();
    let mut ring: Vec<_> = (0..100).map(|_| None).collect();
    let request = |turn: usize| match method.is_keyed() {
        true => PickRequest::new().with_hash((turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        false => PickRequest::new(),
    };
    // The first pick of a thread allocates: `arc_swap` registers the thread.
    pick(&balancer, &request(0));
    let counts: [&mut dyn FnMut(usize); 5] = [
        &mut |turn| pick(&balancer, &request(turn)),
        &mut |turn| ring[turn % 100] = balancer.pick(&request(turn)).ok(),
        &mut |turn| {
            let route = (turn % 10 != 0).then(|| &*routes[turn * 7 % count]);
            pick(&balancer, &request(turn).with_session(route));
        },
        &mut |turn| {
            let from = turn % (count - 3);
            pick(&balancer, &request(turn).with_tried(&tried[from..from + 3]));
        },
        &mut |turn| {
            let mut lease = balancer
                .pick(&request(turn))
                .expect("no member is disabled");
            if turn % 10 == 0 {
                lease.finish(Outcome::Failure);
            } else {
                lease.record_head(Some(200));
                lease.finish(Outcome::Success);
            }
        },
    ];
    counts.map(|pick| measure(|| (0..10_000).for_each(&mut *pick)).count_total)
}

fn pick(balancer: &Balancer<SocketAddr>, request: &PickRequest<'_>) {
    let mut lease = balancer.pick(request).expect("no member is disabled");
    lease.record_received(1_000);
    black_box(&*lease);
}
