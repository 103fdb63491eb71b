//! Members crash, flap, slow down and recover, and health checks detect it.
//!
//! Run it with `cargo run --features full --example health_checks`. It starts five members
//! and a client, and makes the members fail in turn; a table shows each second what the
//! checks have found. On a terminal the table is redrawn in place, elsewhere it is plain
//! lines. It ends by itself.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an example shows what happens"
)]

mod table;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use clap::Parser;
use equipoise::health::{Check, HealthChecks, HttpProbe};
use equipoise::member::Ramp;
use equipoise::net::{Accepted, Acceptor, Listener, shutdown_signal};
use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
use table::Screen;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep};

type BoxError = Box<dyn Error + Send + Sync>;

/// Shows how health checks find unhealthy members.
///
/// Five members are checked twice a second. Then one crashes, one responds with 503, one is
/// slow, and one flaps. Ctrl-C ends it sooner.
#[derive(Clone, Copy, Debug, Parser)]
struct Options {
    /// The duration in seconds; with fewer seconds everything is faster, including checks
    #[arg(long, value_name = "N", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u32).range(7..=3_600))]
    seconds: u32,
}

/// The current behaviour of a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Behaviour {
    Well = 0,
    /// It closes connections.
    Dead = 1,
    /// It responds to its checks with 503.
    Busy = 2,
    /// It takes longer than a check may take.
    Slow = 3,
    /// Every other check fails.
    Flapping = 4,
}

impl Behaviour {
    const fn description(self) -> &'static str {
        match self {
            Self::Well => "is healthy again",
            Self::Dead => "dies: it closes connections without a response",
            Self::Busy => "is busy: it responds with 503",
            Self::Slow => "is slow: it takes longer than a check may take",
            Self::Flapping => "flaps: every other response is 503",
        }
    }
}

const BEHAVIOURS: [Behaviour; 5] = [
    Behaviour::Well,
    Behaviour::Dead,
    Behaviour::Busy,
    Behaviour::Slow,
    Behaviour::Flapping,
];

/// A member with an adjustable behaviour.
#[derive(Debug, Default)]
struct Member {
    behaviour: AtomicU8,
    turn: AtomicU8,
}

impl Member {
    fn behaviour(&self) -> Behaviour {
        BEHAVIOURS[usize::from(self.behaviour.load(Ordering::SeqCst))]
    }

    fn set(&self, behaviour: Behaviour) {
        self.behaviour.store(behaviour as u8, Ordering::SeqCst);
    }

    async fn serve(self: Arc<Self>, accepted: Accepted, slow: Duration) {
        let mut stream = accepted.into_stream();
        let mut request = [0; 1024];
        if self.behaviour() == Behaviour::Dead || stream.read(&mut request).await.is_err() {
            return;
        }
        let is_well = match self.behaviour() {
            Behaviour::Busy => false,
            Behaviour::Flapping => self.turn.fetch_add(1, Ordering::SeqCst) % 2 == 0,
            Behaviour::Slow => {
                sleep(slow).await;
                true
            }
            Behaviour::Well | Behaviour::Dead => true,
        };
        let status = if is_well { "200 OK" } else { "503 Busy" };
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        // The check may have been cancelled.
        let _ = stream.write_all(response.as_bytes()).await;
    }
}

/// The seconds of the story, with the member and its new behaviour.
const STORY: [(u32, &str, Behaviour); 8] = [
    (2, "a", Behaviour::Dead),
    (5, "b", Behaviour::Busy),
    (8, "a", Behaviour::Well),
    (10, "c", Behaviour::Slow),
    (13, "b", Behaviour::Well),
    (15, "d", Behaviour::Flapping),
    (19, "c", Behaviour::Well),
    (24, "d", Behaviour::Well),
];

const END: u32 = 30;

#[tokio::main]
async fn main() -> ExitCode {
    let second = Duration::from_secs(Options::parse().seconds.into()) / END;
    match show(second).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if table::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("health_checks: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show(second: Duration) -> Result<(), BoxError> {
    let stop = shutdown_signal()?;
    let (mut members, mut places) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c", "d", "e"] {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
        let address = listener
            .local_addr()
            .ok_or("the listener has no TCP address")?;
        let member = Arc::<Member>::default();
        let serving = member.clone();
        let each = move |accepted| serving.clone().serve(accepted, second * 20);
        tokio::spawn(Acceptor::new().serve(listener, each, std::future::pending::<()>()));
        members.push((name, member));
        places.push((name, address, MemberSpec::new()));
    }
    let balancer = Balancer::builder()
        .members(places)
        // A member that has recovered does not get its full share at once.
        .ramp(Ramp::over(second * 4))
        .build()?;
    let check = Check::builder(HttpProbe::get("/status").build()?)
        .interval((second / 2).max(Duration::from_millis(100)))
        .timeout(second * 2)
        .passes(2)
        .build()?;

    print_what_is_shown(second);
    let mut screen = Screen::new();
    balancer.observe(screen.events()).detach();
    let checks = HealthChecks::new(&balancer, check);
    let client = tokio::spawn(send(balancer.clone(), second / 50));
    let mut story = Story {
        balancer,
        members,
        before: vec![0; 5],
        seen: Vec::new(),
    };
    let whole = tokio::select! {
        ended = story.run(&mut screen, second) => ended.map(|()| true),
        () = stop => Ok(false),
    };
    client.abort();
    drop((checks, screen));
    if whole? {
        story.check()?;
        println!("\nUnhealthy members were taken out, and all are healthy again.");
        return Ok(());
    }
    println!("\nStopped.");
    Ok(())
}

