//! How often does the layer allocate for a request?
//!
//! It counts with an allocator of its own, which would distort the timings of `service`:
//! hence a program of its own. `cargo bench --bench service_memory`.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]
#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

mod noop;
mod stacks;

use allocation_counter::{AllocationInfo, measure};

use noop::Traffic;
use stacks::Stack;

/// So many requests are counted.
const REQUESTS: u64 = 1_000;

fn main() {
    println!("\n### Heap allocations per request, and how many more (bytes)\n");
    let heads = Traffic::ALL.map(Traffic::name).join(" | ");
    println!("| in front | {heads} |");
    println!("|---|{}", "---:|".repeat(Traffic::ALL.len()));
    let bare = Traffic::ALL.map(|traffic| allocated(Stack::Bare, traffic));
    for stack in Stack::ALL {
        let mut bare = bare.iter();
        let cells = Traffic::ALL.map(|traffic| {
            let bare = bare.next().filter(|_| stack.suits(traffic));
            bare.map_or(String::from("–"), |bare| {
                let own = allocated(stack, traffic);
                cell(own, (stack != Stack::Bare).then_some(bare))
            })
        });
        println!("| {} | {} |", stack.name(), cells.join(" | "));
    }
}

fn cell(own: AllocationInfo, bare: Option<&AllocationInfo>) -> String {
    let each = |sum: u64| sum as f64 / REQUESTS as f64;
    let (count, bytes) = (each(own.count_total), each(own.bytes_total));
    match bare {
        None => format!("{count:.1} ({bytes:.0})"),
        Some(bare) => {
            let more = count - each(bare.count_total);
            let more_bytes = bytes - each(bare.bytes_total);
            format!("{count:.1}: {more:+.1} ({more_bytes:+.0})")
        }
    }
}

fn allocated(stack: Stack, traffic: Traffic) -> AllocationInfo {
    let stack = stack.build(traffic);
    // The first request of a thread allocates: `arc_swap` registers the thread.
    stack.serve(16);
    measure(|| stack.serve(REQUESTS))
}
