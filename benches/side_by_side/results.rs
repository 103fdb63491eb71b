//! The samples of one work, round by round, and what a table says of them: [`Results`].

#![expect(clippy::print_stdout, reason = "it stands below the tables")]

use super::contestant::Contestant;
use super::reading::Usage;

/// What one measurement came to.
pub(crate) trait Measured {
    /// What is compared: less is better.
    fn cost(&self) -> f64;

    fn usage(&self) -> &Usage;

    fn failed(&self) -> f64;
}

/// `S` are the samples of the contenders.
pub(crate) struct Results<C, S> {
    pub(crate) contenders: Vec<C>,
    /// In each round one for each contender, unless it failed.
    rounds: Vec<Vec<Option<S>>>,
}

impl<C: Contestant, S: Measured> Results<C, S> {
    /// Measures all contenders in each round, and the other way round in each second one, so
    /// that a machine that drifts favours none of them.
    pub(crate) async fn measure(
        contenders: Vec<C>,
        rounds: u32,
        mut measure: impl AsyncFnMut(C) -> Option<S>,
    ) -> Self {
        let mut all = Vec::new();
        for round in 0..rounds {
            let mut samples: Vec<Option<S>> = contenders.iter().map(|_| None).collect();
            let mut order: Vec<usize> = (0..contenders.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                samples[index] = measure(contenders[index]).await;
            }
            all.push(samples);
        }
        Self {
            contenders,
            rounds: all,
        }
    }

    fn samples(&self, contender: C) -> impl Iterator<Item = &S> {
        let rounds = self.rounds.iter();
        rounds.filter_map(move |round| self.of(round, contender))
    }

    fn of<'r>(&self, round: &'r [Option<S>], contender: C) -> Option<&'r S> {
        let mut contenders = self.contenders.iter();
        let place = contenders.position(|&it| it == contender)?;
        round.get(place)?.as_ref()
    }

    /// The median over the rounds.
    pub(crate) fn middle(&self, contender: C, of: impl FnMut(&S) -> f64) -> Option<f64> {
        median(self.samples(contender).map(of).collect())
    }

    /// What one costs in terms of another, round by round.
    pub(crate) fn ratios(&self, one: C, other: C) -> Vec<f64> {
        let rounds = self.rounds.iter();
        let pairs = rounds.filter_map(|round| self.of(round, one).zip(self.of(round, other)));
        pairs
            .map(|(one, other)| one.cost() / other.cost())
            .collect()
    }

    /// Prints what the figures have suffered from. `what` are those that may have failed.
    pub(crate) fn print_troubles(&self, what: &str) {
        let all = self.contenders.iter();
        let all: Vec<&S> = all.flat_map(|&it| self.samples(it)).collect();
        let disturbed: Vec<f64> = all.iter().map(|it| it.usage().disturbed).collect();
        let most = disturbed.iter().copied().fold(0.0, f64::max);
        println!(
            "\nDisturbance: others used {} of a core (median), {most:.2} at most.",
            figure(median(disturbed), 2),
        );
        for &contender in &self.contenders {
            let failed: f64 = self.samples(contender).map(Measured::failed).sum();
            let missing = self.rounds.len() - self.samples(contender).count();
            if failed > 0.0 || missing > 0 {
                let name = contender.name();
                println!("\n{name}: {failed} {what} failed, {missing} rounds are missing.");
            }
        }
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values.get(middle).copied(),
        _ => Some((values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0),
    }
}

pub(crate) fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// The median, and from where to where they go.
pub(crate) fn spread(values: Vec<f64>) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    match median(values) {
        Some(middle) => format!("{middle:.2} ({least:.2}–{most:.2})"),
        None => "–".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no memory is that large")]
pub(crate) fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
