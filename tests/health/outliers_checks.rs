//! A detector and health checks on one balancer, without anything between them.

use std::sync::Arc;
use std::time::Duration;

use equipoise::health::{Check, HealthChecks, OutlierDetector, ProbeError, ProbeTarget, TcpProbe};
use equipoise::member::MAX_IN_FLIGHT;
use equipoise::{Balancer, Flag, Outcome, PickRequest};
use tokio::sync::{Notify, Semaphore};

use crate::member::Served;
use crate::until;

type Group = Balancer<std::net::SocketAddr>;

fn serve(balancer: &Group, status: u16) {
    loop {
        let mut lease = balancer.pick(&PickRequest::new()).unwrap();
        let is_a = lease.member().name() == "a";
        lease.record_head(Some(if is_a { status } else { 200 }));
        lease.finish(Outcome::Success);
        if is_a {
            return;
        }
    }
}

fn check(passes: u32) -> Check {
    Check::builder(TcpProbe::new())
        .interval(Duration::from_millis(100))
        .passes(passes)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_member_that_is_ejected_is_tried_once_its_checks_pass() {
    let member = Served::by(|_| async {}).await;
    let balancer: Group =
        Balancer::new(["a", "b", "c"].map(|name| (name, member.address))).unwrap();
    let a = || balancer.member("a").unwrap();
    let is_ejected = || a().status().contains(Flag::Ejected);
    let detector = OutlierDetector::new(&balancer);
    let _checks = HealthChecks::new(&balancer, check(2));
    for _ in 0..5 {
        serve(&balancer, 500);
    }
    assert!(is_ejected());
    let connections = member.connections();
    // Long before 30 s are over.
    until(|| !is_ejected()).await;
    assert!(
        member.connections() >= connections + 2,
        "two passes are needed"
    );
    assert_eq!(a().max_in_flight(), 1, "its answers may still be errors");
    serve(&balancer, 500);
    assert!(is_ejected(), "one request was enough to find out");
    until(|| !is_ejected()).await;
    serve(&balancer, 200);
    assert_eq!(a().max_in_flight(), MAX_IN_FLIGHT);
    drop(detector);
}

#[tokio::test]
async fn checks_that_end_all_ejections_end_those_of_a_detector_without_a_trial() {
    let member = Served::by(|_| async {}).await;
    let balancer: Group =
        Balancer::new(["a", "b", "c"].map(|name| (name, member.address))).unwrap();
    let detector = OutlierDetector::new(&balancer);
    let check = Check::builder(TcpProbe::new()).interval(Duration::from_millis(100));
    let _checks = HealthChecks::new(&balancer, check.end_ejections().build().unwrap());
    for _ in 0..5 {
        serve(&balancer, 500);
    }
    let a = balancer.member("a").unwrap();
    assert!(a.status().contains(Flag::Ejected));
    until(|| !a.status().contains(Flag::Ejected)).await;
    assert_eq!(a.max_in_flight(), MAX_IN_FLIGHT);
    drop(detector);
}

#[tokio::test]
async fn a_check_from_before_an_ejection_ends_neither_it_nor_an_error_beside_it() {
    let address = ([127, 0, 0, 1], 9).into();
    let balancer: Group = Balancer::new(["a", "b", "c"].map(|name| (name, address))).unwrap();
    let a = balancer.member("a").unwrap();
    let detector = OutlierDetector::new(&balancer);
    let (begun, passes) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (begins, pass) = (begun.clone(), passes.clone());
    let probe = move |_: ProbeTarget| {
        let (begins, pass) = (begins.clone(), pass.clone());
        async move {
            begins.notify_one();
            pass.acquire().await.unwrap().forget();
            Ok::<(), ProbeError>(())
        }
    };
    let check = Check::builder(probe).interval(Duration::from_millis(100));
    let only_a = check.build().unwrap();
    let _checks = HealthChecks::builder(only_a.clone())
        .check_by(move |name, _, _| (name == "a").then(|| only_a.clone()))
        .spawn(&balancer);
    begun.notified().await;
    for _ in 0..5 {
        serve(&balancer, 500);
    }
    balancer.set_flag("a", Flag::InError).unwrap();
    passes.add_permits(1);
    // The first check is settled before the second begins.
    begun.notified().await;
    assert!(a.status().contains(Flag::Ejected));
    passes.add_permits(1);
    until(|| !a.status().contains(Flag::Ejected)).await;
    assert!(!a.status().contains(Flag::InError));
    drop(detector);
}
