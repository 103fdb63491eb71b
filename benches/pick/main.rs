//! What does one pick cost, lease and release included, and what one change of the
//! membership? Compared with the floor that any such design stands on and with the
//! plain ways of doing it; see `benches/README.md`.
//!
//! `cargo bench --bench pick [-- FILTER]`; `EQUIPOISE_BENCH=full` measures every
//! combination.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod fleet;
mod lanes;
mod ours;
mod publish;
mod references;
mod report;
mod scenario;
mod tower_p2c;

use std::cell::OnceCell;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};

use lanes::{Contender, Lap};
use publish::Change;
use report::{Report, SAMPLES, Sample};
use scenario::{Extent, Scenario, Who};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let mode = if given("--profile-time") {
        Mode::Profile
    } else if given("--bench") && !given("--test") && !given("--list") {
        Mode::Measure
    } else {
        Mode::Trial
    };
    let full = std::env::var("EQUIPOISE_BENCH").is_ok_and(|extent| extent == "full");
    let extent = match mode {
        Mode::Trial if !given("--list") => Extent::Trial,
        _ if full => Extent::Full,
        _ => Extent::Default,
    };
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .sample_size(SAMPLES)
        .nresamples(2_000)
        .without_plots()
        .configure_from_args();
    let mut report = Report::default();
    race(&mut criterion, mode, &Scenario::all(extent), &mut report);
    publish(&mut criterion, extent, &mut report);
    if mode == Mode::Measure {
        criterion.final_summary();
        report.print();
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Measure,
    /// For a profiler: without the floor between the samples.
    Profile,
    /// Everything once, to see that it runs.
    Trial,
}

/// Picks of the floor beside each sample of a contender.
const FLOOR_PICKS: std::ops::Range<u64> = 1 << 14..1 << 17;

fn race(criterion: &mut Criterion, mode: Mode, scenarios: &[Scenario], report: &mut Report) {
    let alike = |a: &Scenario, b: &Scenario| (a.threads, a.members) == (b.threads, b.members);
    for group in scenarios.chunk_by(alike) {
        let mut benchmarks = criterion.benchmark_group(group[0].group());
        benchmarks.sampling_mode(SamplingMode::Flat);
        let floor = OnceCell::new();
        for &scenario in group {
            let contender = OnceCell::new();
            let mut samples = Vec::new();
            benchmarks.bench_function(scenario.id(), |bencher| {
                let contender = contender.get_or_init(|| scenario.build());
                let floor =
                    floor.get_or_init(|| Scenario::plain(Who::Floor, scenario.members).build());
                bencher.iter_custom(|picks| {
                    let enough = picks.max(enough(scenario, &samples));
                    let (beside, own) = match mode {
                        Mode::Measure if lanes::is_crowded(scenario.threads) => (enough, enough),
                        Mode::Measure => (picks.clamp(FLOOR_PICKS.start, FLOOR_PICKS.end), enough),
                        Mode::Profile | Mode::Trial => (0, picks),
                    };
                    let floor = lap(&**floor, scenario, beside);
                    let own = lap(&**contender, scenario, own);
                    samples.push(Sample {
                        own: own.ns,
                        floor: floor.ns,
                        disturbance: own.mean / own.ns,
                    });
                    Duration::from_secs_f64(own.mean * 1e-9 * picks as f64)
                });
            });
            report.enter(scenario, &samples);
        }
        benchmarks.finish();
    }
}

/// Criterion asks for too few picks where starting the threads takes most of the time
/// that it sees: these take ten milliseconds, or a few time slices for each thread.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that need not be exact"
)]
fn enough(scenario: Scenario, samples: &[Sample]) -> u64 {
    match samples.last() {
        Some(sample) if lanes::is_crowded(scenario.threads) => (3e7 / sample.own) as u64,
        Some(sample) if scenario.threads > 1 => (1e7 / sample.own) as u64,
        _ => 1,
    }
}

/// Times `picks` picks, after as many as make the caches warm.
fn lap(contender: &dyn Contender, scenario: Scenario, picks: u64) -> Lap {
    let warm = (picks / 4).min(scenario.members as u64);
    lanes::time(contender, 1, warm);
    lanes::time(contender, scenario.threads, picks)
}

fn publish(criterion: &mut Criterion, extent: Extent, report: &mut Report) {
    let mut changes = Change::all(extent == Extent::Full);
    if extent == Extent::Trial {
        changes.retain(|change| change.members == 100);
    }
    for group in changes.chunk_by(|a, b| a.members == b.members) {
        let mut benchmarks = criterion.benchmark_group(group[0].group());
        for &change in group {
            let editing = OnceCell::new();
            let mut samples = Vec::new();
            benchmarks.bench_function(change.id(), |bencher| {
                let editing = editing.get_or_init(|| change.build());
                bencher.iter_custom(|changes| {
                    let start = lanes::now();
                    editing.run(changes);
                    let own = start.elapsed();
                    samples.push(own.as_secs_f64() * 1e9 / changes as f64);
                    own
                });
            });
            report.enter_change(change, &samples);
        }
        benchmarks.finish();
    }
}