fn print_what_is_shown(second: Duration) {
    let second = second.as_secs_f64();
    let (every, limit, ramp) = (second / 2.0, second * 2.0, second * 4.0);
    println!("Five members get a GET of /status every {every:.1} s each, and a client's requests.");
    println!(
        "A check that fails, or takes longer than {limit:.1} s, takes its member out. Two in a"
    );
    println!("row that pass bring it back, with a share that grows over {ramp:.1} s.\n");
}

/// Sends a client's requests with this pause between them.
async fn send(balancer: Balancer<SocketAddr>, pause: Duration) {
    loop {
        sleep(pause).await;
        let Ok(lease) = balancer.pick(&PickRequest::new()) else {
            continue;
        };
        tokio::spawn(async move {
            // The outcome of the request is ignored here: it must not take members out.
            if let Ok(mut stream) = TcpStream::connect(*lease).await {
                let _ = stream
                    .write_all(b"GET / HTTP/1.1\r\nHost: it\r\n\r\n")
                    .await;
                let _ = stream.read(&mut [0; 1024]).await;
            }
        });
    }
}

struct Story {
    balancer: Balancer<SocketAddr>,
    members: Vec<(&'static str, Arc<Member>)>,
    /// How often each member was picked until the previous drawing.
    before: Vec<u64>,
    /// The members that checks have taken out.
    seen: Vec<String>,
}

impl Story {
    async fn run(&mut self, screen: &mut Screen, second: Duration) -> Result<(), BoxError> {
        let mut ticks = interval(second);
        for now in 0..=END {
            ticks.tick().await;
            for (_, name, behaviour) in STORY.iter().filter(|(at, ..)| *at == now) {
                let member = self.members.iter().find(|(known, _)| known == name);
                member
                    .ok_or("the story has an unknown member")?
                    .1
                    .set(*behaviour);
                screen
                    .events()
                    .add(format_args!("{name} {}", behaviour.description()));
            }
            self.draw(screen, second)?;
            for member in self.balancer.members() {
                if member.status().contains(Flag::FailedCheck) {
                    self.seen.push(member.name().to_owned());
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self, screen: &mut Screen, second: Duration) -> std::io::Result<()> {
        let head = "member  does      status        requests/s     because";
        let mut rows = Vec::new();
        for ((name, member), before) in self.members.iter().zip(&mut self.before) {
            let Some(state) = self.balancer.member(name) else {
                continue;
            };
            let picked = state.picked();
            let rate = (picked - *before) as f64 / second.as_secs_f64();
            *before = picked;
            let health = state.health();
            let outage = health.outage(Flag::FailedCheck);
            let cause = outage.and_then(|outage| outage.cause.as_ref());
            let cause = cause.map(ToString::to_string).unwrap_or_default();
            // All members have the same check.
            let cause = cause.trim_start_matches("GET /status");
            let cause = cause.trim_start_matches([':', ' ']);
            rows.push(format!(
                "{name:<7} {:<9} {:<13} {rate:>4.0} {:<9} {}",
                format!("{:?}", member.behaviour()).to_lowercase(),
                state.status().to_string(),
                table::bar(rate * second.as_secs_f64(), 25.0, 9),
                table::cut(cause, 25),
            ));
        }
        screen.draw(head, &rows)
    }

    fn check(&self) -> Result<(), BoxError> {
        for name in ["a", "b", "c", "d"] {
            if !self.seen.iter().any(|it| it == name) {
                return Err(format!("{name} was never taken out").into());
            }
        }
        if self.seen.iter().any(|it| it == "e") {
            return Err("e was taken out though it was healthy all the time".into());
        }
        for member in self.balancer.members() {
            if !member.health().is_good() {
                return Err(format!("{} is not healthy again", member.name()).into());
            }
        }
        Ok(())
    }
}
