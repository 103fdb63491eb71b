//! Compares schedulers under load: a simulation, with a table and plots.
//!
//! Run it with `cargo run --release --features full --example simulate`; `-- --help` lists
//! the scenarios and the options. `schedulers` is the file to add a scheduler to, and
//! `scenarios` the one to add a load to.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions on a drawing are small"
)]

mod documentation;
mod experiment;
mod limits;
mod numbers;
mod options;
mod page;
mod plan;
mod plots;
mod printable;
mod scenarios;
mod schedulers;
mod table;
mod trace;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use clap::Parser;

use experiment::Experiment;
use options::Options;
use table::Table;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.docs {
        Some(folder) => documentation::write(folder, &options),
        None => compare(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what the command line asks for, and shows it.
fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let experiment = match &options.trace {
        Some(path) => plan::of_trace(path, options)?,
        None => plan::of_scenario(options)?,
    };
    introduce(&experiment);
    let findings = experiment.run()?;
    let table = Table::new(&experiment, &findings);
    print!("{}", table.text());
    println!("Latencies are in {}.", experiment.unit.name);
    println!("{}", findings.speed());

    let plots = plots::draw(&experiment, &findings)?;
    fs::create_dir_all(&options.out)?;
    for plot in &plots {
        let name = format!("{}-{}.svg", experiment.name, plot.name);
        fs::write(options.out.join(name), &plot.svg)?;
    }
    let page = page::html(&experiment, &table, &plots, &plan::command());
    let path = options.out.join(format!("{}.html", experiment.name));
    fs::write(&path, page)?;
    println!("The plots are in {}.", path.display());
    Ok(())
}

/// Prints what is going to run.
fn introduce(experiment: &Experiment) {
    println!("{}", experiment.title);
    for note in &experiment.notes {
        println!("  {note}");
    }
    println!();
}
