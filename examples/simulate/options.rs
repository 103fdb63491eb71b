//! The command line options, and their errors.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::limits;
use crate::scenarios::SCENARIOS;
use crate::schedulers::SCHEDULERS;

const EXAMPLES: &str = "\
Examples:
  simulate
          Compare the schedulers on 100 equal members
  simulate slow --schedulers byrequests,leastrequest --load 0.6
          Two schedulers, at a lower load
  simulate many-balancers --balancers 1,4,16,64
          The effect of the number of balancers
  simulate --trace access.log --members 12
          Replay the log of a server against 12 members
  simulate --docs docs/simulation
          Write the plots of the documentation";

/// Simulates schedulers under load and shows which one gives which latencies.
///
/// Requests, members and time are simulated; the balancer and the schedulers are real. The
/// same requests arrive at the same times for each scheduler. Prints a table, and writes
/// plots (SVG) and a page (HTML) that shows them side by side.
#[derive(Clone, Debug, Parser)]
#[command(name = "simulate", after_help = EXAMPLES)]
pub(crate) struct Options {
    /// What is simulated
    #[arg(default_value = "uniform", value_parser = scenarios())]
    pub(crate) scenario: String,

    /// The schedulers to compare, separated by commas [default: those that suit most loads]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = schedulers())]
    pub(crate) schedulers: Vec<String>,

    /// How many requests arrive, for each scheduler [default: 1000000, 10000000 in big,
    /// or the whole trace]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=limits::REQUESTS))]
    pub(crate) requests: Option<u64>,

    /// How many members there are [default: by scenario; with --trace, enough for a load of 0.7]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=limits::MEMBERS))]
    pub(crate) members: Option<u32>,

    /// The share of their time that members work, such as 0.9 [default: by scenario; with
    /// --trace, that of the log. Otherwise the log is played faster or slower]
    #[arg(long, value_name = "SHARE", value_parser = load)]
    pub(crate) load: Option<f64>,

    /// How many independent balancers share the members; several numbers are compared
    /// [default: 1, or 1,10,100 in many-balancers]
    #[arg(long, value_name = "T", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=limits::BALANCERS))]
    pub(crate) balancers: Vec<u32>,

    /// How many requests a member works on at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=limits::SERVERS))]
    pub(crate) servers: u32,

    /// Lets members work on all their requests at once, each more slowly; by default, requests
    /// wait for a server
    #[arg(long)]
    pub(crate) shared: bool,

    /// The mean service time, in milliseconds; with --trace, only for a log without durations
    #[arg(long, value_name = "MS", default_value_t = 10.0, value_parser = millis)]
    pub(crate) mean: f64,

    /// The seed of all random numbers; one seed gives one result
    #[arg(long, value_name = "SEED", default_value_t = 7)]
    pub(crate) seed: u64,

    /// The folder for the plots and the page
    #[arg(long, value_name = "DIR", default_value = "target/simulation")]
    pub(crate) out: PathBuf,

    /// Replays an access log, in the common or combined format. If its last field is Apache's
    /// %D or nginx's $request_time, these are the service times
    #[arg(long, value_name = "FILE", conflicts_with_all = ["docs", "scenario"])]
    pub(crate) trace: Option<PathBuf>,

    /// Writes the plots of the documentation into a folder: all scenarios, with fixed settings
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["scenario", "schedulers", "members", "load", "balancers", "out", "servers", "shared", "mean"]
    )]
    pub(crate) docs: Option<PathBuf>,
}

fn scenarios() -> PossibleValuesParser {
    let values = SCENARIOS.iter();
    PossibleValuesParser::new(values.map(|it| PossibleValue::new(it.name).help(it.about)))
}

fn schedulers() -> PossibleValuesParser {
    let values = SCHEDULERS.iter();
    PossibleValuesParser::new(values.map(|it| PossibleValue::new(it.name).help(it.about)))
}

fn load(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(load) if (0.001..=2.0).contains(&load) => Ok(load),
        _ => Err("write a number from 0.001 to 2; from 1 on, queues grow without end"),
    }
}

fn millis(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(millis) if (0.001..=3_600_000.0).contains(&millis) => Ok(millis),
        _ => Err("write milliseconds, from 0.001 to 3600000"),
    }
}
