//! What do checks cost that a configuration asks for, beside the same ones made directly?
//!
//! The members are asked for nothing else. The rows take turns, and each has two.

use std::fmt::Write as _;

use equipoise::Balancer;
use equipoise::Status;
use equipoise::config::{RunningConfig, parse};
use equipoise::health::{Check, HealthChecks, HttpProbe, Probe, TcpProbe};
use http::Version;

use super::cpu;
use super::served::{BoxError, SECOND, Served, place};
use tokio::time::{Instant, sleep};

pub(crate) async fn measure(served: &Served, members: u32, seconds: u32) -> Result<(), BoxError> {
    println!("\n{members} members, each checked once a second, for {seconds} s.\n");
    println!("| checks | processor time a second |");
    println!("|---|---:|");
    let get = || HttpProbe::get("/status").version(Version::HTTP_10).build();
    for _ in 0..2 {
        direct("TCP, directly", TcpProbe::new(), served, members, seconds).await?;
        by_file("TCP", served, members, seconds).await?;
        direct("GET, directly", get()?, served, members, seconds).await?;
        by_file("GET", served, members, seconds).await?;
    }
    Ok(())
}

async fn direct(
    name: &str,
    probe: impl Probe,
    served: &Served,
    members: u32,
    seconds: u32,
) -> Result<(), BoxError> {
    let member = |at| (format!("m{at}"), place(at, served));
    let balancer = Balancer::new((0..members).map(member))?;
    let check = Check::builder(probe).interval(SECOND).build()?;
    let checks = HealthChecks::new(&balancer, check);
    report(name, &balancer, seconds).await?;
    drop(checks);
    Ok(())
}

async fn by_file(
    method: &str,
    served: &Served,
    members: u32,
    seconds: u32,
) -> Result<(), BoxError> {
    let mut text = "<Proxy balancer://c>\n".to_owned();
    for at in 0..members {
        let words = format!("hcmethod={method} hcuri=/status hcinterval=1");
        writeln!(text, "BalancerMember http://{} {words}", place(at, served))?;
    }
    text.push_str("</Proxy>\nProxyPass / balancer://c/\n");
    let system = RunningConfig::builder(parse(&text).0)
        .listen(([127, 0, 0, 1], 0).into())
        .build()?;
    let serving = tokio::spawn({
        let system = system.clone();
        async move { system.serve(std::future::pending()).await }
    });
    let balancer = system.balancer("c").ok_or("there is a balancer")?;
    report(&format!("{method}, configured"), &balancer, seconds).await?;
    serving.abort();
    let _ = serving.await;
    Ok(())
}

async fn report<W>(name: &str, balancer: &Balancer<W>, seconds: u32) -> Result<(), BoxError> {
    sleep(SECOND * seconds / 2 + SECOND).await;
    let used = || cpu::used().ok_or("no books of processor time on this system");
    let (from, began) = (used()?, Instant::now());
    sleep(SECOND * seconds).await;
    let used = (used()? - from).as_secs_f64();
    println!(
        "| {name} | {:.2} % |",
        used / began.elapsed().as_secs_f64() * 100.0
    );
    let members = balancer.members();
    let ill = members.iter().filter(|it| it.status() != Status::NORMAL);
    assert_eq!(ill.count(), 0, "members failed their checks");
    Ok(())
}
