//! Tests each scheduler under load, through real sockets: the share of each member,
//! compared with what the scheduler promises.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use equipoise::service::BoxError;
use indicatif::{ProgressBar, ProgressStyle};

use crate::backends::{PROFILES, Profile};
use crate::fleet::Fleet;
use crate::load::{self, RequestBudget, Tally};
use crate::report::{Checks, megabytes, millis, percent, print_table};
use crate::schedulers::SchedulerName;

const REQUESTS: u64 = 6_000;
const CLIENTS: u32 = 32;

/// Prints the members.
pub(crate) fn introduce() {
    let heading = ["member", "route", "weight", "responds in", "with", "slots"];
    let row = |profile: &Profile| {
        vec![
            profile.name.to_owned(),
            profile.route.to_owned(),
            profile.weight.to_string(),
            millis(profile.delay),
            format!("{} bytes", profile.bytes),
            profile.slots.to_string(),
        ]
    };
    let rows: Vec<_> = PROFILES.iter().map(row).collect();
    print_table(&heading, &rows);
}

/// Sends requests through the proxy, prints the results, and checks them.
pub(crate) async fn show(
    fleet: &mut Fleet,
    proxy: SocketAddr,
    scheduler: SchedulerName,
    checks: &mut Checks,
) -> Result<(), BoxError> {
    fleet.schedule_by(scheduler);
    fleet.stopwatch.reset();
    let name = fleet.balancer.scheduler_name();
    let before = fleet.received();

    let progress = progress(name)?;
    let tally = load::drive(
        CLIENTS,
        proxy,
        RequestBudget::of(REQUESTS),
        progress.clone(),
    )
    .await;
    progress.finish_and_clear();

    // Without delay: from now on heartbeats report that no slot is busy.
    let expected = expected_shares(fleet, scheduler);
    let works = works(fleet, &tally, &before).await;
    println!("\n{name}: {}", promise(scheduler));
    print_works(&works, &expected);
    check_totals(&tally, &works, checks);
    match scheduler {
        SchedulerName::ByRequests => check_shares(&works, &expected, checks),
        SchedulerName::ByTraffic => check_bytes(&works, checks),
        // Both depend on the speed of the machine; the table is enough.
        SchedulerName::ByBusyness | SchedulerName::Heartbeat => {}
    }
    Ok(())
}

/// A progress bar on a terminal; nothing elsewhere.
fn progress(name: &'static str) -> Result<ProgressBar, BoxError> {
    if !std::io::stdout().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{prefix:>10} {bar:40} {pos}/{len} requests")?;
    Ok(ProgressBar::new(REQUESTS)
        .with_prefix(name)
        .with_style(style))
}

fn promise(scheduler: SchedulerName) -> &'static str {
    match scheduler {
        SchedulerName::ByRequests => "requests by weight.",
        SchedulerName::ByTraffic => {
            "equal bytes for each unit of weight, regardless of the number of requests."
        }
        SchedulerName::ByBusyness => {
            "equal numbers in flight, which gives faster members more; weights only decide ties."
        }
        SchedulerName::Heartbeat => {
            "at random, in proportion to the idle slots as backends report them; no weights."
        }
    }
}

/// Returns the share of the requests that each backend should get.
fn expected_shares(fleet: &Fleet, scheduler: SchedulerName) -> Vec<f64> {
    let by = |part: &dyn Fn(&Profile) -> f64| {
        let parts: Vec<f64> = PROFILES.iter().map(part).collect();
        let total: f64 = parts.iter().sum();
        parts.iter().map(|part| part / total).collect()
    };
    match scheduler {
        SchedulerName::ByRequests => by(&|it| f64::from(it.weight)),
        SchedulerName::ByTraffic => by(&|it| f64::from(it.weight) / f64::from(it.bytes)),
        // Little's law: in flight = rate × time in flight. The first is equal for all.
        SchedulerName::ByBusyness => by(&|it| 1.0 / fleet.stopwatch.mean(it.name)),
        SchedulerName::Heartbeat => fleet.reported_shares(),
    }
}

