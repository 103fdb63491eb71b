//! Servers report their idle capacity, and requests go to servers with free capacity.
//!
//! Run it with `cargo run --features full --example heartbeats`. It starts five servers,
//! each a process that reports by UDP once a second, and a balancer that picks by these
//! reports. Then one server crashes, one is occupied by other work, one is slow, one flaps,
//! and one stops gracefully. A table shows each second what they report and where requests
//! go: on a terminal it is redrawn in place, elsewhere it is plain lines. It ends by
//! itself.
//!
//! `heartbeats/backend.rs` has the code that a server needs to report; the balancer is
//! below.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens"
)]

#[path = "heartbeats/backend.rs"]
mod backend;
mod table;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use equipoise::balancer::events::{EventKind, Interest};
use equipoise::heartbeat::{HeartbeatListener, HeartbeatMonitor, MemberAddress};
use equipoise::net::shutdown_signal;
use equipoise::proxy::{Endpoint, ReverseProxy};
use equipoise::service::BoxError;
use equipoise::{Balancer, Event, Heartbeat, HeartbeatReadings, MemberSpec, Observer};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use table::Screen;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tower::ServiceExt;

/// Shows how requests follow the idle capacity that servers report.
///
/// Five servers report by UDP once a second. Then one crashes, one is occupied by other
/// work, one is slow, one flaps, and one stops gracefully. Ctrl-C ends it sooner.
#[derive(Debug, Parser)]
struct Options {
    /// The duration in seconds; with fewer seconds everything is faster, including reports
    #[arg(long, value_name = "N", default_value_t = 40)]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=3_600))]
    seconds: u32,

    /// Runs one of the five servers at this address
    #[arg(long, hide = true, requires = "report_to")]
    serve: Option<SocketAddr>,

    /// The destination of a server's reports
    #[arg(long, hide = true)]
    report_to: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Action {
    Crash,
    Start,
    Stop,
    Occupy,
    Slow,
    Mend,
}

impl Action {
    const fn description(self) -> &'static str {
        match self {
            Self::Crash => "crashes, without a last report",
            Self::Start => "starts again, and counts a quarter of its slots as nothing is busy",
            Self::Stop => "stops gracefully: it reports no idle slots",
            Self::Occupy => "has other work: two slots are left",
            Self::Slow => "is slow: each request takes ten times as long",
            Self::Mend => "is healthy again",
        }
    }
}

/// The seconds of the story, with the server and the action.
const STORY: [(u32, &str, Action); 14] = [
    (3, "a", Action::Crash),
    (9, "b", Action::Occupy),
    (12, "a", Action::Start),
    (15, "c", Action::Slow),
    (19, "b", Action::Mend),
    (21, "d", Action::Crash),
    (22, "d", Action::Start),
    (23, "d", Action::Crash),
    (24, "d", Action::Start),
    (25, "d", Action::Crash),
    (26, "d", Action::Start),
    (26, "c", Action::Mend),
    (30, "e", Action::Stop),
    (35, "e", Action::Start),
];

const END: u32 = 40;

/// The largest share of requests of one server in these seconds; a fair share is 0.2.
const TROUBLE: [(&str, std::ops::Range<u32>, f64); 4] = [
    ("a", 9..12, 0.05),
    ("b", 11..19, 0.12),
    ("c", 18..26, 0.16),
    ("e", 32..35, 0.05),
];

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let second = Duration::from_secs(options.seconds.into()) / END;
    let ended = match (options.serve, options.report_to) {
        (Some(address), Some(balancer)) => backend::serve(address, balancer, second).await,
        _ => show(second).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if table::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heartbeats: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show(second: Duration) -> Result<(), BoxError> {
    let stop = shutdown_signal()?;
    let listener = HeartbeatListener::bind("127.0.0.1:0".parse()?)?;
    let report_to = listener.local_addr()?;
    let mut servers = Vec::new();
    for (name, address) in ["a", "b", "c", "d", "e"].into_iter().zip(free_ports()?) {
        servers.push(Server::start(name, address, report_to, second)?);
    }

    // The balancer: it picks by the reports of its members to the listener.
    let readings = HeartbeatReadings::new();
    let spec = MemberSpec::new().with_recovery_delay(second * 2); // after an error
    let mut balancer =
        Balancer::builder().scheduler(Heartbeat::new(&readings).with_max_age(second * 4));
    for server in &servers {
        let endpoint = Endpoint::new(format!("http://{}", server.address).parse()?)?;
        balancer = balancer.member(server.name, endpoint, spec.clone());
    }
    let balancer = balancer.build()?;
    let monitor = HeartbeatMonitor::new();
    let address = |it: &Endpoint| MemberAddress::of_uri(it.uri());
    monitor.follow(&balancer, &readings, address).detach();
    let listening = listener.spawn(&monitor);

    let all_report = async {
        while monitor.records().len() < servers.len() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), all_report)
        .await
        .map_err(|_| "no reports from the servers: check that UDP to 127.0.0.1 is allowed")?;
    print_what_is_shown(second);
    let mut screen = Screen::new();
    balancer.observe(screen.events()).detach();
    let client = Arc::<Client>::default();
    balancer.observe(client.clone()).detach();
    let sending = tokio::spawn(client.clone().send(ReverseProxy::new(balancer.clone())));

    let mut story = Story {
        balancer,
        monitor,
        servers,
        picked: Vec::new(),
    };
    let whole = tokio::select! {
        ended = story.run(&mut screen, second) => ended.map(|()| true),
        () = stop => Ok(false),
    };
    sending.abort();
    drop((screen, listening));
    if !whole? {
        println!("\nStopped.");
        return Ok(());
    }
    println!("\n{}", client.summary());
    story.check()?;
    client.check()
}

