//! An experiment: one simulation with each of some schedulers and numbers of balancers.
//!
//! Not here: what is simulated (`scenarios`, `trace`), and what is shown (`table`, `plots`,
//! `page`).

use std::time::{Duration, Instant};

use equipoise::ByRequests;
use equipoise::testkit::simulation::{Latencies, Measured, Simulation, SimulationError};
use indicatif::{ProgressBar, ProgressStyle};

use crate::numbers::{grouped, number};
use crate::schedulers::SchedulerEntry;

/// The name of the row of one common queue.
pub(crate) const BOUND: &str = "one common queue";

/// What is to be run.
pub(crate) struct Experiment {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Settings in words, one for each line.
    pub(crate) notes: Vec<String>,
    pub(crate) simulation: Simulation,
    /// A lower bound to compare with.
    pub(crate) bound: Option<Simulation>,
    pub(crate) schedulers: Vec<&'static SchedulerEntry>,
    pub(crate) balancers: Vec<u32>,
    pub(crate) requests: u64,
    pub(crate) mean: Duration,
    pub(crate) unit: Unit,
}

/// The unit of the latencies that are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) nanos: f64,
}

impl Unit {
    pub(crate) fn of(self, latency: Duration) -> f64 {
        latency.as_nanos() as f64 / self.nanos
    }
}

/// What one run has given.
pub(crate) struct Finding {
    pub(crate) scheduler: &'static str,
    /// Its place among the colours; `None` for the bound.
    pub(crate) colour: Option<usize>,
    pub(crate) balancers: u32,
    pub(crate) measured: Measured,
}

impl Finding {
    pub(crate) fn latencies(&self) -> &Latencies {
        self.measured.latencies()
    }
}

/// All findings, and how fast they were made.
pub(crate) struct Findings {
    pub(crate) all: Vec<Finding>,
    pub(crate) requests: u64,
    pub(crate) took: Duration,
}

impl Findings {
    /// Iterates over the findings of the first number of balancers.
    pub(crate) fn first_balancers(&self) -> impl Iterator<Item = &Finding> + Clone {
        let first = self.all.first().map(|it| it.balancers);
        let all = self.all.iter();
        all.filter(move |it| it.colour.is_none() || Some(it.balancers) == first)
    }

    /// Returns how fast the simulation was, in words.
    pub(crate) fn speed(&self) -> String {
        let seconds = self.took.as_secs_f64();
        let speed = self.requests as f64 / seconds.max(1e-9);
        format!(
            "Simulated {} requests in {} s: {} per second.",
            grouped(&self.requests.to_string()),
            number(seconds),
            grouped(&format!("{speed:.0}"))
        )
    }
}

impl Experiment {
    /// Returns the title of a plot that shows the first number of balancers only.
    pub(crate) fn plot_title(&self) -> String {
        match *self.balancers {
            [] | [1] => self.title.clone(),
            [1, ..] => format!("{}: one balancer", self.title),
            [first, ..] => format!("{}: {first} balancers", self.title),
        }
    }

    /// Runs everything, with a progress bar if the output is a terminal.
    #[expect(clippy::disallowed_methods, reason = "the real speed is shown, too")]
    pub(crate) fn run(&self) -> Result<Findings, SimulationError> {
        let runs = self.schedulers.len() * self.balancers.len() + usize::from(self.bound.is_some());
        let bar = ProgressBar::new(self.requests * runs as u64).with_style(style());
        let begun = Instant::now();
        let mut all = Vec::new();
        for &balancers in &self.balancers {
            for entry in &self.schedulers {
                let several = self.balancers.len() > 1;
                bar.set_message(match several {
                    true => format!("{}, {balancers} balancers", entry.name),
                    false => entry.name.to_owned(),
                });
                let simulation = follow(&self.simulation, &bar, all.len(), self.requests);
                let mut made = (entry.make)(self.mean);
                let measured = simulation
                    .balancers(balancers as usize)
                    .run_with_feedback(|at| (made.scheduler)(at), &mut *made.feedback)?;
                all.push(Finding {
                    scheduler: entry.name,
                    colour: Some(entry.colour()),
                    balancers,
                    measured,
                });
            }
        }
        if let Some(bound) = &self.bound {
            bar.set_message(BOUND);
            let simulation = follow(bound, &bar, all.len(), self.requests);
            all.push(Finding {
                scheduler: BOUND,
                colour: None,
                balancers: 1,
                measured: simulation.run(|_| ByRequests::new())?,
            });
        }
        let took = begun.elapsed();
        bar.finish_and_clear();
        Ok(Findings {
            all,
            requests: self.requests * runs as u64,
            took,
        })
    }
}

/// Moves the bar while a simulation runs; `done` runs have ended.
fn follow(simulation: &Simulation, bar: &ProgressBar, done: usize, requests: u64) -> Simulation {
    let (bar, done) = (bar.clone(), done as u64 * requests);
    simulation
        .clone()
        .progress(move |arrived| bar.set_position(done + arrived))
}

fn style() -> ProgressStyle {
    let template =
        "{bar:40} {percent:>3} %  {human_pos} of {human_len} requests, {eta} left  {msg}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
