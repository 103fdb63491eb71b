//! The table of one work.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use crate::arena::Sample;
use crate::contender::Contender;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::results::{Measured, Results, figure, megabytes, spread};
use crate::work::Work;

pub(crate) fn print(work: Work, results: &Results<Contender, Sample>) {
    println!("\n#### {}\n", work.title());
    println!(
        "| proxy | requests/s | p50 µs | p99 µs | CPU s per million | × bare | ours ÷ it \
         | its core | peak RSS MB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for &contender in &results.contenders {
        let middle = |of: &dyn Fn(&Sample) -> f64| results.middle(contender, of);
        let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            contender.name(),
            figure(middle(&|it| it.load.per_second), 0),
            figure(middle(&|it| micros(it.load.median)), 0),
            figure(middle(&|it| micros(it.load.slowest)), 0),
            figure(middle(&Sample::cost), 1),
            spread(results.ratios(contender, Contender::Bare)),
            spread(results.ratios(contender.ours(), contender)),
            figure(middle(&|it| it.usage.busy), 2),
            figure(middle(&|it| megabytes(it.usage.memory)), 1),
        );
    }
    results.print_troubles("requests");
}
