//! What the layer adds around a service that does nothing, in nanoseconds.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use crate::extent::Extent;
use crate::lanes::{self, Contender, Lane, median};
use crate::noop::Traffic;
use crate::stacks::{Serve, Stack};

/// So many requests are one sample.
const REQUESTS: u64 = 16_000;

/// One stack, with one kind of traffic.
struct Cell {
    /// Nanoseconds for each request.
    ns: f64,
    /// The median of what they are more than right before without anything in front.
    more: f64,
    /// The median of what they are times those.
    times: f64,
}

struct Raced<'s>(&'s dyn Serve);

impl Contender for Raced<'_> {
    fn run(&self, _: &mut Lane, requests: u64) {
        self.0.serve(requests);
    }
}

/// Measures all stacks whose name contains `filter`, and prints a table.
pub(crate) fn run(extent: Extent, filter: &str) {
    let rows: Vec<_> = Stack::ALL
        .into_iter()
        .filter(|stack| stack.name().contains(filter))
        .map(|stack| {
            (
                stack,
                Traffic::ALL.map(|traffic| cell(extent, stack, traffic)),
            )
        })
        .collect();
    if extent == Extent::Trial || rows.is_empty() {
        return;
    }
    println!("\n### Around a service that does nothing: ns per request, and how much more\n");
    let heads = Traffic::ALL.map(Traffic::name).join(" | ");
    println!("| in front | {heads} |");
    println!("|---|{}", "---:|".repeat(Traffic::ALL.len()));
    for (stack, cells) in rows {
        let cells = cells.map(|cell| match cell {
            None => String::from("–"),
            Some(cell) if stack == Stack::Bare => format!("{:.0}", cell.ns),
            Some(Cell { ns, more, times }) => format!("{ns:.0}: {more:+.0} ({times:.2} ×)"),
        });
        println!("| {} | {} |", stack.name(), cells.join(" | "));
    }
}

/// Takes samples of a stack, each right after one without anything in front.
fn cell(extent: Extent, stack: Stack, traffic: Traffic) -> Option<Cell> {
    if !stack.suits(traffic) {
        return None;
    }
    let (samples, requests) = match extent {
        Extent::Measure => (20, REQUESTS),
        Extent::Trial => (1, 16),
    };
    let (bare, own) = (Stack::Bare.build(traffic), stack.build(traffic));
    let samples: Vec<_> = (0..samples)
        .map(|_| [&bare, &own].map(|who| lap(&**who, requests)))
        .collect();
    Some(Cell {
        ns: median(samples.iter().map(|[_, own]| *own))?,
        more: median(samples.iter().map(|[bare, own]| own - bare))?,
        times: median(samples.iter().map(|[bare, own]| own / bare))?,
    })
}

/// Nanoseconds for each of so many requests, after some that make the caches warm.
fn lap(who: &dyn Serve, requests: u64) -> f64 {
    let raced = Raced(who);
    lanes::time(&raced, 1, requests / 16);
    lanes::time(&raced, 1, requests).ns
}
