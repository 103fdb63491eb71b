//! The table of one work.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use crate::arena::Sample;
use crate::contender::Contender;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::results::{Measured, Results, figure, megabytes, spread};
use crate::work::Work;

pub(crate) fn print(work: Work, results: &Results<Contender, Sample>) {
    let (cost, _) = work.cost();
    let unit = work.unit();
    println!("\n#### {}\n", work.title());
    println!("| forwarder | {cost} | × direct | ours ÷ it | {unit}/s | its core | peak RSS MB |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for &contender in &results.contenders {
        let middle = |of: &dyn Fn(&Sample) -> f64| results.middle(contender, of);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            contender.name(),
            figure(middle(&Sample::cost), digits(work)),
            spread(results.ratios(contender, Contender::Direct)),
            spread(results.ratios(Contender::Ours, contender)),
            figure(
                middle(&|it| it.done.amount / it.done.seconds),
                rate_digits(work)
            ),
            figure(middle(&|it| it.usage().busy), 2),
            figure(middle(&|it| megabytes(it.usage().memory)), 1),
        );
    }
    results.print_troubles(unit);
}

const fn digits(work: Work) -> usize {
    match work {
        Work::Stream | Work::Streams => 3,
        Work::Idle => 0,
        _ => 2,
    }
}

const fn rate_digits(work: Work) -> usize {
    match work {
        Work::Stream | Work::Streams => 2,
        _ => 0,
    }
}
