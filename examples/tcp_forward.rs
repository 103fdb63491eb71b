//! Balances TCP connections of any protocol over members (layer 4).
//!
//! Run it with `cargo run --release --features full --example tcp_forward`. Without members
//! it starts three of its own, which echo what they receive. It sends them a few hundred
//! connections, stops one of them meanwhile, and ends with a table. With members it serves
//! until Ctrl-C:
//!
//! ```sh
//! tcp_forward --listen 127.0.0.1:5432 --backend 10.0.0.1:5432=3 --backend db.internal:5432
//! ```
//!
//! With TLS server names, each name has its own members; TLS is not terminated:
//! ```sh
//! tcp_forward --listen 0.0.0.0:443 --sni db.example.org=10.0.0.1:5432 \
//!     --sni '*.example.org=10.0.0.2:443=3' --sni '*.example.org=10.0.0.3:443' --backend 10.0.0.9:443
//! ```

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{ArgGroup, Parser, ValueEnum};
use equipoise::balancer::Builder;
use equipoise::forward::{Address, NameRoutes, StreamRouter, StreamRule, TcpForwarder};
use equipoise::net::{Accepted, Acceptor, Connector, Listener, ProxyVersion, shutdown_signal};
use equipoise::scheduler::Maglev;
use equipoise::session::StickTable;
use equipoise::{Balancer, ByBusyness, ByRequests, ByTraffic, MemberSpec, Status, Weight};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

type BoxError = Box<dyn Error + Send + Sync>;

/// Forwards TCP connections to members.
///
/// Without members it starts three of its own and shows the results of a few hundred
/// connections. With members it serves until Ctrl-C, and then prints what each member has
/// served.
#[derive(Debug, Parser)]
#[command(group(ArgGroup::new("members").multiple(true)))]
struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A member, such as 10.0.0.1:5432, db.internal:5432=3 or unix:/run/db.sock; may be
    /// repeated.
    ///
    /// The default port is that of --listen.
    ///
    /// With --sni, these members serve all other clients: those with an unknown name,
    /// without a name, and without TLS. Without such members, these connections are closed.
    #[arg(long = "backend", value_name = "ADDR[=WEIGHT]", group = "members")]
    backends: Vec<Backend>,
    /// A member for TLS clients with this server name, such as
    /// db.example.org=10.0.0.1:5432=3; may be repeated for each member and each name.
    ///
    /// TLS is not terminated: the member presents its own certificate. A name *.example.org
    /// matches each db.example.org that has no members of its own.
    #[arg(long = "sni", value_name = "NAME=ADDR[=WEIGHT]", group = "members")]
    names: Vec<Named>,
    /// The most pipes for splicing; with 0 all bytes are copied.
    #[arg(long, default_value_t = 16, requires = "members")]
    max_pipes: usize,
    /// How members are picked.
    #[arg(long, value_enum, default_value_t = Method::Requests)]
    scheduler: Method,
    /// Keeps each client on its member by a table with at most this many clients; with
    /// --sni, one table for each name.
    #[arg(long, value_name = "ENTRIES", requires = "members")]
    stick: Option<usize>,
    /// Sends members the client's address; they must expect a PROXY header.
    #[arg(long, value_enum, requires = "members")]
    proxy_protocol: Option<Version>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    V1,
    V2,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    /// By the number of connections and weight.
    Requests,
    /// By the fewest open connections per unit of weight.
    Busyness,
    /// By the fewest bytes.
    Traffic,
    /// By the client's address, which keeps a client on its member.
    Maglev,
}

/// A member for a server name.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    backend: Backend,
}

impl FromStr for Named {
    type Err = BoxError;

