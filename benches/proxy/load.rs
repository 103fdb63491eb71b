//! The load, by the program that can make it: `wrk`, `h2load`, or [`offer`](crate::offer); and
//! what it reports.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use equipoise::service::BoxError;

use crate::side_by_side::program::{OTHER_CORE, Program, find, pinned, tail};
use crate::work::{COOKIE, Pace, Protocol, Task, Work};

/// What one run of the load came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    /// `None` if the program does not tell.
    pub(crate) median: Option<Duration>,
    pub(crate) slowest: Option<Duration>,
    /// Requests without an answer, or with a wrong one.
    pub(crate) failed: f64,
}

/// Where it is sent, and what may be written where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'p> {
    pub(crate) address: SocketAddr,
    pub(crate) folder: &'p Path,
    /// The certificate of all servers.
    pub(crate) identity: &'p Path,
}

impl Course<'_> {
    fn url(&self, task: &Task) -> String {
        let scheme = match task.protocol {
            Protocol::Tls => "https",
            Protocol::Http1 | Protocol::Http2 { .. } => "http",
        };
        format!("{scheme}://{}{}", self.address, task.path)
    }
}

/// The program that makes the load of a work; `None` stands for this one.
pub(crate) fn program(work: Work) -> Option<&'static str> {
    let task = work.task();
    match (task.pace, task.protocol) {
        (Pace::Offered(_), _) | (Pace::Anew { .. }, Protocol::Tls) => None,
        (_, Protocol::Http2 { .. }) => Some("h2load"),
        _ => Some("wrk"),
    }
}

/// Makes the load of a work for so many seconds.
pub(crate) async fn run(work: Work, course: Course<'_>, seconds: u32) -> Result<Load, BoxError> {
    let task = work.task();
    let mut command = pinned(OTHER_CORE);
    match program(work) {
        Some("wrk") => {
            command.arg("wrk");
            wrk(&mut command, &task, course, seconds)?;
        }
        Some(_) => {
            h2load(&mut command, &task, course)?;
            command.arg("-D").arg(seconds.to_string());
        }
        None => {
            command.arg(std::env::current_exe()?);
            offer(&mut command, &task, course);
            command.arg("--seconds").arg(seconds.to_string());
        }
    }
    let said = finish(&mut command, course).await?;
    let load = parse(&said).filter(|load| load.requests > 0.0);
    load.ok_or_else(|| format!("the load had no answers: {}", tail(&said)).into())
}

/// Sends so many requests by `h2load`, or by `offer` if each has a connection of its own. All
/// must be answered.
pub(crate) async fn send(work: Work, course: Course<'_>, requests: u32) -> Result<(), BoxError> {
    let task = work.task();
    let mut command = pinned(OTHER_CORE);
    if task.pace == Pace::Kept {
        h2load(&mut command, &task, course)?;
        command.arg("-n");
    } else {
        command.arg(std::env::current_exe()?);
        offer(&mut command, &task, course);
        command.arg("--requests");
    }
    command.arg(requests.to_string());
    let said = finish(&mut command, course).await?;
    let load = parse(&said).unwrap_or_default();
    if load.requests == f64::from(requests) && load.failed == 0.0 {
        return Ok(());
    }
    Err(format!(
        "not all of {requests} requests were answered: {}",
        tail(&said)
    )
    .into())
}

/// Runs it to its end, and returns what it says.
async fn finish(command: &mut Command, course: Course<'_>) -> Result<String, BoxError> {
    let mut running = Program::start(command, course.folder.join("load.log"))?;
    while !running.has_ended() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(running.log()?)
}

