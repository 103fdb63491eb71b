//! What does forwarding cost at layer 4, beside loops that do nothing else, and beside nginx
//! and HAProxy? See `benches/README.md`.
//!
//! `cargo bench --features forward --bench forward [-- OPTIONS]` measures all that is installed.
//! Given a role, this program is one of the processes that are measured. Without either, as
//! `cargo test --benches` calls it, each contender does each work once, to see that it can.
//!
//! Not here: the contenders that are ours to write (`copy`, `relay`, `splice`,
//! `ours`), those that are not (`peers`), the load (`load`), and the measuring (`rounds`).

mod arena;
mod contender;
mod copy;
mod fleet;
mod load;
mod members;
mod ours;
mod peers;
mod relay;
mod report;
mod rounds;
#[path = "../side_by_side/mod.rs"]
mod side_by_side;
#[cfg(target_os = "linux")]
mod splice;
mod targets;
mod work;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use contender::Contender;
use side_by_side::options::Options;
use side_by_side::role;
use work::Work;

/// Measures forwarders of TCP and UDP side by side; with a role, is one of them.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options<Contender, Work>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Servers that send a stream or return what they get, by TCP and UDP, all in one process
    Members {
        #[arg(required = true)]
        listen: Vec<SocketAddr>,
    },
    /// The load
    Load(load::Load),
    /// tokio's `copy_bidirectional` for each connection
    Copy(Place),
    /// Two pipes of the system for each connection
    #[cfg(target_os = "linux")]
    Splice(Place),
    /// A socket for each client of UDP
    Relay(Place),
    /// `TcpForwarder`
    Ours(Place),
    /// `TcpForwarder` without pipes
    OursCopy(Place),
    /// `UdpForwarder`
    OursUdp(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    listen: SocketAddr,
    #[arg(required = true)]
    upstreams: Vec<SocketAddr>,
    /// A flow of UDP ends with its first answer.
    #[arg(long)]
    one_answer: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    role::run("forward", async {
        match arguments.role {
            Some(Role::Members { listen }) => members::serve(&listen).await,
            Some(Role::Load(load)) => load.run().await,
            Some(Role::Copy(it)) => copy::serve(it.listen, &it.upstreams).await,
            #[cfg(target_os = "linux")]
            Some(Role::Splice(it)) => splice::serve(it.listen, &it.upstreams).await,
            Some(Role::Relay(it)) => relay::serve(it.listen, &it.upstreams, it.one_answer).await,
            Some(Role::Ours(it)) => ours::serve_tcp(it.listen, &it.upstreams, None).await,
            Some(Role::OursCopy(it)) => ours::serve_tcp(it.listen, &it.upstreams, Some(0)).await,
            Some(Role::OursUdp(it)) => {
                ours::serve_udp(it.listen, &it.upstreams, it.one_answer).await
            }
            None => {
                let measuring = rounds::run(&arguments.options);
                role::until_stopped(measuring).await
            }
        }
    })
}
