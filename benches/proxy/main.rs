//! What does the proxy cost, beside hyper's server and client without a balancer, and
//! beside nginx, HAProxy and Apache? See `benches/README.md`.
//!
//! `cargo bench --bench proxy [-- OPTIONS]` measures all that is installed. Given a role,
//! this program is one of the processes that are measured. Without either, as
//! `cargo test --benches` calls it, each contender is asked a few times, to see that it
//! answers.
//!
//! What does not live here: the contenders that are ours to write (`backend`, `bare`,
//! `ours`), those that are not (`peers`), and the measuring (`rounds`).

mod arena;
mod backend;
mod bare;
#[cfg(feature = "config")]
mod configured;
mod contender;
mod ours;
mod peers;
mod procfs;
mod program;
mod report;
mod rounds;
mod scratch;
mod setting;
mod work;
mod wrk;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use equipoise::net::stop_signal;
use equipoise::proxy::HttpVersions;
use equipoise::service::BoxError;

/// Measures proxies side by side; with a role, is one of them.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: rounds::Options,
    /// What cargo says to a benchmark that is to measure.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Servers that answer with 100 bytes, 10 kB or 1 MB, all in one process.
    Backend {
        #[arg(required = true)]
        listen: Vec<SocketAddr>,
    },
    /// hyper's server and client with a counter between them.
    Bare(Proxy),
    /// The proxy of this crate.
    Ours(Proxy),
    /// The same, with members that speak HTTP/2.
    OursH2(Proxy),
    /// The proxy of this crate, made from a configuration of Apache's.
    #[cfg(feature = "config")]
    Config(Proxy),
}

#[derive(Debug, clap::Args)]
struct Proxy {
    listen: SocketAddr,
    #[arg(required = true)]
    upstreams: Vec<SocketAddr>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime.map_err(BoxError::from).and_then(|runtime| {
        runtime.block_on(async {
            match arguments.role {
                Some(Role::Backend { listen }) => backend::serve(&listen).await,
                Some(Role::Bare(Proxy { listen, upstreams })) => {
                    bare::serve(listen, &upstreams).await
                }
                Some(Role::Ours(Proxy { listen, upstreams })) => {
                    ours::serve(listen, &upstreams, HttpVersions::Any).await
                }
                Some(Role::OursH2(Proxy { listen, upstreams })) => {
                    ours::serve(listen, &upstreams, HttpVersions::Http2).await
                }
                #[cfg(feature = "config")]
                Some(Role::Config(Proxy { listen, upstreams })) => {
                    configured::serve(listen, &upstreams).await
                }
                None => drive(arguments.options, arguments.bench).await,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            program::say(format_args!("proxy bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whoever is asked to stop drops all that was started, which ends it.
async fn drive(options: rounds::Options, measures: bool) -> Result<(), BoxError> {
    let stop = stop_signal()?;
    tokio::select! {
        done = rounds::run(&options, measures) => done,
        () = stop => Err("stopped".into()),
    }
}