fn wrk(
    command: &mut Command,
    task: &Task,
    course: Course<'_>,
    seconds: u32,
) -> Result<(), BoxError> {
    command.args(["--threads", "1", "--latency", "--connections"]);
    command.arg(task.connections.to_string());
    command.arg("--duration").arg(format!("{seconds}s"));
    if let Some(bytes) = task.body {
        let script = course.folder.join("post.lua");
        let text = format!("wrk.method = \"POST\"\nwrk.body = string.rep(\"p\", {bytes})\n");
        std::fs::write(&script, text)?;
        command.arg("--script").arg(script);
    }
    if task.has_cookie {
        command.arg("--header").arg(format!("Cookie: {COOKIE}"));
    }
    if let Pace::Anew { .. } = task.pace {
        command.args(["--header", "Connection: close"]);
    }
    command.arg(course.url(task));
    Ok(())
}

fn h2load(command: &mut Command, task: &Task, course: Course<'_>) -> Result<(), BoxError> {
    command.args(["h2load", "-t", "1", "-c"]);
    command.arg(task.connections.to_string());
    match task.protocol {
        Protocol::Http2 { streams } => command.arg("-m").arg(streams.to_string()),
        Protocol::Http1 | Protocol::Tls => command.arg("--h1"),
    };
    if let Some(bytes) = task.body {
        let file = course.folder.join("body");
        std::fs::write(&file, "p".repeat(bytes))?;
        command.arg("-d").arg(file);
    }
    if task.has_cookie {
        command.arg("-H").arg(format!("Cookie: {COOKIE}"));
    }
    command.arg(course.url(task));
    Ok(())
}

fn offer(command: &mut Command, task: &Task, course: Course<'_>) {
    command.arg("offer").arg(course.address.to_string());
    command.arg(task.path).arg(task.answer.to_string());
    command
        .arg("--connections")
        .arg(task.connections.to_string());
    if let Pace::Offered(rate) = task.pace {
        command.arg("--rate").arg(rate.to_string());
    }
    if task.protocol == Protocol::Tls {
        command.arg("--tls").arg(course.identity);
    }
    if task.pace == (Pace::Anew { resumed: true }) {
        command.arg("--resumed");
    }
}

/// Where to get a program that makes load.
pub(crate) fn remedy(program: &str) -> &'static str {
    match program {
        "h2load" => "on Debian: apt-get install nghttp2-client",
        "valgrind" => "on Debian: apt-get install valgrind",
        _ => "on Debian: apt-get install wrk",
    }
}

/// Whether a program that makes load is there.
pub(crate) fn is_there(work: Work) -> Result<(), &'static str> {
    match program(work) {
        Some(name) if find(name).is_none() => Err(name),
        _ => Ok(()),
    }
}

/// Reads what `wrk` and `offer` report, and what `h2load` does.
fn parse(said: &str) -> Option<Load> {
    let mut load = Load::default();
    for line in said.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            [count, "requests", "in", ..] => load.requests = count.parse().ok()?,
            ["Requests/sec:", rate] => load.per_second = rate.parse().ok()?,
            ["50%", time] => load.median = Some(duration(time)?),
            ["99%", time] => load.slowest = Some(duration(time)?),
            ["Non-2xx", .., count] => load.failed += count.parse::<f64>().ok()?,
            ["Socket", "errors:", ref counts @ ..] => {
                let counts = counts.iter();
                let counts = counts.filter_map(|it| it.trim_end_matches(',').parse::<f64>().ok());
                load.failed += counts.sum::<f64>();
            }
            ["finished", "in", _, rate, "req/s,", ..] => load.per_second = rate.parse().ok()?,
            [
                "requests:",
                _,
                "total,",
                _,
                _,
                done,
                "done,",
                well,
                "succeeded,",
                ..,
            ] => {
                load.requests = done.parse().ok()?;
                load.failed += load.requests - well.parse::<f64>().ok()?;
            }
            _ => {}
        }
    }
    Some(load)
}

/// `12.34us`, `1.23ms`, `1.00s`, `1.00m`.
fn duration(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = match text.strip_prefix(number)? {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * unit;
    Duration::try_from_secs_f64(seconds).ok()
}