    fn from_str(text: &str) -> Result<Self, BoxError> {
        let (name, backend) = text
            .split_once('=')
            .ok_or("`=` is missing after the name")?;
        Ok(Self {
            name: name.to_ascii_lowercase(),
            backend: backend.parse()?,
        })
    }
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
            eprintln!("tcp_forward: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), BoxError> {
    let cannot_listen = |error| format!("cannot listen at {}: {error}", options.listen);
    let listener = Listener::bind(options.listen).map_err(cannot_listen)?;
    let here = listener
        .local_addr()
        .ok_or("the listener has no TCP address")?;
    if options.backends.is_empty() && options.names.is_empty() {
        return demonstrate(listener, here, options.scheduler).await;
    }
    let balancer = balancer(options.backends.clone(), options.scheduler)?;
    let forwarder = options.forwarder(&balancer);
    let stopped = if options.names.is_empty() {
        println!("Forwarding from {here} until Ctrl-C.");
        let statistics = forwarder.statistics();
        let stopped = forwarder.serve(listener, shutdown_signal()?).await;
        print_table(&balancer);
        println!("{statistics}");
        stopped
    } else {
        let groups = options.groups()?;
        let mut routes = NameRoutes::new();
        for (name, group) in &groups {
            routes = routes.name(name, options.forwarder(group).into())?;
        }
        let mut router = StreamRouter::new().route_by_name(StreamRule::new(), routes);
        if !options.backends.is_empty() {
            router = router.route(StreamRule::new(), forwarder);
        }
        println!("Forwarding from {here} by name until Ctrl-C.");
        let routed = router.statistics();
        let stopped = router.serve(listener, shutdown_signal()?).await;
        for (name, group) in &groups {
            println!("{name}");
            print_table(group);
        }
        if !options.backends.is_empty() {
            println!("all others");
            print_table(&balancer);
        }
        println!("{routed}");
        stopped
    };
    println!("Stopped. Connections cut: {}.", stopped.cut());
    Ok(())
}

impl Options {
    fn forwarder(&self, balancer: &Balancer<Address>) -> TcpForwarder {
        let mut forwarder = TcpForwarder::new(balancer.clone()).max_pipes(self.max_pipes);
        if let Some(entries) = self.stick {
            forwarder = forwarder.stick(StickTable::new(entries));
        }
        match self.proxy_protocol {
            None => forwarder,
            Some(Version::V1) => forwarder.proxy_protocol(ProxyVersion::V1),
            Some(Version::V2) => forwarder.proxy_protocol(ProxyVersion::V2),
        }
    }

    /// Returns a balancer for each name.
    fn groups(&self) -> Result<BTreeMap<String, Balancer<Address>>, BoxError> {
        let mut members: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for Named { name, backend } in self.names.clone() {
            members.entry(name).or_default().push(backend);
        }
        let balancers = members
            .into_iter()
            .map(|(name, backends)| Ok((name, balancer(backends, self.scheduler)?)));
        balancers.collect()
    }
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
    println!("member                      picks     to member   from member  in flight  status");
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

/// Runs a member that echoes what it receives, until it is stopped.
async fn echo(accepted: Accepted) {
    let (mut from, mut to) = split(accepted.into_stream());
    // The client may have closed the connection.
    let _ = copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

/// Concurrent clients, and the bytes that each sends.
const CLIENTS: usize = 100;
const BYTES: usize = 20_000;

async fn demonstrate(listener: Listener, here: SocketAddr, method: Method) -> Result<(), BoxError> {
    let (mut backends, mut members) = (Vec::new(), Vec::new());
    for (name, weight) in [("a", 3), ("b", 2), ("c", 1)] {
        let own = Listener::bind(([127, 0, 0, 1], 0).into())?;
        let address = own.local_addr().ok_or("the listener has no TCP address")?;
        let (stop, stopping) = oneshot::channel::<()>();
        let serving = Acceptor::new().serve(own, echo, async { drop(stopping.await) });
        members.push((stop, tokio::spawn(serving)));
        backends.push(Backend {
            name: name.to_owned(),
            address: address.into(),
            weight: Weight::new(weight)?,
        });
    }
    let balancer = balancer(backends, method)?;
    let (stop, stopping) = oneshot::channel::<()>();
    let forwarder = TcpForwarder::new(balancer.clone());
    let statistics = forwarder.statistics();
    let serving = tokio::spawn(forwarder.serve(listener, async { drop(stopping.await) }));
    println!("{CLIENTS} clients send {BYTES} bytes each, and receive them back.");
    send(here).await?;
    println!("The member c stops: its clients go to the others.");
    if let Some((stop, stopped)) = members.pop() {
        drop(stop);
        stopped.await?;
    }
    send(here).await?;
    drop(stop);
    let stopped = serving.await?;
    print_table(&balancer);
    println!("{statistics}");

    assert_eq!(statistics.served(), 2 * CLIENTS as u64);
    assert_eq!(stopped.cut(), 0);
    let passed: u64 = balancer
        .members()
        .iter()
        .map(|it| it.bytes_received())
        .sum();
    assert_eq!(passed, 2 * (CLIENTS * BYTES) as u64);
    assert!(balancer.members().iter().all(|it| it.in_flight() == 0));
    Ok(())
}

/// Runs all clients at once. Each of them must be served.
async fn send(here: SocketAddr) -> Result<(), BoxError> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(async move {
            let (mut from, mut to) = split(Connector::tcp(here).connect().await?);
            let sent = vec![b'x'; BYTES];
            let sending = async {
                to.write_all(&sent).await?;
                to.shutdown().await
            };
            let mut got = Vec::new();
            let (sent_all, read) = tokio::join!(sending, from.read_to_end(&mut got));
            sent_all?;
            read?;
            assert_eq!(got, sent);
            Ok::<_, BoxError>(())
        });
    }
    while let Some(served) = clients.join_next().await {
        served??;
    }
    Ok(())
}