fn print_what_is_shown(second: Duration) {
    let (slots, second) = (backend::SLOTS, second.as_secs_f64());
    let oldest = second * 4.0;
    println!(
        "Five servers with {slots} slots each report by UDP, every {second:.1} s, how many are idle"
    );
    println!("and how many busy. A client's {RATE} requests a second go to them in proportion to");
    println!("what counts: the idle slots, a quarter of them while nothing is busy, and none");
    println!("once the last report is {oldest:.1} s old.\n");
}

/// Returns a free port for each server, all bound at once so that they differ.
fn free_ports() -> std::io::Result<Vec<SocketAddr>> {
    let bound: Result<Vec<_>, _> = (0..5)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect();
    bound?
        .iter()
        .map(std::net::TcpListener::local_addr)
        .collect()
}

/// A server in a process of its own, which can crash.
struct Server {
    name: &'static str,
    address: SocketAddr,
    report_to: SocketAddr,
    second: Duration,
    does: &'static str,
    process: Child,
}

impl Server {
    fn start(
        name: &'static str,
        address: SocketAddr,
        report_to: SocketAddr,
        second: Duration,
    ) -> std::io::Result<Self> {
        let seconds = (second * END).as_secs();
        let process = Command::new(std::env::current_exe()?)
            .arg(format!("--serve={address}"))
            .arg(format!("--report-to={report_to}"))
            .arg(format!("--seconds={seconds}"))
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            name,
            address,
            report_to,
            second,
            does: "well",
            process,
        })
    }

    async fn apply(&mut self, action: Action) -> std::io::Result<()> {
        match action {
            Action::Crash => {
                self.does = "crashed";
                self.process.kill().await?;
            }
            Action::Stop => {
                self.does = "stopped";
                drop(self.process.stdin.take());
            }
            Action::Start => {
                *self = Self::start(self.name, self.address, self.report_to, self.second)?;
            }
            Action::Occupy => self.command("occupied").await?,
            Action::Slow => self.command("slow").await?,
            Action::Mend => self.command("well").await?,
        }
        Ok(())
    }

    /// Sends a command to its standard input.
    async fn command(&mut self, command: &'static str) -> std::io::Result<()> {
        self.does = command;
        match &mut self.process.stdin {
            Some(stdin) => stdin.write_all(format!("{command}\n").as_bytes()).await,
            None => Ok(()),
        }
    }
}

/// Requests per second.
const RATE: u64 = 250;

/// Sends requests, and counts their outcomes.
#[derive(Default)]
struct Client {
    sent: AtomicU64,
    failed: AtomicU64,
    failed_over: AtomicU64,
}

impl Client {
    async fn send(self: Arc<Self>, proxy: ReverseProxy) {
        let mut ticks = interval(Duration::from_millis(1_000 / RATE));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            tokio::spawn(self.clone().send_one(proxy.clone()));
        }
    }

    async fn send_one(self: Arc<Self>, proxy: ReverseProxy) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let mut request = Request::new(Empty::<Bytes>::new());
        let host = HeaderValue::from_static("shop.example");
        request.headers_mut().insert(header::HOST, host);
        let Ok(answer) = proxy.oneshot(request).await;
        let is_ok = answer.status() == StatusCode::OK;
        if answer.into_body().collect().await.is_err() || !is_ok {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn numbers(&self) -> [u64; 3] {
        [&self.sent, &self.failed_over, &self.failed].map(|it| it.load(Ordering::Relaxed))
    }

    fn summary(&self) -> String {
        let [sent, over, failed] = self.numbers();
        format!("{sent} requests. {over} of them failed over to another member; {failed} failed.")
    }

    fn check(&self) -> Result<(), BoxError> {
        let [sent, _, failed] = self.numbers();
        match failed * 100 <= sent {
            true => Ok(()),
            false => Err("more than one request in a hundred failed".into()),
        }
    }
}