/// The results of one member.
struct Work {
    profile: &'static Profile,
    share: f64,
    /// The latencies of its clients, in ascending order.
    waits: Vec<Duration>,
    /// Bytes as counted by the balancer, and as read by the clients.
    received: u64,
    read: u64,
    in_flight: u32,
}

async fn works(fleet: &Fleet, tally: &Tally, before: &[u64]) -> Vec<Work> {
    let in_flight = fleet.left_in_flight().await;
    let received = fleet.received();
    let work = |at: usize| {
        let profile = &PROFILES[at];
        let responses = tally
            .responses
            .iter()
            .filter(|it| it.member == profile.name);
        let mut waits: Vec<Duration> = responses.clone().map(|it| it.took).collect();
        waits.sort();
        Work {
            profile,
            share: waits.len() as f64 / tally.responses.len().max(1) as f64,
            waits,
            received: received[at] - before[at],
            read: responses.map(|it| it.bytes).sum(),
            in_flight: in_flight[at],
        }
    };
    (0..PROFILES.len()).map(work).collect()
}

impl Work {
    fn bytes_per_weight(&self) -> f64 {
        self.received as f64 / f64::from(self.profile.weight)
    }

    /// Returns the latency of this percentile.
    fn percentile(&self, percent: usize) -> String {
        let rank = (self.waits.len() * percent).div_ceil(100);
        let wait = self.waits.get(rank.saturating_sub(1));
        wait.map_or("-".to_owned(), |&wait| millis(wait))
    }
}

fn print_works(works: &[Work], expected: &[f64]) {
    let heading = [
        "member",
        "weight",
        "requests",
        "share",
        "expected",
        "received",
        "p50",
        "p99",
        "in flight",
    ];
    let row = |(work, &expected): (&Work, &f64)| {
        vec![
            work.profile.name.to_owned(),
            work.profile.weight.to_string(),
            work.waits.len().to_string(),
            percent(work.share),
            percent(expected),
            megabytes(work.received as f64),
            work.percentile(50),
            work.percentile(99),
            work.in_flight.to_string(),
        ]
    };
    let rows: Vec<_> = works.iter().zip(expected).map(row).collect();
    print_table(&heading, &rows);
}

/// Checks that no request failed, that none is in flight, and that both sides counted the
/// same bytes.
fn check_totals(tally: &Tally, works: &[Work], checks: &mut Checks) {
    let (responded, failed) = (tally.responses.len(), tally.failures.len());
    let why = tally.failures.first().map_or("", String::as_str);
    let all = format!("{responded} requests served, {failed} failed {why}");
    checks.check(failed == 0, all.trim_end());

    let left: u32 = works.iter().map(|work| work.in_flight).sum();
    checks.check(left == 0, &format!("{left} in flight afterwards"));

    let same = works.iter().all(|work| work.received == work.read);
    checks.check(
        same,
        "bytes counted by the balancer = bytes read by clients",
    );
}

fn check_shares(works: &[Work], expected: &[f64], checks: &mut Checks) {
    let off = works
        .iter()
        .zip(expected)
        .map(|(work, expected)| (work.share - expected).abs() * 100.0)
        .fold(0.0, f64::max);
    let what = format!("shares as expected, give or take {off:.1} points (1 is allowed)");
    checks.check(off <= 1.0, &what);
}

/// Bytes are counted when they pass, thus a pick does not include those in flight. When a
/// member is picked for the last time, it has the fewest bytes for its weight, and at most
/// one response for each client is still to come.
fn check_bytes(works: &[Work], checks: &mut Checks) {
    let to_come = |work: &Work| {
        let profile = work.profile;
        f64::from(CLIENTS) * f64::from(profile.bytes) / f64::from(profile.weight)
    };
    let allowed = works.iter().map(to_come).fold(0.0, f64::max);
    let ratios: Vec<f64> = works.iter().map(Work::bytes_per_weight).collect();
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let what = format!(
        "{} to {} for each unit of weight ({} may be in flight)",
        megabytes(least),
        megabytes(most),
        megabytes(allowed),
    );
    checks.check(most - least <= allowed, &what);
}
