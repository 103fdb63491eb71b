//! How many checks are under way at a time, and that none is left behind.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use equipoise::Balancer;
use equipoise::health::{Check, HealthChecks, HttpProbe, ProbeTarget};
use equipoise::net::Connector;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use crate::member::{Served, head};
use crate::times::{each_second, members};
use crate::{cause, is_failed, until};

const SECOND: Duration = Duration::from_secs(1);

fn many(count: u16) -> Balancer<std::net::SocketAddr> {
    let member = |at: u16| (format!("m{at}"), ([127, 0, 0, 1], at).into());
    Balancer::new((1..=count).map(member)).unwrap()
}

/// Counts what is under way, also if it is given up.
#[derive(Clone, Default)]
struct Gauge {
    now: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

struct Counted(Gauge);

impl Gauge {
    fn begin(&self) -> Counted {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Counted(self.clone())
    }

    fn now(&self) -> u32 {
        self.now.load(Ordering::SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_checks_are_under_way_than_there_are_slots() {
    let gauge = Gauge::default();
    let begun = gauge.clone();
    let checked = Arc::<AtomicU32>::default();
    let counted = checked.clone();
    let check = each_second(move |_| {
        let (running, counted) = (begun.begin(), counted.clone());
        async move {
            sleep(SECOND / 10).await;
            counted.fetch_add(1, Ordering::SeqCst);
            drop(running);
            Ok(())
        }
    });
    let balancer = many(100);
    let _checks = HealthChecks::builder::<std::net::SocketAddr>(check.build().unwrap())
        .concurrency(7)
        .spawn(&balancer);
    sleep(SECOND * 3).await;
    assert_eq!(gauge.most.load(Ordering::SeqCst), 7);
    // 7 slots and a tenth of a second each, so all of them have been used all the time.
    let checked = checked.load(Ordering::SeqCst);
    assert!((200..=210).contains(&checked), "{checked}");
}

#[tokio::test(start_paused = true)]
async fn members_that_hang_keep_others_waiting_once_and_not_again() {
    // Half of them hang until their time limit of 5 s, with as many slots as would hold them.
    let last = Arc::new(Mutex::new(vec![Vec::new(); 41]));
    let began = Instant::now();
    let noted = last.clone();
    let check = each_second(move |target: ProbeTarget| {
        let port: usize = target.host().rsplit(':').next().unwrap().parse().unwrap();
        let noted = noted.clone();
        async move {
            if port <= 20 {
                std::future::pending::<()>().await;
            }
            noted.lock().unwrap()[port].push(began.elapsed());
            Ok(())
        }
    });
    let balancer = many(40);
    let _checks = HealthChecks::builder::<std::net::SocketAddr>(check.build().unwrap())
        .concurrency(10)
        .spawn(&balancer);
    sleep(SECOND * 60).await;
    for port in 1..=20 {
        assert!(is_failed(&balancer, &format!("m{port}")));
    }
    assert_eq!(
        cause(&balancer, "m1").unwrap(),
        "health check: timed out after 5s"
    );
    for (port, times) in last.lock().unwrap().iter().enumerate().skip(21) {
        assert!(!is_failed(&balancer, &format!("m{port}")));
        let later = times.iter().filter(|&&at| at > SECOND * 11);
        let count = later.count();
        // About one a second, though hung ones want every slot.
        assert!(count >= 45, "m{port} was checked {count} times");
    }
}

#[tokio::test(start_paused = true)]
async fn checks_stop_when_their_handle_is_dropped_and_go_on_when_it_is_kept() {
    let gauge = Gauge::default();
    let begun = gauge.clone();
    let check = each_second(move |_| {
        let running = begun.begin();
        async move {
            std::future::pending::<()>().await;
            drop(running);
            Ok(())
        }
    });
    // Nothing else wakes the checks before long.
    let check = check.timeout(SECOND * 3_600).build().unwrap();
    let balancer = many(20);
    let checks = HealthChecks::new(&balancer, check.clone());
    until(|| gauge.now() == 20).await;
    drop(checks);
    until(|| gauge.now() == 0).await;
    sleep(SECOND * 60).await;
    assert_eq!(gauge.now(), 0);

    HealthChecks::new(&balancer, check).detach();
    until(|| gauge.now() == 20).await;
    // Checks do not keep their balancer alive.
    drop(balancer);
    until(|| gauge.now() == 0).await;
}

#[tokio::test]
async fn a_dropped_handle_closes_the_connections_of_its_checks() {
    let gauge = Gauge::default();
    let begun = gauge.clone();
    let member = Served::by(move |mut stream| {
        let open = begun.begin();
        async move {
            head(&mut stream).await;
            // Until the other side closes it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            drop(open);
        }
    })
    .await;
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let probe = HttpProbe::get("/").version(version).build().unwrap();
        let balancer = Balancer::new([("a", member.address)]).unwrap();
        let checks = HealthChecks::new(&balancer, Check::builder(probe).build().unwrap());
        until(|| gauge.now() == 1).await;
        drop(checks);
        until(|| gauge.now() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_is_forgotten_with_the_check_under_way() {
    let gauge = Gauge::default();
    let begun = gauge.clone();
    let check = each_second(move |_| {
        let running = begun.begin();
        async move {
            std::future::pending::<()>().await;
            drop(running);
            Ok(())
        }
    });
    let balancer = members(&["a", "b"]);
    let check = check.timeout(SECOND * 3_600).build().unwrap();
    let _checks = HealthChecks::builder::<std::net::SocketAddr>(check)
        .concurrency(1)
        .spawn(&balancer);
    until(|| gauge.now() == 1).await;
    balancer.remove("a").unwrap();
    balancer.remove("b").unwrap();
    until(|| gauge.now() == 0).await;
    // Its slot is free.
    balancer
        .insert("c", ([127, 0, 0, 1], 9).into(), Default::default())
        .unwrap();
    until(|| gauge.now() == 1).await;
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_fails_and_holds_no_other() {
    let good = Served::by(|_| async {}).await;
    let balancer = Balancer::new([
        ("nameless", Connector::host("nothing.invalid", 80)),
        ("good", Connector::tcp(good.address)),
    ]);
    let balancer = balancer.unwrap();
    let builder = Check::builder(equipoise::health::TcpProbe::new());
    let check = builder.interval(SECOND / 10).timeout(SECOND * 2).build();
    let _checks = HealthChecks::new(&balancer, check.unwrap());
    until(|| is_failed(&balancer, "nameless") && good.connections() >= 3).await;
    assert!(!is_failed(&balancer, "good"));
}
