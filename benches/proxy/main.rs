//! What does the proxy cost, beside hyper's server and client without a balancer, and
//! beside nginx, HAProxy and Apache? See `benches/README.md`.
//!
//! `cargo bench --bench proxy [-- OPTIONS]` measures all that is installed. Given a role,
//! this program is one of the processes that are measured. Without either, as
//! `cargo test --benches` calls it, each contender is asked a few times, to see that it
//! answers.
//!
//! Not here: the contenders that are ours to write (`backend`, `bare`, `ours`,
//! `configured`), those that are not (`peers`), the load (`load`, `offer`), the measuring
//! (`rounds`), and the counting of instructions and allocations (`count`).

mod arena;
mod backend;
mod bare;
#[cfg(feature = "config")]
mod configured;
mod contender;
mod count;
mod front;
mod load;
mod offer;
mod ours;
mod peers;
mod proxy;
mod report;
mod rounds;
#[path = "../side_by_side/mod.rs"]
mod side_by_side;
mod targets;
#[cfg(feature = "tls")]
mod tls;
mod work;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use equipoise::proxy::HttpVersions;

use contender::Contender;
use ours::Kind;
use proxy::Proxy;
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
    /// Counts instructions and allocations (valgrind) instead of measuring time
    #[arg(long)]
    count: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Servers that answer with 100 bytes, 10 kB or 1 MB, all in one process
    Backend {
        #[arg(required = true)]
        listen: Vec<SocketAddr>,
    },
    /// The load that other programs cannot make
    Offer(offer::Offer),
    /// hyper's server and client with a counter between them
    Bare(Proxy),
    /// The same, with `X-Forwarded-*`
    BareHeaders(Proxy),
    /// The proxy of this crate
    Ours(Proxy),
    /// The same, with members that speak HTTP/2
    OursH2(Proxy),
    /// The same, behind a router
    Router(Proxy),
    /// The same, with sessions
    Sticky(Proxy),
    /// The proxy of this crate, made from a configuration of Apache's
    #[cfg(feature = "config")]
    Config(Proxy),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    role::run("proxy", async {
        match arguments.role {
            Some(Role::Backend { listen }) => backend::serve(&listen).await,
            Some(Role::Offer(offer)) => offer.run(),
            Some(Role::Bare(place)) => bare::serve(&place, false).await,
            Some(Role::BareHeaders(place)) => bare::serve(&place, true).await,
            Some(Role::Ours(place)) => ours::serve(&place, Kind::Plain(HttpVersions::Any)).await,
            Some(Role::OursH2(place)) => {
                ours::serve(&place, Kind::Plain(HttpVersions::Http2)).await
            }
            Some(Role::Router(place)) => ours::serve(&place, Kind::Router).await,
            Some(Role::Sticky(place)) => ours::serve(&place, Kind::Sticky).await,
            #[cfg(feature = "config")]
            Some(Role::Config(place)) => configured::serve(&place).await,
            None if arguments.count => {
                let counting = count::run(&arguments.options);
                role::until_stopped(counting).await
            }
            None => {
                let measuring = rounds::run(&arguments.options);
                role::until_stopped(measuring).await
            }
        }
    })
}
