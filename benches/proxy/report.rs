//! The table of one work.

#![expect(clippy::print_stdout, reason = "the tables are what a user asked for")]

use crate::arena::Sample;
use crate::contender::Contender;
use crate::work::Work;

/// The samples of one work.
pub(crate) struct Results {
    pub(crate) contenders: Vec<Contender>,
    /// In each round one for each contender, unless it failed.
    pub(crate) rounds: Vec<Vec<Option<Sample>>>,
}

pub(crate) fn print(work: Work, results: &Results) {
    println!("\n#### {}\n", work.title());
    println!(
        "| proxy | requests/s | p50 µs | p99 µs | CPU s per million | × bare | ours ÷ it \
         | its core | peak RSS MB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for &contender in &results.contenders {
        let middle = |of: &dyn Fn(&Sample) -> f64| {
            let samples = results.samples(contender).map(of);
            median(samples.collect())
        };
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
            figure(middle(&|it| it.busy), 2),
            figure(middle(&|it| megabytes(it.memory)), 1),
        );
    }
    let all = results.contenders.iter();
    let all: Vec<&Sample> = all.flat_map(|&it| results.samples(it)).collect();
    let disturbed: Vec<f64> = all.iter().map(|it| it.disturbed).collect();
    let most = disturbed.iter().copied().fold(0.0, f64::max);
    println!(
        "\nDisturbance: others used {} of a core (median), {most:.2} at most.",
        figure(median(disturbed), 2),
    );
    for &contender in &results.contenders {
        let failed: f64 = results.samples(contender).map(|it| it.load.failed).sum();
        let missing = results.rounds.len() - results.samples(contender).count();
        if failed > 0.0 || missing > 0 {
            let name = contender.name();
            println!("\n{name}: {failed} requests failed, {missing} rounds are missing.");
        }
    }
}

impl Results {
    fn samples(&self, contender: Contender) -> impl Iterator<Item = &Sample> {
        let rounds = self.rounds.iter();
        rounds.filter_map(move |round| self.of(round, contender))
    }

    fn of<'r>(&self, round: &'r [Option<Sample>], contender: Contender) -> Option<&'r Sample> {
        let mut contenders = self.contenders.iter();
        let place = contenders.position(|&it| it == contender)?;
        round.get(place)?.as_ref()
    }

    /// What one costs in terms of another, round by round.
    fn ratios(&self, one: Contender, other: Contender) -> Vec<f64> {
        let rounds = self.rounds.iter();
        let pairs = rounds.filter_map(|round| self.of(round, one).zip(self.of(round, other)));
        pairs
            .map(|(one, other)| one.cost() / other.cost())
            .collect()
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values.get(middle).copied(),
        _ => Some((values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0),
    }
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// The median, and from where to where they go.
fn spread(values: Vec<f64>) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    match median(values) {
        Some(middle) => format!("{middle:.2} ({least:.2}–{most:.2})"),
        None => "–".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no memory is that large")]
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