/// Counts requests that fail over to another member.
impl Observer for Client {
    fn observe(&self, event: &Event<'_>) {
        if let EventKind::FailedOver { .. } = event.kind {
            self.failed_over.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn interest(&self) -> Interest {
        Interest::FAILED_OVER
    }
}

struct Story {
    balancer: Balancer<Endpoint>,
    monitor: HeartbeatMonitor,
    servers: Vec<Server>,
    /// How often each member was picked, for each second.
    picked: Vec<HashMap<&'static str, u64>>,
}

impl Story {
    async fn run(&mut self, screen: &mut Screen, second: Duration) -> Result<(), BoxError> {
        let mut ticks = interval(second);
        for now in 0..=END {
            ticks.tick().await;
            for (_, name, action) in STORY.iter().filter(|(at, ..)| *at == now) {
                screen
                    .events()
                    .add(format_args!("{name} {}", action.description()));
                let server = self.servers.iter_mut().find(|it| it.name == *name);
                server
                    .ok_or("the story has an unknown server")?
                    .apply(*action)
                    .await?;
            }
            let members = self.servers.iter();
            let picked = |it: &Server| self.balancer.member(it.name).map_or(0, |it| it.picked());
            self.picked
                .push(members.map(|it| (it.name, picked(it))).collect());
            self.draw(screen, second)?;
        }
        Ok(())
    }

    fn draw(&self, screen: &mut Screen, second: Duration) -> std::io::Result<()> {
        let records = self.monitor.records();
        let head = "member does     idle busy counts   age status    requests/s";
        let last = self.picked.len().saturating_sub(1);
        let mut rows = Vec::new();
        for server in &self.servers {
            let Some(member) = self.balancer.member(server.name) else {
                continue;
            };
            let port = Some(server.address.port());
            let record = records.iter().find(|it| it.sender().port() == port);
            let reported = record.map_or_else(String::new, |it| {
                let (reading, age) = (it.reading(), it.last_seen().unwrap_or_default());
                let counts = self.balancer.standing(server.name).unwrap_or(0);
                format!(
                    "{:>4} {:>4} {counts:>6} {:>3.1} s",
                    reading.ready,
                    reading.busy,
                    age.as_secs_f64()
                )
            });
            let requests = self.requests(server.name, last.saturating_sub(1)..last);
            let rate = requests / second.as_secs_f64();
            rows.push(format!(
                "{:<6} {:<8} {reported:<22} {:<9} {rate:>4.0} {}",
                server.name,
                server.does,
                member.status().to_string(),
                table::bar(rate, 90.0, 15),
            ));
        }
        screen.draw(head, &rows)
    }

    /// Returns how many requests a member got between two seconds.
    fn requests(&self, name: &str, seconds: std::ops::Range<usize>) -> f64 {
        let at = |second: usize| self.picked.get(second).and_then(|it| it.get(name));
        match (at(seconds.start), at(seconds.end)) {
            (Some(before), Some(after)) => (after - before) as f64,
            _ => 0.0,
        }
    }

    /// Checks that servers in trouble got few requests, and that all have their shares at
    /// the end.
    fn check(&self) -> Result<(), BoxError> {
        let share = |name: &str, seconds: std::ops::Range<u32>| {
            let seconds = seconds.start as usize..seconds.end as usize;
            let all = self
                .servers
                .iter()
                .map(|it| self.requests(it.name, seconds.clone()));
            self.requests(name, seconds.clone()) / all.sum::<f64>()
        };
        for (name, seconds, most) in TROUBLE {
            let share = share(name, seconds.clone());
            if share.is_nan() || share > most {
                return Err(format!("{name} had {share:.2} of the requests in {seconds:?}").into());
            }
        }
        for server in &self.servers {
            let share = share(server.name, END - 3..END);
            if share.is_nan() || share < 0.05 {
                return Err(
                    format!("{} had {share:.2} of the requests at the end", server.name).into(),
                );
            }
        }
        println!("Servers in trouble had few requests, and each has its share again.");
        Ok(())
    }
}
