//! What the forwarders of this crate aim at, and whether it is met: [`print`].

#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]

use crate::arena::Sample;
use crate::contender::Contender;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::results::{Measured, Results, median};
use crate::work::Work;

struct Target {
    work: Work,
    most: f64,
    /// In terms of what; alone, the figure itself counts.
    of: Option<Contender>,
}

const fn at_most(most: f64, of: Contender, work: Work) -> Target {
    let of = Some(of);
    Target { work, most, of }
}

/// An idle connection should take no more bytes.
const IDLE: f64 = 8.0 * 1024.0;

const TARGETS: [Target; 10] = [
    at_most(0.25, Contender::Haproxy, Work::Stream),
    at_most(0.25, Contender::HaproxySplice, Work::Stream),
    at_most(1.05, Contender::Splice, Work::Stream),
    at_most(0.25, Contender::Haproxy, Work::Streams),
    at_most(0.25, Contender::HaproxySplice, Work::Streams),
    at_most(1.05, Contender::Splice, Work::Streams),
    at_most(1.05, Contender::Splice, Work::Exchanges),
    at_most(1.05, Contender::Copy, Work::Connections),
    at_most(1.2, Contender::Nginx, Work::Connections),
    Target {
        work: Work::Idle,
        most: IDLE,
        of: None,
    },
];

/// Prints the targets of those works that were measured.
pub(crate) fn print(measured: &[(Work, Results<Contender, Sample>)]) {
    let mut is_begun = false;
    for target in TARGETS {
        let results = measured.iter().find(|(work, _)| *work == target.work);
        let Some((_, results)) = results else {
            continue;
        };
        let (figure, unit, digits) = match target.of {
            Some(other) => {
                let ratios = results.ratios(Contender::Ours, other);
                (median(ratios), format!(" × {}", other.name()), 2)
            }
            None => {
                let cost = results.middle(Contender::Ours, Measured::cost);
                (cost, " bytes".to_owned(), 0)
            }
        };
        let Some(figure) = figure else {
            continue;
        };
        if !std::mem::replace(&mut is_begun, true) {
            println!("\n#### Targets\n");
            println!("| what | target | measured | verdict |");
            println!("|---|---:|---:|---:|");
        }
        let verdict = match figure / target.most {
            part if part <= 1.0 => "met".to_owned(),
            part => format!("missed by {:.1} %", (part - 1.0) * 100.0),
        };
        println!(
            "| {} | ≤ {}{unit} | {figure:.digits$}{unit} | {verdict} |",
            target.work.title(),
            target.most,
        );
    }
}
