//! Balances UDP datagrams of any protocol over members (layer 4).
//!
//! Run it with `cargo run --release --features full --example udp_forward`. Without members
//! it starts three of its own, which echo what they receive. A hundred clients send
//! datagrams, one member stops meanwhile, and a table follows. With members it serves until
//! Ctrl-C; this is for DNS, where each datagram has one response:
//!
//! ```sh
//! udp_forward --listen 127.0.0.1:5353 --backend 10.0.0.1:53=3 --backend 10.0.0.2:53 --responses 1
//! ```

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens"
)]

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use equipoise::balancer::Builder;
use equipoise::forward::{Address, UdpForwarder};
use equipoise::net::shutdown_signal;
use equipoise::scheduler::Maglev;
use equipoise::session::StickTable;
use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic, Flag, MemberSpec, Status, Weight};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

type BoxError = Box<dyn Error + Send + Sync>;

/// Forwards datagrams to members.
///
/// Without members it starts three of its own and shows the results of a hundred clients.
/// With members it serves until Ctrl-C, and then prints what each member has served.
#[derive(Debug, Parser)]
struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A member, such as 10.0.0.1:53, [2001:db8::1]:53=3 or dns.internal:53; may be
    /// repeated.
    ///
    /// The default port is that of --listen. Unix sockets are not supported.
    #[arg(long = "backend", value_name = "ADDR[=WEIGHT]")]
    backends: Vec<Backend>,
    /// How members are picked for the flow of a client.
    #[arg(long, value_enum, default_value_t = Method::Requests)]
    scheduler: Method,
    /// Keeps each client on its member by a table with at most this many clients.
    #[arg(long, value_name = "ENTRIES", requires = "backends")]
    stick: Option<usize>,
    /// How many responses a datagram has; 0 if that is unknown.
    #[arg(long, default_value_t = 0, requires = "backends")]
    responses: u32,
    /// Starts each datagram to a member with a PROXY header, version 2.
    #[arg(long, requires = "backends")]
    proxy_protocol: bool,
    /// The idle time of a flow in seconds.
    #[arg(long, default_value_t = 60, requires = "backends")]
    idle: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    /// By the number of flows and weight.
    Requests,
    /// By the fewest open flows per unit of weight.
    Busyness,
    /// By the fewest bytes.
    Traffic,
    /// By the client's address, which keeps a client on its member.
    Maglev,
}

#[derive(Clone, Debug)]
struct Backend {
    name: String,
    address: Address,
    weight: Weight,
}

impl FromStr for Backend {
    type Err = BoxError;

    fn from_str(text: &str) -> Result<Self, BoxError> {
        let (name, weight) = match text.rsplit_once('=') {
            Some((name, weight)) => (name, weight.parse()?),
            None => (text, Weight::default()),
        };
        Ok(Self {
            name: name.to_owned(),
            address: name.parse()?,
            weight,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_forward: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), BoxError> {
    let cannot_listen = |error| format!("cannot listen at {}: {error}", options.listen);
    let socket = UdpSocket::bind(options.listen).await;
    let socket = socket.map_err(cannot_listen)?;
    let here = socket.local_addr()?;
    if options.backends.is_empty() {
        return demonstrate(socket, options.scheduler).await;
    }
    let balancer = balancer(options.backends, options.scheduler)?;
    println!("Forwarding from {here} until Ctrl-C.");
    let mut forwarder = UdpForwarder::new(balancer.clone())
        .responses(options.responses)
        .idle_timeout(Duration::from_secs(options.idle));
    if let Some(entries) = options.stick {
        forwarder = forwarder.stick(StickTable::new(entries));
    }
    if options.proxy_protocol {
        forwarder = forwarder.proxy_protocol();
    }
    let statistics = forwarder.statistics();
    let stopped = forwarder.serve(socket, shutdown_signal()?).await?;
    print_table(&balancer);
    println!("{statistics}");
    println!("Stopped. Flows cut: {}.", stopped.cut());
    Ok(())
}

fn balancer(backends: Vec<Backend>, method: Method) -> Result<Balancer<Address>, BoxError> {
    let builder = Balancer::builder();
    let mut builder: Builder<Address> = match method {
        Method::Requests => builder.scheduler(ByRequests::default()),
        Method::Busyness => builder.scheduler(ByBusyness::weighted()),
        Method::Traffic => builder.scheduler(ByTraffic::default()),
        Method::Maglev => builder.scheduler(Maglev::default()),
    };
    for Backend {
        name,
        address,
        weight,
    } in backends
    {
        builder = builder.member(name, address, MemberSpec::new().with_weight(weight));
    }
    Ok(builder.build()?)
}

fn print_table(balancer: &Balancer<Address>) {
    println!("member                      flows     to member   from member  in flight  status");
    for member in balancer.members() {
        println!(
            "{:<20} {:>12} {:>13} {:>13} {:>10}  {}",
            member.name(),
            member.picked(),
            member.bytes_sent(),
            member.bytes_received(),
            member.in_flight(),
            match member.status() {
                Status::NORMAL => "ok".to_owned(),
                other => other.to_string(),
            },
        );
    }
}

/// Starts a member that echoes what it receives.
async fn echo() -> Result<(SocketAddr, JoinHandle<()>), BoxError> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    let serving = async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            // The client may have closed its socket.
            let _ = socket.send_to(&buffer[..length], from).await;
        }
    };
    Ok((address, tokio::spawn(serving)))
}

