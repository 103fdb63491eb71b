//! Members die, flap, slow down and come back, and health checks find it out.
//!
//! Run it with `cargo run --features full --example health_checks`. It starts five members of
//! its own and a client of them, and lets things happen to the members; a table shows each second
//! what the checks have found. On a terminal the table is drawn again in its place, elsewhere it
//! is plain lines. It ends by itself after half a minute, with `--exit` in eight seconds.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use clap::Parser;
use equipoise::balancer::events::{EventKind, Interest};
use equipoise::health::{Check, HealthChecks, HttpProbe};
use equipoise::member::Ramp;
use equipoise::net::{Accepted, Acceptor, Listener};
use equipoise::{Balancer, Event, Flag, MemberSpec, Observer, PickRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep};

type BoxError = Box<dyn Error + Send + Sync>;

/// Shows health checks at work.
#[derive(Clone, Copy, Debug, Parser)]
struct Options {
    /// Shows it four times as fast.
    #[arg(long)]
    exit: bool,
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
const STORY: [(u64, &str, Mood); 9] = [
    (2, "a", Mood::Dead),
    (5, "b", Mood::Busy),
    (8, "a", Mood::Well),
    (10, "c", Mood::Slow),
    (13, "b", Mood::Well),
    (15, "d", Mood::Flapping),
    (19, "c", Mood::Well),
    (24, "d", Mood::Well),
    (30, "e", Mood::Well),
];

/// Prints what checks change, where there is no table to look at.
struct Log;

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        if let EventKind::Changed { .. } = event.kind {
            println!("{event}");
        }
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let second = Duration::from_secs(1) / if options.exit { 4 } else { 1 };
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
    let on_terminal = std::io::stdout().is_terminal();
    if !on_terminal {
        balancer.observe(Log).keep();
    }
    let check = Check::builder(HttpProbe::get("/status").build()?)
        .interval((second / 2).max(Duration::from_millis(100)))
        .timeout(second * 2)
        .passes(2)
        .build()?;
    let checks = HealthChecks::new(&balancer, check);
    let client = tokio::spawn(send(balancer.clone(), second / 50));

    let mut seen = Vec::new();
    let mut ticks = interval(second);
    for now in 0..=STORY[STORY.len() - 1].0 {
        ticks.tick().await;
        let due = STORY.iter().filter(|(at, ..)| *at == now);
        for (_, name, mood) in due {
            let member = members.iter().find(|(known, _)| known == name);
            member.ok_or("it is one of them")?.1.set(*mood);
        }
        show(&balancer, &members, now, on_terminal);
        for member in balancer.members() {
            if member.status().contains(Flag::FailedCheck) {
                seen.push(member.name().to_owned());
            }
        }
    }
    client.abort();
    drop(checks);
    println!("\nChecks have stopped.");

    for name in ["a", "b", "c", "d"] {
        assert!(seen.iter().any(|it| it == name), "{name} was never out");
    }
    assert!(!seen.iter().any(|it| it == "e"), "e was well all the time");
    for member in balancer.members() {
        assert!(member.health().is_good(), "{} is well again", member.name());
    }
    Ok(())
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

fn show(
    balancer: &Balancer<SocketAddr>,
    members: &[(&str, Arc<Member>)],
    now: u64,
    on_terminal: bool,
) {
    if on_terminal {
        // Clear, and begin at the top.
        print!("\x1b[2J\x1b[H");
    }
    println!("{now:>3} s  member   does      elections  status        because");
    for (name, member) in members {
        let Some(state) = balancer.member(name) else {
            continue;
        };
        let health = state.health();
        let outage = health.outage(Flag::FailedCheck);
        let cause = outage.and_then(|outage| outage.cause.as_ref());
        println!(
            "       {name:<8} {:<9} {:>9}  {:<13} {}",
            format!("{:?}", member.mood()).to_lowercase(),
            state.picked(),
            state.status().to_string(),
            cause.map(ToString::to_string).unwrap_or_default(),
        );
    }
}
