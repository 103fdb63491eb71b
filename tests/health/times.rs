//! When members are checked. The time is tokio's, which is paused.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::balancer::events::{EventKind, Interest};
use equipoise::health::{Check, FirstCheck, HealthChecks, Probe, ProbeError, ProbeTarget};
use equipoise::{Balancer, Event, Flag, Observer};
use tokio::time::{Instant, sleep};

use crate::{cause, is_failed, until};

const SECOND: Duration = Duration::from_secs(1);

type Members = Balancer<std::net::SocketAddr>;

pub(crate) fn members(names: &[&'static str]) -> Members {
    let port = |at: usize| ([127, 0, 0, 1], u16::try_from(at + 1).unwrap()).into();
    let members = names.iter().enumerate().map(|(at, name)| (*name, port(at)));
    Balancer::new(members).unwrap()
}

/// A check each second, without jitter.
pub(crate) fn each_second(probe: impl Probe) -> equipoise::health::CheckBuilder {
    Check::builder(probe)
        .interval(SECOND)
        .jitter(Duration::ZERO)
}

/// The seconds at which checks begin.
#[derive(Clone)]
struct Times(Arc<Mutex<Vec<u128>>>, Instant);

impl Times {
    fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    fn note(&self) {
        self.0.lock().unwrap().push(self.1.elapsed().as_millis());
    }

    fn taken(&self) -> Vec<u128> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_is_checked_at_once_and_an_interval_after_each_check() {
    let times = Times::new();
    let noted = times.clone();
    let check = each_second(move |_| {
        noted.note();
        async {
            // A check takes its time, too.
            sleep(SECOND / 2).await;
            Ok(())
        }
    });
    let balancer = members(&["a"]);
    let _checks = HealthChecks::new(&balancer, check.build().unwrap());
    sleep(SECOND * 5).await;
    assert_eq!(times.taken(), [0, 1500, 3000, 4500]);
}

#[tokio::test(start_paused = true)]
async fn the_first_check_can_wait_for_an_interval_as_apaches_does() {
    let times = Times::new();
    let noted = times.clone();
    let check = each_second(move |_| {
        noted.note();
        async { Ok(()) }
    });
    let balancer = members(&["a"]);
    let _checks = HealthChecks::builder(check.build().unwrap())
        .first_check(FirstCheck::AfterInterval)
        .spawn(&balancer);
    sleep(SECOND * 3 - SECOND / 2).await;
    assert_eq!(times.taken(), [1000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn checks_of_a_member_never_overlap_however_long_they_take() {
    let (running, most) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
    let (counted, highest) = (running.clone(), most.clone());
    let check = Check::builder(move |_| {
        let running = counted.clone();
        highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        async move {
            sleep(SECOND).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let check = check.interval(SECOND / 10).build().unwrap();
    let balancer = members(&["a"]);
    let checks = HealthChecks::new(&balancer, check);
    for _ in 0..100 {
        sleep(SECOND / 10).await;
        checks.check_now();
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn intervals_differ_by_the_jitter() {
    let times = Times::new();
    let noted = times.clone();
    let check = each_second(move |_| {
        noted.note();
        async { Ok(()) }
    });
    let balancer = members(&["a"]);
    let check = check.jitter(SECOND * 3).build().unwrap();
    let _checks = HealthChecks::new(&balancer, check);
    sleep(SECOND * 300).await;
    let times = times.taken();
    let gaps: Vec<_> = times.windows(2).map(|it| it[1] - it[0]).collect();
    let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!(*least >= 1_000 && *most <= 4_001, "{gaps:?}");
    assert!(*least < 2_000 && *most > 3_000, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn members_can_be_checked_now() {
    let times = Times::new();
    let noted = times.clone();
    let check = Check::builder(move |_| {
        noted.note();
        async { Ok(()) }
    });
    let balancer = members(&["a", "b"]);
    let checks = HealthChecks::new(&balancer, check.jitter(Duration::ZERO).build().unwrap());
    sleep(SECOND).await;
    checks.check_now();
    sleep(SECOND * 31).await;
    assert_eq!(times.taken(), [0, 0, 1000, 1000, 31_000, 31_000]);
}

#[tokio::test(start_paused = true)]
async fn a_check_under_way_is_followed_by_another_at_once_if_all_are_to_be_checked_now() {
    let times = Times::new();
    let noted = times.clone();
    let check = each_second(move |_| {
        noted.note();
        async {
            sleep(SECOND / 2).await;
            Ok(())
        }
    });
    let balancer = members(&["a"]);
    let checks = HealthChecks::new(&balancer, check.build().unwrap());
    sleep(SECOND / 4).await;
    // What it is checked by may be another by now, and the one before may have had long intervals.
    checks.check_now();
    sleep(SECOND * 2).await;
    assert_eq!(times.taken(), [0, 500, 2000]);
}

/// A probe whose answers are what a test says, one after the other, and the last one for ever.
fn scripted(answers: &'static str) -> impl Probe {
    let at = AtomicU32::new(0);
    move |_: ProbeTarget| {
        let at = at.fetch_add(1, Ordering::SeqCst) as usize;
        let answer = answers.as_bytes()[at.min(answers.len() - 1)];
        let result = match answer {
            b'+' => Ok(()),
            b'-' => Err(ProbeError::from(format!("check {at} failed"))),
            b'?' => Err(ProbeError::from("no port is left").inconclusive()),
            _ => panic!("check {at} panics"),
        };
        std::future::ready(result)
    }
}

/// Whether the member is out after each check.
async fn course(check: equipoise::health::CheckBuilder, checks: usize) -> String {
    let balancer = members(&["a", "b"]);
    let check = check.build().unwrap();
    let _checks = HealthChecks::builder::<std::net::SocketAddr>(check.clone())
        .check_by(move |name, _, _| (name == "a").then(|| check.clone()))
        .spawn(&balancer);
    let mut shown = String::new();
    sleep(SECOND / 2).await;
    for _ in 0..checks {
        shown.push(if is_failed(&balancer, "a") { 'x' } else { '.' });
        sleep(SECOND).await;
    }
    assert!(!is_failed(&balancer, "b"));
    shown
}

#[tokio::test(start_paused = true)]
async fn checks_in_a_row_decide() {
    let check = |answers| each_second(scripted(answers));
    assert_eq!(course(check("+-+--+"), 6).await, ".x.xx.");
    // Apache counts the fails in all: it would be out after the fifth.
    let flapping = course(check("-+-+-+---+").fails(3), 10).await;
    assert_eq!(flapping, "........x.");
    assert_eq!(course(check("-+-++-").passes(2), 6).await, "xxxx.x");
    // What is this machine's fault counts neither way, and interrupts no row.
    assert_eq!(
        course(check("-?-+?-+").fails(2), 7).await,
        "..x...".to_owned() + "."
    );
    // A panic is a failed check, and the checks go on.
    assert_eq!(course(check("+!+!!+"), 6).await, ".x.xx.");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_one_members_probe_is_no_others() {
    let balancer = members(&["a", "b"]);
    let check = each_second(|target: ProbeTarget| async move {
        assert!(
            !target.host().ends_with(":1"),
            "the first one's probe panics"
        );
        Ok(())
    });
    balancer.set_flag("b", Flag::FailedCheck).unwrap();
    let _checks = HealthChecks::new(&balancer, check.build().unwrap());
    until(|| is_failed(&balancer, "a") && balancer.member("b").unwrap().health().is_good()).await;
    assert_eq!(cause(&balancer, "a").unwrap(), "the probe panicked");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_choice_of_a_check_or_a_target_is_a_failed_check() {
    let check = || each_second(|_| async { Ok(()) }).build().unwrap();
    let balancer = members(&["a", "b"]);
    let in_target = HealthChecks::builder_by(check(), |address: &std::net::SocketAddr| {
        assert_ne!(address.port(), 1);
        *address
    });
    let checks = in_target.spawn(&balancer);
    until(|| is_failed(&balancer, "a")).await;
    assert!(!is_failed(&balancer, "b"));
    drop(checks);
    balancer.recover("a").unwrap();
    let other = check();
    let in_choice = HealthChecks::builder(check()).check_by(move |name, _, _| {
        assert_ne!(name, "b");
        Some(other.clone())
    });
    let _checks = in_choice.spawn(&balancer);
    until(|| is_failed(&balancer, "b")).await;
    assert!(!is_failed(&balancer, "a"));
}

struct Changes(Mutex<Vec<String>>);

impl Observer for Changes {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(event.to_string());
        if let EventKind::Changed { after, .. } = event.kind {
            assert!(
                !after.contains(Flag::FailedCheck),
                "an observer that panics"
            );
        }
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED
    }
}

#[tokio::test(start_paused = true)]
async fn observers_are_told_the_cause_and_their_panics_go_no_further() {
    let balancer = members(&["a"]);
    let changes = Arc::new(Changes(Mutex::default()));
    balancer.observe(changes.clone()).detach();
    let check = each_second(scripted("-+-+")).build().unwrap();
    let _checks = HealthChecks::new(&balancer, check);
    sleep(SECOND * 4).await;
    let told = changes.0.lock().unwrap().clone();
    let failed = |at: u32| {
        format!("member \"a\" changed from ok to failed check (health): check {at} failed")
    };
    let passed = || "member \"a\" changed from failed check to ok (health)".to_owned();
    assert_eq!(told, [failed(0), passed(), failed(2), passed()]);
}