const CLIENTS: usize = 100;
const ROUNDS: usize = 10;

async fn demonstrate(socket: UdpSocket, method: Method) -> Result<(), BoxError> {
    let here = socket.local_addr()?;
    let (mut backends, mut members) = (Vec::new(), Vec::new());
    for (name, weight) in [("a", 3), ("b", 2), ("c", 1)] {
        let (address, member) = echo().await?;
        members.push(member);
        backends.push(Backend {
            name: name.to_owned(),
            address: address.into(),
            weight: Weight::new(weight)?,
        });
    }
    let balancer = balancer(backends, method)?;
    let (stop, stopping) = oneshot::channel::<()>();
    let forwarder = UdpForwarder::new(balancer.clone());
    let statistics = forwarder.statistics();
    let serving = tokio::spawn(forwarder.serve(socket, async { drop(stopping.await) }));

    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        client.connect(here).await?;
        clients.push(client);
    }
    println!("{CLIENTS} clients send {ROUNDS} datagrams each.");
    clients = send(clients).await?;
    println!("The member c stops: its clients send again, and go to the others.");
    if let Some(member) = members.pop() {
        member.abort();
        // The task ends as cancelled.
        let _ = member.await;
    }
    send(clients).await?;
    drop(stop);
    let stopped = serving.await??;
    print_table(&balancer);
    println!("{statistics}");

    assert_eq!(stopped.cut(), 0);
    assert!(statistics.to_clients() >= 2 * (CLIENTS * ROUNDS) as u64);
    assert_eq!(statistics.flows(), 0);
    assert!(balancer.members().iter().all(|it| it.in_flight() == 0));
    let in_error = |it: &str| {
        balancer
            .member(it)
            .map(|it| it.status().contains(Flag::InError))
    };
    if matches!(method, Method::Requests) {
        assert_eq!(
            ["a", "b", "c"].map(in_error),
            [false, false, true].map(Some)
        );
    }
    Ok(())
}

/// Runs all clients at once. Each of them must get a response.
async fn send(clients: Vec<UdpSocket>) -> Result<Vec<UdpSocket>, BoxError> {
    let mut asking = JoinSet::new();
    for client in clients {
        asking.spawn(async move {
            for round in 0..ROUNDS {
                let question = format!("question {round}");
                let mut answer = [0; 64];
                // A datagram may be lost. It is then sent again, as UDP clients must do.
                loop {
                    client.send(question.as_bytes()).await?;
                    let answered = client.recv(&mut answer);
                    let Ok(length) = timeout(Duration::from_millis(500), answered).await else {
                        continue;
                    };
                    if &answer[..length?] == question.as_bytes() {
                        break;
                    }
                }
            }
            Ok::<_, BoxError>(client)
        });
    }
    let mut clients = Vec::new();
    while let Some(answered) = asking.join_next().await {
        clients.push(answered??);
    }
    Ok(clients)
}
