//! wrk at full speed while members are killed and started again every second.

use std::process::Stdio;
use std::time::Duration;

use equipoise::net::Listener;
use equipoise::proxy::{Endpoint, ReverseProxy, Server};
use equipoise::{Balancer, MemberSpec};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::site::Site;

fn seconds() -> u64 {
    let told = std::env::var("EQUIPOISE_SOAK_SECONDS");
    told.map_or(2, |told| told.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs wrk"]
async fn no_get_fails_at_full_speed_while_one_member_lives() {
    let mut sites = [Site::start(), Site::start(), Site::start()];
    let mut balancer = Balancer::builder();
    for (name, site) in ["a", "b", "c"].into_iter().zip(&sites) {
        let uri = format!("http://{}", site.address).parse().unwrap();
        let spec = MemberSpec::new().with_recovery_delay(Duration::from_millis(200));
        balancer = balancer.member(name, Endpoint::new(uri).unwrap(), spec);
    }
    let balancer = balancer.build().unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = ReverseProxy::new(balancer.clone());
    let serving = Server::new().serve(listener, proxy, std::future::pending());
    let serving = tokio::spawn(serving);

    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c32", "--timeout", "10", "-d"])
        .arg(format!("{}s", seconds()))
        .arg(format!("http://{address}/"))
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let wrk = wrk.spawn().unwrap().wait_with_output();
    let trouble = trouble(&mut sites);
    let (wrk, ()) = tokio::join!(wrk, trouble);
    let told = String::from_utf8(wrk.unwrap().stdout).unwrap();
    println!("{told}");
    assert!(told.contains("requests in"), "{told}");
    assert!(!told.contains("Non-2xx"), "{told}");
    assert!(!told.contains("Socket errors"), "{told}");
    for member in balancer.members() {
        assert!(member.picked() > 0, "{}", member.name());
    }
    serving.abort();
    let _ = serving.await;
    let end = Instant::now() + Duration::from_secs(5);
    let in_flight = || {
        balancer
            .members()
            .iter()
            .map(|it| it.in_flight())
            .sum::<u32>()
    };
    while in_flight() > 0 && Instant::now() < end {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(in_flight(), 0);
}

/// One or two of the three members die every second, and are there again half a second
/// later.
async fn trouble(sites: &mut [Site; 3]) {
    let half = Duration::from_millis(500);
    let end = Instant::now() + Duration::from_secs(seconds()).saturating_sub(half);
    let mut turn = 0;
    while Instant::now() < end {
        let deaths = 1 + turn % 2;
        for death in 0..deaths {
            sites[(turn + death) % 3].kill().await;
        }
        sleep(half).await;
        for death in 0..deaths {
            sites[(turn + death) % 3].restart();
        }
        sleep(half).await;
        turn += 1;
    }
}
