//! The table of one work.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use std::time::Duration;

use crate::arena::Sample;
use crate::contender::Contender;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::results::{Measured, Results, figure, megabytes, spread};
use crate::work::Work;

pub(crate) fn print(work: Work, results: &Results<Contender, Sample>) {
    println!("\n#### {}\n", work.task().title);
    println!(
        "| proxy | requests/s | p50 µs | p99 µs | CPU s per million | × bare-headers | ours ÷ it \
         | its core | peak RSS MB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for &contender in &results.contenders {
        let middle = |of: &dyn Fn(&Sample) -> f64| results.middle(contender, of);
        let micros = |time: Option<Duration>| time.map_or(f64::NAN, |it| it.as_secs_f64() * 1e6);
        let known = |value: Option<f64>| figure(value.filter(|value| value.is_finite()), 0);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            contender.name(),
            figure(middle(&|it| it.load.per_second), 0),
            known(middle(&|it| micros(it.load.median))),
            known(middle(&|it| micros(it.load.slowest))),
            figure(middle(&Sample::cost), 1),
            spread(results.ratios(contender, Contender::BareHeaders)),
            spread(results.ratios(contender.ours(), contender)),
            figure(middle(&|it| it.usage.busy), 2),
            figure(middle(&|it| megabytes(it.usage.memory)), 1),
        );
    }
    results.print_troubles("requests");
}
