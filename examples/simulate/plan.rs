//! From the command line to an [`Experiment`].
//!
//! Not here: the scenarios (`scenarios`), and reading a log (`trace`).

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use equipoise::testkit::simulation::Simulation;

use crate::experiment::{Experiment, Unit};
use crate::limits::Size;
use crate::numbers::{above_zero, grouped, number, round_number};
use crate::options::Options;
use crate::printable::printable;
use crate::scenarios::{Scenario, Setup};
use crate::schedulers::{SCHEDULERS, SchedulerEntry, Shown};
use crate::trace::TraceReading;

/// The hash keys of the requests: as many as there are clients, all equally frequent.
const KEYS: u64 = 1_000_000;

/// Plans the scenario of the command line.
pub(crate) fn of_scenario(options: &Options) -> Result<Experiment, Box<dyn Error>> {
    let name = &*options.scenario;
    let scenario = Scenario::named(name).ok_or_else(|| format!("there is no scenario {name}"))?;
    scenario.check(options.members.unwrap_or(scenario.members))?;
    let setup = Setup {
        count: options.members.unwrap_or(scenario.members),
        servers: options.servers,
        shared: options.shared,
        mean: Duration::from_secs_f64(options.mean / 1_000.0),
    };
    let load = options.load.unwrap_or(scenario.load);
    let requests = options.requests.unwrap_or(scenario.requests);
    let balancers = match &*options.balancers {
        [] => scenario.balancers.to_vec(),
        asked => asked.to_vec(),
    };
    Size {
        members: setup.count,
        servers: setup.servers,
        balancers: &balancers,
        seconds: requests as f64 * setup.mean.as_secs_f64() / load.min(1.0),
    }
    .check()?;
    let simulation = scenario.simulation(&setup);
    let mut simulation = settle(simulation, options).load(load).requests(requests);
    if let Some(window) = scenario.window {
        // From the middle of the time.
        let servers = f64::from(setup.count) * f64::from(setup.servers);
        let middle = setup.mean.mul_f64(requests as f64 / load / servers / 2.0);
        simulation = simulation.sampled(middle..middle + window * setup.mean);
    }
    // The rate of one queue with all servers is the same.
    let bound = scenario.has_bound.then(|| setup.bound(&simulation));
    let members = grouped(&setup.count.to_string());
    Ok(Experiment {
        name: scenario.name.to_owned(),
        title: format!("{}: {}", scenario.name, scenario.about),
        notes: vec![
            format!(
                "{members} members at a load of {load}, {} requests for each scheduler, seed {}",
                grouped(&requests.to_string()),
                options.seed
            ),
            format!(
                "the mean service time is {} ms; a tenth of the requests warms up and is not \
                 counted",
                round_number(options.mean)
            ),
        ],
        simulation,
        bound,
        schedulers: schedulers(options),
        balancers,
        requests,
        mean: setup.mean,
        unit: Unit {
            name: "mean service times",
            nanos: setup.mean.as_nanos() as f64,
        },
    })
}

/// Plans the replay of an access log.
pub(crate) fn of_trace(path: &Path, options: &Options) -> Result<Experiment, Box<dyn Error>> {
    let reading = TraceReading::new(path).map_err(|error| {
        format!(
            "cannot read {}: {error}",
            printable(&path.to_string_lossy())
        )
    })?;
    let mean = reading.mean(Duration::from_secs_f64(options.mean / 1_000.0));
    let servers = options.servers;
    let count = match options.members {
        Some(count) => count,
        None => reading.members(mean, options.load, servers),
    };
    let own_load = reading.offered(mean) / f64::from(count) / f64::from(servers);
    let load = options.load.unwrap_or(own_load);
    let requests = options.requests.unwrap_or(reading.requests);
    let requests = requests.min(reading.requests);
    let balancers = match &*options.balancers {
        [] => vec![1],
        asked => asked.to_vec(),
    };
    let stretch = own_load / load;
    Size {
        members: count,
        servers,
        balancers: &balancers,
        seconds: reading.seconds(mean, stretch),
    }
    .check()?;
    let setup = Setup {
        count,
        servers,
        shared: options.shared,
        mean,
    };
    let base = Scenario::named("uniform").ok_or("there is no scenario")?;
    let arrivals = reading.arrivals(path, stretch);
    let simulation = settle(base.simulation(&setup), options);
    let simulation = simulation.arrivals(arrivals).requests(requests);
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = printable(&name.to_string_lossy());
    let mut notes = vec![
        format!(
            "{} requests, with {} in service on average: a load of {} for {} members",
            grouped(&requests.to_string()),
            above_zero(reading.offered(mean) * load / own_load),
            above_zero(load),
            grouped(&count.to_string())
        ),
        reading.service_times(mean),
        "the hash key of a request is the client's address".to_owned(),
    ];
    if (load / own_load - 1.0).abs() > 1e-6 {
        let faster = load / own_load;
        notes.push(format!(
            "the log is played {} times as fast",
            number(faster)
        ));
    }
    notes.extend(reading.remarks);
    Ok(Experiment {
        name: "trace".to_owned(),
        title: format!("{name}: which scheduler would have given which latencies"),
        notes,
        bound: Some(setup.bound(&simulation)),
        simulation,
        schedulers: schedulers(options),
        balancers,
        requests,
        mean,
        unit: Unit {
            name: "milliseconds",
            nanos: 1e6,
        },
    })
}

fn settle(simulation: Simulation, options: &Options) -> Simulation {
    simulation.seed(options.seed).hash_keys(KEYS, 0.0)
}

/// Returns the schedulers that are asked for, or those that are always shown.
fn schedulers(options: &Options) -> Vec<&'static SchedulerEntry> {
    let asked = &options.schedulers;
    let wanted = |it: &&SchedulerEntry| match &**asked {
        [] => it.shown == Shown::Always,
        names => names.iter().any(|name| name == it.name),
    };
    SCHEDULERS.iter().filter(wanted).collect()
}

/// Returns the command that repeats this.
pub(crate) fn command() -> String {
    let quoted = |text: String| match text.contains(|it: char| it.is_whitespace() || it == '\'') {
        true => format!("'{}'", text.replace('\'', r"'\''")),
        false => text,
    };
    let arguments: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    let command = format!(
        "cargo run --release --features full --example simulate -- {}",
        arguments.join(" ")
    );
    command
        .trim_end_matches(" --")
        .trim_end_matches("-- ")
        .trim_end()
        .to_owned()
}
