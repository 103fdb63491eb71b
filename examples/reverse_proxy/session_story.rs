//! The story of a session: its member is killed in the middle of everything and comes
//! back, and no client notices. Told as it happens.
//!
//! A connection that breaks does not prove that the member is dead: the request goes to
//! another, and the session stays. The next connection is refused, and that does.

use std::net::SocketAddr;
use std::time::Duration;

use equipoise::service::BoxError;
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::load::{self, Supply, Tally};
use crate::report::Checks;
use crate::visitor::{Answer, Visitor};

const OTHER_CLIENTS: u32 = 8;

/// Tells it, and checks what must be true of it.
pub(crate) async fn tell(
    fleet: &mut Fleet,
    proxy: SocketAddr,
    checks: &mut Checks,
) -> Result<(), BoxError> {
    println!("\nA session, while {OTHER_CLIENTS} clients without one ask on and on:");
    let mut session = Session::new(proxy);
    let home = session.ask("a client comes without a cookie", "/").await;
    let supply = Supply::endless();
    let others = load::drive(OTHER_CLIENTS, proxy, supply.clone(), ProgressBar::hidden());
    let others = tokio::spawn(others);
    let held = session.ask_five_times().await;

    let dying = format!("{home} is killed while it answers");
    let (interrupted, killed) = tokio::join!(
        session.ask(&dying, "/sleep/200"),
        kill_in(Duration::from_millis(100), fleet, &home),
    );
    killed?;
    session.ask("the client asks again", "/").await;
    let moved = session.ask_five_times().await;

    let back = restart(fleet, &home).await?;
    // Long enough to see that it is there to stay.
    sleep(Duration::from_millis(300)).await;
    session.ask("the client asks once more", "/").await;
    supply.end();
    let others = others.await?;

    println!();
    let all_at = |names: &[String], name: &str| names.iter().all(|it| it == name);
    checks.check(all_at(&held, &home), &format!("{home} kept the session"));
    let elsewhere = interrupted != home && moved[0] != home && all_at(&moved, &moved[0]);
    checks.check(elsewhere, "another member took it over and kept it");
    check_return(&others, &home, back, checks);
    check_failures(&others, &session, checks);
    let left: u32 = fleet.left_in_flight().await.iter().sum();
    checks.check(left == 0, &format!("{left} in flight afterwards"));
    Ok(())
}

/// Others, who do not hold to any member, are sent to the one that has come back.
fn check_return(others: &Tally, home: &str, back: Instant, checks: &mut Checks) {
    let since = others.answers.iter().filter(|answer| answer.at >= back);
    let theirs = since.clone().filter(|answer| answer.member == home).count();
    let what = format!(
        "{home} is back: it served {theirs} of {} requests of the others since",
        since.count()
    );
    checks.check(theirs > 0, &what);
}

fn check_failures(others: &Tally, session: &Session, checks: &mut Checks) {
    let answers = || others.answers.iter().chain(&session.tally.answers);
    let mut failures = others.failures.iter().chain(&session.tally.failures);
    let failed = failures.clone().count();
    let what = format!(
        "{} requests answered, {} of them by the second member that was asked, {failed} failed {}",
        answers().count(),
        answers().filter(|answer| answer.attempts > 1).count(),
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

/// Starts a backend that is known to be dead, and waits until a request is sent there;
/// returns when that was.
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
    let what = format!("elected again after {waited:.1} s, when its recovery delay is over");
    scene(&format!("{name} is started again"), &what);
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

    /// Asks for `path`, tells what is seen of the answer, and returns who gave it.
    async fn ask(&mut self, why: &str, path: &str) -> String {
        let answer = self.get(path).await;
        scene(why, &answer.map_or("no answer".to_owned(), seen));
        member(answer)
    }

    async fn ask_five_times(&mut self) -> Vec<String> {
        let mut members = Vec::new();
        for _ in 0..5 {
            members.push(member(self.get("/").await));
        }
        scene("it asks five times more", &members.join(" "));
        members
    }

    /// Asks with the cookie; `None` if that failed.
    async fn get(&mut self, path: &str) -> Option<&Answer> {
        match self.visitor.get(path, self.cookie.as_deref()).await {
            Ok(answer) => {
                if answer.cookie.is_some() {
                    self.cookie = answer.cookie.clone();
                }
                self.tally.answers.push(answer);
                self.tally.answers.last()
            }
            Err(error) => {
                self.tally.failures.push(error.to_string());
                None
            }
        }
    }
}

fn member(answer: Option<&Answer>) -> String {
    answer.map_or("nobody".to_owned(), |answer| answer.member.clone())
}

fn seen(answer: &Answer) -> String {
    let member = &answer.member;
    let attempt = match answer.attempts {
        0 | 1 => String::new(),
        attempts => format!(", in attempt {attempts}"),
    };
    let cookie = match &answer.cookie {
        Some(cookie) => format!("new cookie {cookie}"),
        None => "no new cookie".to_owned(),
    };
    format!("{member} answers{attempt}; {cookie}")
}

/// One line of the story: what happens, and what comes of it.
fn scene(what: &str, seen: &str) {
    println!("  {what:<34}{seen}");
}
