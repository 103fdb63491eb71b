//! The tables at the end: every median with its ratio to the floor, and the targets
//! beside what was measured.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use crate::fleet::{Method, Weights};
use crate::lanes::median;
use crate::ours::Use;
use crate::publish::{Change, Edit};
use crate::scenario::{Scenario, Who};

/// So many samples of each benchmark.
pub(crate) const SAMPLES: usize = 20;

/// Nanoseconds for each pick: the contender's, and the floor's right before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) own: f64,
    pub(crate) floor: f64,
    /// How much longer a pick took in the mean than in the median.
    pub(crate) disturbance: f64,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    scenario: Scenario,
    ns: f64,
    /// The median of the samples' ratios, which drifts less than the ratio of medians.
    ratio: f64,
    disturbance: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    changes: Vec<(Change, f64)>,
}

impl Report {
    /// Enters the last samples; those before are the warm-up's.
    pub(crate) fn enter(&mut self, scenario: Scenario, samples: &[Sample]) {
        let samples = &samples[samples.len().saturating_sub(SAMPLES)..];
        let ns = median(samples.iter().map(|sample| sample.own));
        let ratio = median(samples.iter().map(|sample| sample.own / sample.floor));
        let disturbance = median(samples.iter().map(|sample| sample.disturbance));
        if let (Some(ns), Some(ratio), Some(disturbance)) = (ns, ratio, disturbance) {
            self.rows.push(Row {
                scenario,
                ns,
                ratio,
                disturbance,
            });
        }
    }

    pub(crate) fn enter_change(&mut self, change: Change, samples: &[f64]) {
        let samples = &samples[samples.len().saturating_sub(SAMPLES)..];
        if let Some(ns) = median(samples.iter().copied()) {
            self.changes.push((change, ns));
        }
    }

    pub(crate) fn print(&self) {
        for threads in [1, 2] {
            self.print_picks(threads);
        }
        if !self.changes.is_empty() {
            self.print_changes();
        }
        self.print_targets();
        let alone = self.rows.iter().filter(|row| row.scenario.threads == 1);
        if let Some(disturbance) = median(alone.map(|row| row.disturbance)) {
            println!(
                "\nDisturbance: {disturbance:.2} (1 on a quiet machine; if it is far above 1, the rows \
                 of two threads and of changes are the least reliable)."
            );
        }
    }

