//! Capacity that members report with their answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use equipoise::clock::ManualClock;
use equipoise::heartbeat::OrcaLayer;
use equipoise::service::CountedBody;
use equipoise::{BalanceService, Balancer, Heartbeat, HeartbeatReadings, MemberSpec, PickRequest};
use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

type Member = BoxCloneSyncService<Request<CountedBody<String>>, Response<String>, std::io::Error>;

/// A member whose answers have this header, or several of that name, by line.
fn member(values: &'static str) -> Member {
    BoxCloneSyncService::new(service_fn(move |_| async move {
        let mut answer = Response::new(String::new());
        for value in values.lines() {
            let value = http::HeaderValue::from_static(value);
            answer.headers_mut().append("endpoint-load-metrics", value);
        }
        Ok(answer)
    }))
}

fn balancer(values: &[&'static str]) -> (Balancer<Member>, HeartbeatReadings) {
    let readings = HeartbeatReadings::new();
    let names = ["a", "b", "c"].into_iter().zip(values);
    let balancer = Balancer::builder()
        .scheduler(Heartbeat::new(&readings))
        .clock(ManualClock::new())
        .members(names.map(|(name, value)| (name, member(value), MemberSpec::new())))
        .build()
        .unwrap();
    (balancer, readings)
}

#[tokio::test]
async fn the_fallback_elects_until_members_have_reported_and_then_their_reports_do() {
    let (balancer, readings) = balancer(&[
        "TEXT cpu_utilization=0.9",
        "TEXT named_metrics.ready=30,named_metrics.busy=10",
    ]);
    let layer = OrcaLayer::new(&balancer, &readings);
    let service = layer.layer(BalanceService::over(balancer.clone()));
    let ask = || service.clone().oneshot(Request::new(String::new()));
    // The first report makes its member the only one with idle capacity, so each is asked once.
    drop(ask().await.unwrap());
    balancer.set_flag("a", equipoise::Flag::Draining).unwrap();
    drop(ask().await.unwrap());
    balancer.clear_flag("a", equipoise::Flag::Draining).unwrap();
    assert_eq!(
        (balancer.standing("a"), balancer.standing("b")),
        (Some(10), Some(30))
    );
    let mut elections = BTreeMap::new();
    for _ in 0..2_000 {
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        *elections
            .entry(lease.member().name().to_owned())
            .or_insert(0) += 1;
    }
    assert!((1_400..1_600).contains(&elections["b"]), "{elections:?}");
}

#[tokio::test]
async fn requests_that_went_there_since_are_deducted() {
    let (balancer, readings) = balancer(&["TEXT cpu_utilization=0.5"]);
    let layer = OrcaLayer::new(&balancer, &readings).capacity(10);
    let service = layer.layer(BalanceService::over(balancer.clone()));
    service.oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(balancer.standing("a"), Some(5));
    let leases = [(); 3].map(|()| balancer.pick(&PickRequest::new()).unwrap());
    assert_eq!(balancer.standing("a"), Some(2));
    drop(leases);
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_told_and_changes_nothing() {
    let (balancer, readings) = balancer(&["TEXT cpu_utilization=NaN"]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let errors = told.clone();
    let layer = OrcaLayer::new(&balancer, &readings).on_error(move |member, error| {
        errors.lock().unwrap().push(format!("{member}: {error}"));
    });
    let service = layer.layer(BalanceService::over(balancer.clone()));
    let answer = service.oneshot(Request::new(String::new())).await.unwrap();
    assert!(answer.status().is_success());
    assert_eq!(balancer.standing("a"), None);
    let expected = "a: `cpu_utilization` is not a number in its range: \"NaN\"";
    assert_eq!(*told.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn of_several_headers_the_last_in_text_form_counts() {
    for (values, standing, wrong) in [
        (
            "TEXT cpu_utilization=0.9\nTEXT cpu_utilization=0.5",
            Some(50),
            None,
        ),
        ("TEXT cpu_utilization=0.5\nBIN CZqZmZmZmbk/", Some(50), None),
        (
            "JSON {\"cpu_utilization\": 0.9}\nTEXT cpu_utilization=0.5",
            Some(50),
            None,
        ),
        (
            "TEXT cpu_utilization=0.5\nTEXT cpu_utilization=-1",
            None,
            Some("-1"),
        ),
        (
            "JSON {}\nBIN CZqZmZmZmbk/",
            None,
            Some("does not begin with `TEXT`"),
        ),
    ] {
        let (balancer, readings) = balancer(&[values]);
        let told = Arc::new(Mutex::new(Vec::new()));
        let errors = told.clone();
        let layer = OrcaLayer::new(&balancer, &readings).on_error(move |_, error| {
            errors.lock().unwrap().push(error.to_string());
        });
        let service = layer.layer(BalanceService::over(balancer.clone()));
        let answer = service.oneshot(Request::new(String::new())).await.unwrap();
        assert!(answer.headers().is_empty());
        assert_eq!(balancer.standing("a"), standing, "{values}");
        let told = told.lock().unwrap();
        assert_eq!(
            told.len(),
            usize::from(wrong.is_some()),
            "{values}: {told:?}"
        );
        assert!(told.iter().all(|it| it.contains(wrong.unwrap_or_default())));
    }
}

#[tokio::test]
async fn clients_see_the_header_only_if_that_is_asked_for() {
    let (balancer, readings) = balancer(&["TEXT eps=1"]);
    let ask = |layer: OrcaLayer| {
        let service = layer.layer(BalanceService::over(balancer.clone()));
        service.oneshot(Request::new(String::new()))
    };
    let removed = ask(OrcaLayer::new(&balancer, &readings)).await.unwrap();
    assert!(removed.headers().is_empty());
    let kept = ask(OrcaLayer::new(&balancer, &readings).keep_header());
    assert_eq!(
        kept.await.unwrap().headers()["endpoint-load-metrics"],
        "TEXT eps=1"
    );
    assert_eq!(balancer.standing("a"), None, "it tells nothing of capacity");
}

#[tokio::test]
async fn a_metric_that_is_named_counts_before_the_utilization() {
    let (balancer, readings) = balancer(&["TEXT cpu_utilization=0.1,named_metrics.queue=0.8"]);
    let layer = OrcaLayer::new(&balancer, &readings)
        .metric("named_metrics.cache")
        .metric("named_metrics.queue");
    let service = layer.layer(BalanceService::over(balancer.clone()));
    service.oneshot(Request::new(String::new())).await.unwrap();
    assert_eq!(balancer.standing("a"), Some(20));
}
