//! A complete reverse proxy: real sockets, sessions, failover, time limits, and a graceful
//! stop.
//!
//! Run it with `cargo run --release --features full --example reverse_proxy`; `-- --help`
//! shows the options. `proxy` is the file to copy from, together with `server`. The other
//! files are a demonstration.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens"
)]

mod backends;
mod demonstration;
mod fleet;
mod heartbeats;
mod load;
mod options;
mod proxy;
mod report;
mod schedulers;
mod server;
mod session_story;
mod stop;
mod stopwatch;
mod visitor;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::ValueEnum;
use equipoise::net::Listener;
use equipoise::proxy::Endpoint;
use equipoise::service::BoxError;
use equipoise::{Balancer, HeartbeatReadings, StickySession};

use fleet::Fleet;
use options::Options;
use proxy::Sessions;
use report::Checks;
use schedulers::SchedulerName;
use server::Server;
use stop::StopSignal;

const PORT: u16 = 8080;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::from_command_line();
    let ended = if options.backends.is_empty() {
        serve_embedded(options).await
    } else {
        serve_real(options).await
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Serves the backends of the command line until it is stopped.
async fn serve_real(options: Options) -> Result<ExitCode, BoxError> {
    let mut stop = StopSignal::new()?;
    let names: Vec<&str> = options.backends.iter().map(|it| &*it.name).collect();
    let names = names.join(", ");
    let mut balancer = Balancer::builder();
    for backend in options.backends {
        balancer = balancer.member(backend.name, proxy::member(backend.uri)?, backend.spec);
    }
    let balancer = balancer.build()?;
    let scheduler = options.scheduler.unwrap_or(SchedulerName::ByRequests);
    scheduler.set(&balancer, &HeartbeatReadings::new());
    let sessions = options
        .sticky
        .map_or(Sessions::None, Sessions::SetByBackends);

    let listener = listen(options.listen)?;
    let server = Server::start(listener, proxy::service(balancer.clone(), sessions))?;
    let here = server.address();
    let scheduler = balancer.scheduler_name();
    println!("Serving {names} ({scheduler}) on http://{here} until Ctrl-C. Try:");
    println!("  curl -i http://{here}/  # x-served-by shows the member");
    stop.received().await;
    drain(server, &balancer, &mut stop).await;
    Ok(ExitCode::SUCCESS)
}

/// Starts backends, demonstrates the proxy with them, and continues to serve them.
async fn serve_embedded(options: Options) -> Result<ExitCode, BoxError> {
    let mut stop = StopSignal::new()?;
    let mut fleet = Fleet::start(options.sticky.as_ref())?;
    let balancer = fleet.balancer.clone();
    let sessions = match options.sticky {
        Some(session) => Sessions::SetByBackends(session),
        None => Sessions::SetByProxy(StickySession::new("ROUTEID")?),
    };
    let listener = listen(options.listen)?;
    let server = Server::start(listener, proxy::service(balancer.clone(), sessions))?;
    let here = server.address();

    let shown = tokio::select! {
        shown = demonstrate(&mut fleet, here, options.scheduler) => Some(shown?),
        () = stop.received() => None,
    };
    match shown {
        Some(0) if !options.exit => {
            print_what_to_try(here);
            stop.received().await;
        }
        Some(0) | None => {}
        Some(failed) => eprintln!("\nChecks that failed: {failed}. Look for FAIL above."),
    }
    drain(server, &balancer, &mut stop).await;
    Ok(match shown {
        Some(0) | None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

/// Demonstrates one scheduler or all, then a session; returns the number of failed checks.
async fn demonstrate(
    fleet: &mut Fleet,
    here: SocketAddr,
    only: Option<SchedulerName>,
) -> Result<usize, BoxError> {
    println!("A proxy on http://{here} in front of three backends, through real sockets:");
    demonstration::introduce();
    let mut checks = Checks::default();
    let schedulers = match &only {
        Some(only) => std::slice::from_ref(only),
        None => SchedulerName::value_variants(),
    };
    for &scheduler in schedulers {
        demonstration::show(fleet, here, scheduler, &mut checks).await?;
    }
    fleet.schedule_by(only.unwrap_or(SchedulerName::ByRequests));
    session_story::run(fleet, here, &mut checks).await?;
    Ok(checks.failed())
}

fn print_what_to_try(here: SocketAddr) {
    println!("\nServing on http://{here} until Ctrl-C. Try:");
    println!("  curl -i http://{here}/                    # x-served-by shows the member");
    println!("  curl -i -c jar -b jar http://{here}/      # repeat: always the same member");
    println!("  curl -i --http2-prior-knowledge http://{here}/");
    println!("  curl -i http://{here}/sleep/5000          # and Ctrl-C here meanwhile");
}

/// Stops gracefully: no more connections, and time for requests in flight.
async fn drain(server: Server, balancer: &Balancer<Endpoint>, stop: &mut StopSignal) {
    let in_flight: u32 = balancer.members().iter().map(|it| it.in_flight()).sum();
    println!("\nStopping. Requests in flight, which may end: {in_flight}.");
    match server.drain(stop.received()).await {
        Some(stopped) => println!("Stopped. Connections cut off: {}.", stopped.cut()),
        None => println!("Stopped at once."),
    }
}

/// Listens at the given address; without one at the default, or at any free port if that is
/// taken.
fn listen(asked: Option<SocketAddr>) -> Result<Listener, BoxError> {
    let address = asked.unwrap_or((Ipv4Addr::LOCALHOST, PORT).into());
    match Listener::bind(address) {
        Err(error) if asked.is_none() && error.kind() == ErrorKind::AddrInUse => {
            println!("Port {PORT} is taken: taking a free one.");
            Ok(Listener::bind((Ipv4Addr::LOCALHOST, 0).into())?)
        }
        bound => bound.map_err(|error| {
            let advice = "choose another address with --listen, or port 0 for any that is free";
            format!("cannot listen on {address}: {error}: {advice}").into()
        }),
    }
}
