//! TCP probes, and payloads that tell where they are checked.

use std::time::Duration;

use equipoise::health::{Check, HealthChecks, ProbeTarget, TcpProbe};
use equipoise::net::Connector;
use equipoise::{Balancer, Flag, PickRequest};
use tokio::net::TcpListener;

use crate::member::{Served, failure, probed, refusing};
use crate::{cause, is_failed, until};

fn tcp() -> TcpProbe {
    TcpProbe::new()
}

fn each_100_ms() -> Check {
    let builder = Check::builder(tcp()).interval(Duration::from_millis(100));
    builder.jitter(Duration::ZERO).build().unwrap()
}

#[tokio::test]
async fn a_member_that_listens_passes_and_one_that_does_not_fails() {
    let member = Served::by(|_| async {}).await;
    probed(&tcp(), member.target()).await.unwrap();
    let host = Connector::host("localhost", member.address.port());
    probed(&tcp(), host.into()).await.unwrap();
    let why = failure(&tcp(), refusing().await.into()).await;
    assert!(why.starts_with("no connection: "), "{why}");
    assert!(why.contains("refused"), "{why}");
    let nameless = Connector::host("nothing.invalid", 1);
    let why = failure(&tcp(), nameless.into()).await;
    assert!(why.contains("cannot be resolved"), "{why}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_checked_too() {
    let path = std::env::temp_dir().join(format!("equipoise-checks-{}", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let target = || ProbeTarget::new(Connector::unix(&path));
    assert_eq!(target().host(), "localhost");
    probed(&tcp(), target()).await.unwrap();
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    assert!(probed(&tcp(), target()).await.is_err());
}

#[tokio::test]
async fn a_member_is_out_while_it_is_down_and_the_cause_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let other = Served::by(|_| async {}).await;
    let balancer = Balancer::new([("a", address), ("b", other.address)]).unwrap();
    let _checks = HealthChecks::new(&balancer, each_100_ms());
    drop(listener);
    until(|| is_failed(&balancer, "a")).await;
    let why = cause(&balancer, "a").unwrap();
    assert!(why.contains("refused"), "{why}");
    let explained = balancer.explain(&PickRequest::new()).to_string();
    assert!(explained.contains(&why), "{explained}");
    for _ in 0..4 {
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        assert_eq!(lease.member().name(), "b");
    }
    let _back = TcpListener::bind(address).await.unwrap();
    until(|| !is_failed(&balancer, "a")).await;
}

#[tokio::test]
async fn a_passing_check_ends_an_error_of_requests_long_before_its_time() {
    let member = Served::by(|_| async {}).await;
    // With a third one there is no forced recovery.
    let balancer = Balancer::new(["a", "b", "c"].map(|name| (name, member.address))).unwrap();
    let status = |name: &str| balancer.member(name).unwrap().status();
    balancer.set_flag("a", Flag::InError).unwrap();
    balancer
        .eject("b", Duration::from_secs(60), "slow")
        .unwrap();
    let checks = HealthChecks::new(&balancer, each_100_ms());
    until(|| status("a").is_usable()).await;
    assert!(status("b").contains(Flag::Ejected), "an ejection stays");
    drop(checks);

    let builder = Check::builder(tcp()).interval(Duration::from_millis(100));
    let _checks = HealthChecks::new(&balancer, builder.end_ejections().build().unwrap());
    until(|| status("b").is_usable()).await;
}

#[tokio::test]
async fn failing_checks_do_not_add_to_an_error_of_requests() {
    let other = Served::by(|_| async {}).await;
    let balancer = Balancer::new([("a", refusing().await), ("b", other.address)]).unwrap();
    balancer.set_flag("a", Flag::InError).unwrap();
    let _checks = HealthChecks::new(&balancer, each_100_ms());
    until(|| other.connections() >= 4).await;
    assert!(!is_failed(&balancer, "a"));
    // When the error is over, the next one that fails counts.
    balancer.clear_flag("a", Flag::InError).unwrap();
    until(|| is_failed(&balancer, "a")).await;
}

#[cfg(feature = "forward")]
#[tokio::test]
async fn an_address_is_checked_at_its_port() {
    use equipoise::forward::Address;

    let member = Served::by(|_| async {}).await;
    let portless: Address = "127.0.0.1".parse().unwrap();
    let balancer = Balancer::new([("a", Address::from(member.address)), ("b", portless)]).unwrap();
    let _checks = HealthChecks::new(&balancer, each_100_ms());
    until(|| is_failed(&balancer, "b") && member.connections() > 1).await;
    let why = "the address of the member has no port to check";
    assert_eq!(cause(&balancer, "b").as_deref(), Some(why));
    assert!(!is_failed(&balancer, "a"));
}

#[cfg(feature = "proxy")]
#[tokio::test]
async fn an_endpoint_is_checked_below_its_path() {
    use equipoise::health::HttpProbe;
    use equipoise::proxy::Endpoint;

    let member = Served::answering("HTTP/1.1 204 Fine\r\n\r\n").await;
    let uri = format!("http://{}/app/", member.address);
    let endpoint = Endpoint::new(uri.parse().unwrap()).unwrap();
    let balancer = Balancer::new([("a", endpoint)]).unwrap();
    let probe = HttpProbe::get("/status").build().unwrap();
    let _checks = HealthChecks::new(&balancer, Check::builder(probe).build().unwrap());
    until(|| !member.heads.lock().unwrap().is_empty()).await;
    let wanted = format!(
        "GET /app/status HTTP/1.1\r\nHost: {}\r\n\r\n",
        member.address
    );
    assert_eq!(member.heads.lock().unwrap()[0], wanted);
}
