//! Members die, flap, slow down and come back, and health checks find it out.
//!
//! Run it with `cargo run --features full --example health_checks`. It starts five members of
//! its own and a client of them, and lets things happen to the members; a table shows each second
//! what the checks have found. On a terminal the table is drawn again in its place, elsewhere it
//! is plain lines. It ends by itself.

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

/// Shows how health checks find members that are ill.
///
/// Five members are checked twice a second. Then one dies, one answers 503, one is slow, and one
/// flaps. Ctrl-C ends it sooner.
#[derive(Clone, Copy, Debug, Parser)]
struct Options {
    /// How long it takes; with fewer seconds all of it is faster, checks too
    #[arg(long, value_name = "N", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u32).range(7..=3_600))]
    seconds: u32,
}

/// What a member does at present.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Well = 0,
    /// It closes connections.
    Dead = 1,
    /// It answers its checks with 503.
    Busy = 2,
    /// It takes longer than a check may take.
    Slow = 3,
    /// Every other check fails.
    Flapping = 4,
}

impl Mood {
    const fn told(self) -> &'static str {
        match self {
            Self::Well => "is well again",
            Self::Dead => "dies: it closes connections without an answer",
            Self::Busy => "is busy: it answers 503",
            Self::Slow => "is slow: it takes longer than a check may take",
            Self::Flapping => "flaps: every other answer is 503",
        }
    }
}

const MOODS: [Mood; 5] = [
    Mood::Well,
    Mood::Dead,
    Mood::Busy,
    Mood::Slow,
    Mood::Flapping,
];

/// A member, which others put in a mood.
#[derive(Debug, Default)]
struct Member {
    mood: AtomicU8,
    turn: AtomicU8,
}

impl Member {
    fn mood(&self) -> Mood {
        MOODS[usize::from(self.mood.load(Ordering::SeqCst))]
    }

    fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    async fn serve(self: Arc<Self>, accepted: Accepted, slow: Duration) {
        let mut stream = accepted.into_stream();
        let mut request = [0; 1024];
        if self.mood() == Mood::Dead || stream.read(&mut request).await.is_err() {
            return;
        }
        let is_well = match self.mood() {
            Mood::Busy => false,
            Mood::Flapping => self.turn.fetch_add(1, Ordering::SeqCst) % 2 == 0,
            Mood::Slow => {
                sleep(slow).await;
                true
            }
            Mood::Well | Mood::Dead => true,
        };
        let status = if is_well { "200 OK" } else { "503 Busy" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        // A check may have given it up.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// What happens, and in which second.
const STORY: [(u32, &str, Mood); 8] = [
    (2, "a", Mood::Dead),
    (5, "b", Mood::Busy),
    (8, "a", Mood::Well),
    (10, "c", Mood::Slow),
    (13, "b", Mood::Well),
    (15, "d", Mood::Flapping),
    (19, "c", Mood::Well),
    (24, "d", Mood::Well),
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
        let address = listener.local_addr().ok_or("it listens on TCP")?;
        let member = Arc::<Member>::default();
        let serving = member.clone();
        let each = move |accepted| serving.clone().serve(accepted, second * 20);
        tokio::spawn(Acceptor::new().serve(listener, each, std::future::pending::<()>()));
        members.push((name, member));
        places.push((name, address, MemberSpec::new()));
    }
    let balancer = Balancer::builder()
        .members(places)
        // A member that has recovered is not given its full share at once.
        .ramp(Ramp::over(second * 4))
        .build()?;
    let check = Check::builder(HttpProbe::get("/status").build()?)
        .interval((second / 2).max(Duration::from_millis(100)))
        .timeout(second * 2)
        .passes(2)
        .build()?;

    print_what_is_shown(second);
    let mut screen = Screen::new();
    balancer.observe(screen.news()).keep();
    let checks = HealthChecks::new(&balancer, check);
    let client = tokio::spawn(send(balancer.clone(), second / 50));
    let mut course = Course {
        balancer,
        members,
        before: vec![0; 5],
        seen: Vec::new(),
    };
    let whole = tokio::select! {
        ended = course.run(&mut screen, second) => ended.map(|()| true),
        () = stop => Ok(false),
    };
    client.abort();
    drop((checks, screen));
    if whole? {
        course.check()?;
        println!("\nMembers that were ill were out, and all are well again.");
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

/// A client's requests, at this distance.
async fn send(balancer: Balancer<SocketAddr>, pause: Duration) {
    loop {
        sleep(pause).await;
        let Ok(lease) = balancer.pick(&PickRequest::new()) else {
            continue;
        };
        tokio::spawn(async move {
            // What the request comes to is not shown here: it shall not take members out.
            if let Ok(mut stream) = TcpStream::connect(*lease).await {
                let _ = stream
                    .write_all(b"GET / HTTP/1.1\r\nHost: it\r\n\r\n")
                    .await;
                let _ = stream.read(&mut [0; 1024]).await;
            }
        });
    }
}

struct Course {
    balancer: Balancer<SocketAddr>,
    members: Vec<(&'static str, Arc<Member>)>,
    /// How often each was picked until the drawing before.
    before: Vec<u64>,
    /// Which members checks have taken out.
    seen: Vec<String>,
}

impl Course {
    async fn run(&mut self, screen: &mut Screen, second: Duration) -> Result<(), BoxError> {
        let mut ticks = interval(second);
        for now in 0..=END {
            ticks.tick().await;
            for (_, name, mood) in STORY.iter().filter(|(at, ..)| *at == now) {
                let member = self.members.iter().find(|(known, _)| known == name);
                member.ok_or("it is one of them")?.1.set(*mood);
                screen.news().add(format_args!("{name} {}", mood.told()));
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
            // All are checked by this.
            let cause = cause.trim_start_matches("GET /status");
            let cause = cause.trim_start_matches([':', ' ']);
            rows.push(format!(
                "{name:<7} {:<9} {:<13} {rate:>4.0} {:<9} {}",
                format!("{:?}", member.mood()).to_lowercase(),
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
                return Err(format!("{name} was never out").into());
            }
        }
        if self.seen.iter().any(|it| it == "e") {
            return Err("e was out though it was well all the time".into());
        }
        for member in self.balancer.members() {
            if !member.health().is_good() {
                return Err(format!("{} is not well again", member.name()).into());
            }
        }
        Ok(())
    }
}