    fn print_picks(&self, threads: usize) {
        let rows = || {
            let rows = self.rows.iter();
            rows.filter(|row| row.scenario.threads == threads)
        };
        let mut columns: Vec<_> = rows().map(|row| row.scenario.members).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut labels: Vec<String> = Vec::new();
        for row in rows() {
            let label = row.scenario.label();
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        if labels.is_empty() {
            return;
        }
        let plural = if threads == 1 { "" } else { "s" };
        println!("\n### {threads} thread{plural}: ns per pick and core (× the floor)\n");
        let heads = columns.iter().map(|members| format!("n = {members}"));
        print_heads(["pick + lease + drop".to_owned()].into_iter().chain(heads));
        for label in &labels {
            let cells = columns.iter().map(|&members| {
                let is_it =
                    |row: &&Row| row.scenario.members == members && row.scenario.label() == *label;
                rows().find(is_it).map_or(String::from("–"), |row| {
                    format!("{} ({:.2})", short(row.ns), row.ratio)
                })
            });
            println!("| {label} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }

    fn print_changes(&self) {
        println!("\n### One change of the membership: µs until readers see it\n");
        let heads = ["change", "n = 100", "n = 1000", "n = 10000"].map(str::to_owned);
        print_heads(heads.into_iter());
        let mut labels: Vec<String> = Vec::new();
        for (change, _) in &self.changes {
            let label = change.label();
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        for label in &labels {
            let cells = [100, 1_000, 10_000].map(|members| {
                let is_it = |(change, _): &&(Change, f64)| {
                    change.members == members && change.label() == *label
                };
                let found = self.changes.iter().find(is_it);
                found.map_or(String::from("–"), |(_, ns)| short(ns / 1e3))
            });
            println!("| {label} | {} |", cells.join(" | "));
        }
    }

    fn print_targets(&self) {
        println!("\n### Targets\n");
        print_heads(
            ["what", "target", "measured", "verdict"]
                .map(str::to_owned)
                .into_iter(),
        );
        for target in self.targets() {
            let Target {
                what,
                limit,
                unit,
                measured,
            } = target;
            let (measured, verdict) = match measured {
                None => ("–".to_owned(), "not measured".to_owned()),
                Some(value) => (format!("{value:.2} {unit}"), verdict(value, limit)),
            };
            println!("| {what} | ≤ {limit} {unit} | {measured} | {verdict} |");
        }
    }

    fn targets(&self) -> Vec<Target> {
        let weights = [
            (Weights::Equal, "equal weights"),
            (Weights::Ten, "ten weights"),
            (Weights::All, "all weights distinct"),
        ];
        let mut targets = Vec::new();
        for (method, over_floor) in [
            (Method::ByRequests, 2.3),
            (Method::ByBusyness, 3.0),
            (Method::ByTraffic, 3.0),
        ] {
            for (weights, name) in weights {
                let all = (method, weights) == (Method::ByRequests, Weights::All);
                let at = |members| Scenario::plain(Who::Ours(method), members).of_weights(weights);
                targets.push(Target {
                    what: format!("{method:?}, {name}, n = 10"),
                    limit: over_floor,
                    unit: "× floor",
                    measured: self.ratio(at(10)),
                });
                targets.push(Target {
                    what: format!("{method:?}, {name}, n = 10 000"),
                    limit: if all { 6.0 } else { 2.0 },
                    unit: "× its n = 10",
                    measured: self.growth(at(10), at(10_000)),
                });
            }
        }
        for method in Method::ALL {
            for members in [10, 10_000] {
                let scenario = Scenario::plain(Who::Ours(method), members).on_two_threads();
                targets.push(Target {
                    what: format!("{method:?} on 2 threads, n = {members}"),
                    limit: 2.5,
                    unit: "× floor on 2",
                    measured: self.ratio(scenario),
                });
            }
        }
        for (edit, name) in [
            (Edit::Drain, "drain"),
            (Edit::InsertRemove, "insert, remove"),
        ] {
            let slowest = self
                .changes
                .iter()
                .filter(|(change, _)| change.edit == edit && change.members == 10_000)
                .map(|(_, ns)| ns / 1e6)
                .reduce(f64::max);
            targets.push(Target {
                what: format!("one change among 10 000 ({name}), the slowest method"),
                limit: 1.0,
                unit: "ms",
                measured: slowest,
            });
        }
        targets
    }

    fn row(&self, scenario: Scenario) -> Option<&Row> {
        self.rows.iter().find(|row| row.scenario == scenario)
    }

    fn ratio(&self, scenario: Scenario) -> Option<f64> {
        Some(self.row(scenario)?.ratio)
    }

    fn growth(&self, from: Scenario, to: Scenario) -> Option<f64> {
        debug_assert_eq!((from.usage, to.usage), (Use::AtOnce, Use::AtOnce));
        Some(self.row(to)?.ns / self.row(from)?.ns)
    }
}

struct Target {
    what: String,
    limit: f64,
    unit: &'static str,
    measured: Option<f64>,
}

fn verdict(value: f64, limit: f64) -> String {
    if value <= limit {
        "met".to_owned()
    } else {
        format!("missed by {:.0} %", (value / limit - 1.0) * 100.0)
    }
}

fn print_heads(heads: impl Iterator<Item = String>) {
    let heads: Vec<_> = heads.collect();
    println!("| {} |", heads.join(" | "));
    println!("|---|{}", "---:|".repeat(heads.len() - 1));
}

/// Three digits or so.
fn short(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
