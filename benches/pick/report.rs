//! The tables at the end: every median with its ratio to the floor, and the targets
//! beside what was measured.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use crate::fleet::{Method, Weights};
use crate::lanes::median;
use crate::ours::Use;
use crate::publish::{Change, Edit};
use crate::scenario::{Scenario, THREADS, Who};

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
        for threads in THREADS {
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
        use Method::{
            ByBusyness, ByRequests, ByTraffic, LeastRequest, Maglev, TwoChoices, WeightedRandom,
        };

        const STICKY: Use = Use::Sticky;
        let on_1 = |method, members| Scenario::plain(Who::Ours(method), members);
        let on_2 = |method, members| on_1(method, members).on_two_threads();
        let ten = |members| on_1(ByRequests, members).of_weights(Weights::Ten);
        let sticky = |method| on_2(method, 10).used(STICKY);
        let to_floor = [
            (on_1(ByRequests, 10), 1.8),
            (on_1(ByRequests, 10_000), 2.6),
            (ten(10), 1.8),
            (ten(10_000), 3.4),
            (on_2(ByRequests, 10), 2.0),
            (on_1(ByBusyness, 10), 2.5),
            (on_1(ByTraffic, 10), 2.0),
            (on_2(ByBusyness, 10), 4.0),
            (on_2(ByTraffic, 10), 4.0),
            (on_1(ByTraffic, 10_000), 4.7),
            (on_1(LeastRequest, 10), 1.7),
            (on_1(TwoChoices, 10), 1.7),
            (on_1(LeastRequest, 10_000), 1.5),
            (on_1(Maglev, 10), 1.7),
            (on_1(Maglev, 10_000), 1.5),
            (on_1(WeightedRandom, 10), 1.7),
            (on_1(WeightedRandom, 10_000), 1.5),
            (on_2(ByTraffic, 10_000), 15.0),
            (sticky(ByRequests), 7.0),
            (sticky(ByBusyness), 4.0),
            (sticky(ByTraffic), 4.0),
        ];
        let to_index = [
            (on_2(ByRequests, 10_000), 1.5),
            (on_2(ByBusyness, 10_000), 2.0),
        ];
        let target = |scenario: Scenario, limit, unit, measured| Target {
            what: scenario.question(),
            limit,
            unit,
            measured,
        };
        let mut targets: Vec<Target> = Vec::new();
        targets.extend(
            to_floor
                .map(|(scenario, limit)| target(scenario, limit, "× floor", self.ratio(scenario))),
        );
        targets.extend(to_index.map(|(scenario, limit)| {
            target(
                scenario,
                limit,
                "× shared index",
                self.to_shared_index(scenario),
            )
        }));
        for (edit, name) in [
            (Edit::Drain, "drain"),
            (
                Edit::InsertRemove,
                "insert, remove; methods without a table",
            ),
        ] {
            // With a table the caller makes it afterwards, while picks see the change.
            let compared = |change: &Change| match edit {
                Edit::Drain => change.method != Method::Modulo,
                Edit::InsertRemove => !change.method.makes_table(),
            };
            let slowest = self
                .changes
                .iter()
                .filter(|(change, _)| change.edit == edit && change.members == 10_000)
                .filter(|(change, _)| compared(change))
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

    /// How much more it costs than the shared index, each in terms of the floor beside it.
    fn to_shared_index(&self, scenario: Scenario) -> Option<f64> {
        let index = Scenario {
            who: Who::SharedIndex,
            ..scenario
        };
        Some(self.ratio(scenario)? / self.ratio(index)?)
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
