//! What do health checks cost: 10 000 members, each checked once a second?
//!
//! `cargo bench --features health --bench health`, on Linux. The members are one listener in a
//! process of its own, which is this program again; they are spread over 127.0.0.0/8, as new
//! connections to one address would use its ports up. Only the processor time of the checks is
//! counted, the kernel's part for their connections included. With the feature `config` there is a
//! second table: 1 000 members whose checks a configuration asks for; `-- configured` measures
//! that alone.

#![expect(clippy::print_stdout, reason = "the table is what a user asked for")]

#[cfg(feature = "config")]
mod configured;
#[path = "../service/cpu.rs"]
mod cpu;
mod served;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use equipoise::health::{Check, HealthChecks, HttpProbe, Probe, ProbeTarget, Probing, TcpProbe};
use equipoise::{Balancer, Status};
use served::{BoxError, SECOND, Served, place, serve};
use tokio::time::{Instant, sleep};

fn main() -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if std::env::args().any(|argument| argument == "--serve") {
        return runtime.block_on(serve());
    }
    // `cargo test --benches` only wants to see that it runs.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let (members, seconds) = if measuring { (10_000, 10) } else { (50, 1) };
    let served = Served::begin()?;
    // With the word `configured` the first table is left out.
    if !std::env::args().any(|argument| argument == "configured") {
        runtime.block_on(measure(&served, members, seconds))?;
    }
    #[cfg(feature = "config")]
    runtime.block_on(configured::measure(&served, members / 10, seconds))?;
    Ok(())
}

/// Counts the checks that have ended.
struct Counted<P> {
    probe: P,
    ended: Arc<AtomicU64>,
}

impl<P: Probe> Probe for Counted<P> {
    fn probe(&self, target: ProbeTarget) -> Probing {
        let (probing, ended) = (self.probe.probe(target), self.ended.clone());
        Box::pin(async move {
            let found = probing.await;
            ended.fetch_add(1, Ordering::Relaxed);
            found
        })
    }
}

async fn measure(served: &Served, members: u32, seconds: u32) -> Result<(), BoxError> {
    println!("{members} members, each checked once a second, for {seconds} s.\n");
    println!("| probe | checks a second | processor time a second | a check |");
    println!("|---|---:|---:|---:|");
    let ended = Arc::<AtomicU64>::default();
    let nothing = Counted {
        probe: |_| std::future::ready(Ok(())),
        ended: ended.clone(),
    };
    run(
        "none: the queue alone",
        nothing,
        &ended,
        served,
        members,
        seconds,
    )
    .await?;
    let tasks: Vec<_> = (0..members)
        .map(|_| {
            let ended = ended.clone();
            tokio::spawn(async move {
                loop {
                    sleep(SECOND).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    report(
        "none: for comparison, a task asleep for each member",
        &ended,
        seconds,
    )
    .await?;
    for task in tasks {
        task.abort();
    }
    let tcp = Counted {
        probe: TcpProbe::new(),
        ended: ended.clone(),
    };
    run("TCP", tcp, &ended, served, members, seconds).await?;
    let get = Counted {
        probe: HttpProbe::get("/status").build()?,
        ended: ended.clone(),
    };
    run(
        "GET, a connection each",
        get,
        &ended,
        served,
        members,
        seconds,
    )
    .await?;
    let kept = Counted {
        probe: HttpProbe::get("/status").keep_alive().build()?,
        ended: ended.clone(),
    };
    run(
        "GET, connections kept",
        kept,
        &ended,
        served,
        members,
        seconds,
    )
    .await
}

async fn run(
    name: &str,
    probe: impl Probe,
    ended: &AtomicU64,
    served: &Served,
    members: u32,
    seconds: u32,
) -> Result<(), BoxError> {
    let member = |at| (format!("m{at}"), place(at, served));
    let balancer = Balancer::new((0..members).map(member))?;
    // With the jitter of a tenth that is the default, it is 1.05 s on average.
    let check = Check::builder(probe).interval(SECOND).build()?;
    let checks = HealthChecks::new(&balancer, check);
    report(name, ended, seconds).await?;
    drop(checks);
    let ill = balancer
        .members()
        .iter()
        .filter(|it| it.status() != Status::NORMAL)
        .count();
    assert_eq!(ill, 0, "members failed their checks");
    Ok(())
}

async fn report(name: &str, ended: &AtomicU64, seconds: u32) -> Result<(), BoxError> {
    // The first checks, all at once, are not those of every day.
    sleep(SECOND * seconds / 2).await;
    let used = || cpu::used().ok_or("no books of processor time on this system");
    let (before, from, began) = (ended.load(Ordering::Relaxed), used()?, Instant::now());
    sleep(SECOND * seconds).await;
    let checks = ended.load(Ordering::Relaxed) - before;
    let (used, elapsed) = (used()? - from, began.elapsed().as_secs_f64());
    let (per_second, used) = (checks as f64 / elapsed, used.as_secs_f64());
    println!(
        "| {name} | {per_second:.0} | {:.1} % | {:.1} µs |",
        used / elapsed * 100.0,
        used / checks.max(1) as f64 * 1e6,
    );
    Ok(())
}
