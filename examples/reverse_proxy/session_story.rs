//! A session whose member is killed and restarted, while no client notices.
//!
//! A connection that breaks does not prove that the member is down: the request goes to
//! another member, and the session stays. The next connection is refused, which puts the
//! member in error.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::service::BoxError;
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::load::{self, RequestBudget, Tally};
use crate::report::Checks;
use crate::visitor::{FullResponse, Visitor};

const OTHER_CLIENTS: u32 = 8;

/// Runs the demonstration, and checks its results.
pub(crate) async fn run(
    fleet: &mut Fleet,
    proxy: SocketAddr,
    checks: &mut Checks,
) -> Result<(), BoxError> {
    println!("\nA session, while {OTHER_CLIENTS} clients without one send requests continuously:");
    let mut session = Session::new(proxy);
    let home = session.send("a client has no cookie", "/").await;
    let budget = RequestBudget::endless();
    let others = load::drive(OTHER_CLIENTS, proxy, budget.clone(), ProgressBar::hidden());
    let others = tokio::spawn(others);
    let held = session.send_five().await;

    let dying = format!("{home} is killed while it responds");
    let (interrupted, killed) = tokio::join!(
        session.send(&dying, "/sleep/200"),
        kill_in(Duration::from_millis(100), fleet, &home),
    );
    killed?;
    session.send("the client sends another request", "/").await;
    let moved = session.send_five().await;

    let back = restart(fleet, &home).await?;
    // Long enough for requests to the restarted member.
    sleep(Duration::from_millis(300)).await;
    session.send("the client sends one more", "/").await;
    budget.end();
    let others = others.await?;

    println!();
    let all_at = |names: &[String], name: &str| names.iter().all(|it| it == name);
    checks.check(all_at(&held, &home), &format!("{home} kept the session"));
    let elsewhere = interrupted != home && moved[0] != home && all_at(&moved, &moved[0]);
    checks.check(
        elsewhere,
        "another member took over the session and kept it",
    );
    check_return(&others, &home, back, checks);
    check_failures(&others, &session, checks);
    let left: u32 = fleet.left_in_flight().await.iter().sum();
    checks.check(left == 0, &format!("{left} in flight afterwards"));
    Ok(())
}

/// Checks that clients without a session use the restarted member.
fn check_return(others: &Tally, home: &str, back: Instant, checks: &mut Checks) {
    let since = others
        .responses
        .iter()
        .filter(|response| response.at >= back);
    let theirs = since
        .clone()
        .filter(|response| response.member == home)
        .count();
    let what = format!(
        "{home} is back: it has served {theirs} of {} requests of other clients since",
        since.count()
    );
    checks.check(theirs > 0, &what);
}

fn check_failures(others: &Tally, session: &Session, checks: &mut Checks) {
    let responses = || others.responses.iter().chain(&session.tally.responses);
    let mut failures = others.failures.iter().chain(&session.tally.failures);
    let failed = failures.clone().count();
    let what = format!(
        "{} requests served, {} of them by another member after a failure, {failed} failed {}",
        responses().count(),
        responses().filter(|response| response.attempts > 1).count(),
        failures.next().map_or("", String::as_str),
    );
    checks.check(failed == 0, what.trim_end());
}

async fn kill_in(delay: Duration, fleet: &mut Fleet, name: &str) -> Result<(), BoxError> {
    sleep(delay).await;
    let backend = fleet.backend(name).ok_or("no such backend")?;
    backend.kill().await;
    Ok(())
}

/// Restarts a killed backend, and waits until it gets a request; returns the time of that.
async fn restart(fleet: &mut Fleet, name: &str) -> Result<Instant, BoxError> {
    let backend = fleet.backend(name).ok_or("no such backend")?;
    backend.restart()?;
    let started = Instant::now();
    let member = fleet.balancer.member(name).ok_or("no such member")?;
    let before = member.picked();
    while member.picked() == before && started.elapsed() < Duration::from_secs(5) {
        sleep(Duration::from_millis(5)).await;
    }
    let waited = started.elapsed().as_secs_f64();
    let what = format!("picked again after {waited:.1} s, once its recovery delay has elapsed");
    print_step(&format!("{name} is restarted"), &what);
    Ok(Instant::now())
}

/// A client that keeps its cookie.
struct Session {
    visitor: Visitor,
    cookie: Option<String>,
    tally: Tally,
}

impl Session {
    fn new(proxy: SocketAddr) -> Self {
        Self {
            visitor: Visitor::new(proxy),
            cookie: None,
            tally: Tally::default(),
        }
    }

    /// Sends a request for `path`, prints its result, and returns the member that
    /// responded.
    async fn send(&mut self, why: &str, path: &str) -> String {
        let response = self.get(path).await;
        print_step(why, &response.map_or("no response".to_owned(), seen));
        member(response)
    }

    async fn send_five(&mut self) -> Vec<String> {
        let mut members = Vec::new();
        for _ in 0..5 {
            members.push(member(self.get("/").await));
        }
        print_step("it sends five more requests", &members.join(" "));
        members
    }

    /// Sends a request with the cookie; `None` if it failed.
    async fn get(&mut self, path: &str) -> Option<&FullResponse> {
        match self.visitor.get(path, self.cookie.as_deref()).await {
            Ok(response) => {
                if response.cookie.is_some() {
                    self.cookie = response.cookie.clone();
                }
                self.tally.responses.push(response);
                self.tally.responses.last()
            }
            Err(error) => {
                self.tally.failures.push(error.to_string());
                None
            }
        }
    }
}

fn member(response: Option<&FullResponse>) -> String {
    response.map_or("no member".to_owned(), |response| response.member.clone())
}

fn seen(response: &FullResponse) -> String {
    let member = &response.member;
    let attempt = match response.attempts {
        0 | 1 => String::new(),
        attempts => format!(", in attempt {attempts}"),
    };
    let cookie = match &response.cookie {
        Some(cookie) => format!("new cookie {cookie}"),
        None => "no new cookie".to_owned(),
    };
    format!("{member} responds{attempt}; {cookie}")
}

/// Prints one line: an action and its result.
fn print_step(what: &str, seen: &str) {
    println!("  {what:<34}{seen}");
}
