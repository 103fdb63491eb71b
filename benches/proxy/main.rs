//! What does the proxy cost, beside hyper's server and client without a balancer, and
//! beside nginx, HAProxy and Apache? See `benches/README.md`.
//!
//! `cargo bench --bench proxy [-- OPTIONS]` measures all that is installed. Given a role,
//! this program is one of the processes that are measured. Without either, as
//! `cargo test --benches` calls it, each contender is asked a few times, to see that it
//! answers.
//!
//! Not here: the contenders that are ours to write (`backend`, `bare`,
//! `ours`), those that are not (`peers`), and the measuring (`rounds`).

mod arena;
mod backend;
mod bare;
#[cfg(feature = "config")]
mod configured;
mod contender;
mod ours;
mod peers;
mod report;
mod rounds;
#[path = "../side_by_side/mod.rs"]
mod side_by_side;
mod work;
mod wrk;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use equipoise::proxy::HttpVersions;

use contender::Contender;
use side_by_side::options::Options;
use side_by_side::role;
use work::Work;

/// Measures proxies side by side; with a role, is one of them.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options<Contender, Work>,
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
    role::run("proxy", async {
        match arguments.role {
            Some(Role::Backend { listen }) => backend::serve(&listen).await,
            Some(Role::Bare(Proxy { listen, upstreams })) => bare::serve(listen, &upstreams).await,
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
            None => {
                let measuring = rounds::run(&arguments.options);
                role::until_stopped(measuring).await
            }
        }
    })
}
