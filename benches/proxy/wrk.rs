//! The load: `wrk`, and what it reports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use equipoise::service::BoxError;

use crate::side_by_side::program::{OTHER_CORE, Program, pinned, tail};
use crate::work::Work;

/// What one run of the load came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) median: Duration,
    pub(crate) slowest: Duration,
    /// Requests without an answer, or with a wrong one.
    pub(crate) failed: f64,
}

/// Asks as often as it gets answers, for so many seconds.
pub(crate) async fn run(
    wrk: &Path,
    address: SocketAddr,
    work: Work,
    seconds: u32,
    log: PathBuf,
) -> Result<Load, BoxError> {
    let mut command = pinned(OTHER_CORE);
    command
        .arg(wrk)
        .args(["--threads", "1", "--latency", "--connections"])
        .arg(work.connections().to_string())
        .arg("--duration")
        .arg(format!("{seconds}s"))
        .arg(format!("http://{address}{}", work.path()));
    let mut running = Program::start(&mut command, log)?;
    while !running.has_ended() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let said = running.log()?;
    let load = parse(&said).filter(|load| load.requests > 0.0);
    load.ok_or_else(|| format!("wrk had no answers: {}", tail(&said)).into())
}

fn parse(said: &str) -> Option<Load> {
    let mut load = Load::default();
    for line in said.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            [count, "requests", "in", ..] => load.requests = count.parse().ok()?,
            ["Requests/sec:", rate] => load.per_second = rate.parse().ok()?,
            ["50%", time] => load.median = duration(time)?,
            ["99%", time] => load.slowest = duration(time)?,
            ["Non-2xx", .., count] => load.failed += count.parse::<f64>().ok()?,
            ["Socket", "errors:", ref counts @ ..] => {
                let counts = counts.iter();
                let counts = counts.filter_map(|it| it.trim_end_matches(',').parse::<f64>().ok());
                load.failed += counts.sum::<f64>();
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
