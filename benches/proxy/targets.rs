//! What the proxy of this crate aims at, and whether it is met: [`print`].

#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]

use crate::arena::Sample;
use crate::contender::Contender;
use crate::side_by_side::contestant::Contestant;
use crate::side_by_side::results::{Results, median};
use crate::work::Work;

/// One contender costs at most so many times what another costs.
struct Target {
    work: Work,
    one: Contender,
    most: f64,
    other: Contender,
}

const fn at_most(most: f64, other: Contender, work: Work) -> Target {
    let one = Contender::Ours;
    Target {
        work,
        one,
        most,
        other,
    }
}

/// What stands around the plain proxy may cost so much more.
const fn around(one: Contender, work: Work) -> Target {
    let (most, other) = (1.05, Contender::Ours);
    Target {
        work,
        one,
        most,
        other,
    }
}

const TARGETS: &[Target] = &[
    at_most(1.05, Contender::BareHeaders, Work::Small),
    at_most(1.1, Contender::BareHeaders, Work::Medium),
    at_most(1.0, Contender::HaproxyHeaders, Work::Small),
    at_most(1.3, Contender::NginxHeaders, Work::Small),
    around(Contender::Router, Work::Small),
    #[cfg(feature = "config")]
    around(Contender::Config, Work::Small),
    around(Contender::Sticky, Work::Cookie),
    around(Contender::Router, Work::Http2),
    #[cfg(feature = "config")]
    around(Contender::Config, Work::Http2),
    at_most(1.05, Contender::BareHeaders, Work::Http2),
    at_most(1.0, Contender::BareHeaders, Work::Large),
    at_most(1.05, Contender::BareHeaders, Work::Connections),
];

/// Prints the targets of those works that were measured.
pub(crate) fn print(measured: &[(Work, Results<Contender, Sample>)]) {
    let mut rows = Vec::new();
    for (work, results) in measured {
        for target in TARGETS.iter().filter(|target| target.work == *work) {
            let ratios = results.ratios(target.one, target.other);
            let what = format!("{} ÷ {}", target.one.name(), target.other.name());
            rows.extend(median(ratios).map(|ratio| (work.name(), what, target.most, ratio)));
        }
        if *work == Work::Offered {
            for (percent, of) in [
                ("p50", median_of as fn(&Sample) -> f64),
                ("p99", slowest_of),
            ] {
                let one = results.middle(Contender::Ours, of);
                let ratio = one.zip(results.middle(Contender::BareHeaders, of));
                let what = format!("{percent}, ours ÷ bare-headers");
                rows.extend(ratio.map(|(one, other)| (work.name(), what, 1.0, one / other)));
            }
        }
    }
    if rows.is_empty() {
        return;
    }
    println!("\n#### Targets\n");
    println!("| work | processor time, unless said | target | measured | verdict |");
    println!("|---|---|---:|---:|---:|");
    for (work, what, most, ratio) in rows {
        println!(
            "| {work} | {what} | ≤ {most} | {ratio:.2} | {} |",
            verdict(ratio, most)
        );
    }
}

fn median_of(sample: &Sample) -> f64 {
    sample.load.median.unwrap_or_default().as_secs_f64()
}

fn slowest_of(sample: &Sample) -> f64 {
    sample.load.slowest.unwrap_or_default().as_secs_f64()
}

/// Whether a figure is no more than it should be.
pub(crate) fn verdict(figure: f64, most: f64) -> String {
    match figure / most {
        part if part <= 1.0 => "met".to_owned(),
        part => format!("missed by {:.1} %", (part - 1.0) * 100.0),
    }
}
