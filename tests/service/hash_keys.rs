//! Requests with the same part of the head go to the same member, by a hashing scheduler.

use std::collections::BTreeSet;
use std::io::ErrorKind::ConnectionRefused;

use equipoise::scheduler::{BoundedLoad, Maglev, Rendezvous, Scheduler};
use equipoise::service::{BalanceLayer, BalanceService, HashKey};
use equipoise::stable_hash::hash_bytes;
use equipoise::{Balancer, MemberSpec, PickRequest};
use http::{HeaderName, Request};
use http_body_util::Full;

use crate::member::Act::{Answer, Fail};
use crate::member::{Member, get, outcome};

fn balancer(scheduler: impl Scheduler) -> Balancer<Member> {
    let names = ["a", "b", "c", "d", "e"];
    let member = |name| (name, Member::new([Answer(200)]), MemberSpec::new());
    let builder = Balancer::builder().scheduler(scheduler);
    builder.members(names.map(member)).build().unwrap()
}

fn service(scheduler: impl Scheduler, key: HashKey) -> BalanceService<Member> {
    BalanceLayer::new(balancer(scheduler))
        .hash_on(key)
        .over_members()
}

fn with(uri: &str, header: &'static str, value: &str) -> Request<Full<bytes::Bytes>> {
    let mut request = get(uri);
    request.headers_mut().append(header, value.parse().unwrap());
    request
}

/// The members that serve the requests.
async fn served(
    service: &BalanceService<Member>,
    requests: impl IntoIterator<Item = Request<Full<bytes::Bytes>>>,
) -> BTreeSet<String> {
    let mut served = BTreeSet::new();
    for request in requests {
        served.insert(outcome(service.clone(), request).await);
    }
    served
}

#[tokio::test]
async fn requests_with_the_same_part_go_to_one_member() {
    let tenant = HashKey::header(HeaderName::from_static("x-tenant"));
    let service = service(Maglev::new(), tenant.or(HashKey::cookie("S")));
    let of = |tenant: &str| {
        let tenant = tenant.to_owned();
        (0..20).map(move |at| with(&format!("/{at}"), "x-tenant", &tenant))
    };
    assert_eq!(served(&service, of("one")).await.len(), 1);
    let cookies = (0..20).map(|at| with("/", "cookie", &format!("x={at}; S=9")));
    assert_eq!(served(&service, cookies).await.len(), 1);
    let tenants = (0..60).map(|at| with("/", "x-tenant", &at.to_string()));
    assert_eq!(served(&service, tenants).await.len(), 5, "all members");
    // Without the part, chance decides.
    let plain = (0..60).map(|_| get("/"));
    assert!(served(&service, plain).await.len() > 1);
}

#[tokio::test]
async fn a_key_and_a_closure_that_computes_it_are_alike() {
    let path = service(Rendezvous::new(), HashKey::path());
    let by = BalanceLayer::new(balancer(Rendezvous::new()))
        .hash_on(HashKey::query())
        .hash_by(|head| Some(hash_bytes(head.uri.path().as_bytes())))
        .over_members();
    let balancer = balancer(Rendezvous::new());
    for at in 0..50 {
        let uri = format!("/{at}?{at}");
        let request = PickRequest::new().with_hash(hash_bytes(format!("/{at}").as_bytes()));
        let member = balancer.pick(&request).unwrap().member().name().to_owned();
        let expected = format!("200 {member} 1");
        assert_eq!(outcome(path.clone(), get(&uri)).await, expected);
        assert_eq!(outcome(by.clone(), get(&uri)).await, expected);
    }
}

#[tokio::test]
async fn a_request_that_fails_over_goes_to_the_next_member_for_its_key() {
    let names = ["a", "b", "c", "d"];
    let balancer = |acts: fn(&str) -> crate::member::Act| {
        let member = |name| (name, Member::new([acts(name)]), MemberSpec::new());
        let scheduler = BoundedLoad::new(Rendezvous::new());
        let builder = Balancer::builder().scheduler(scheduler);
        builder.members(names.map(member)).build().unwrap()
    };
    let failing = balancer(|name| match name {
        "a" => Fail(ConnectionRefused),
        _ => Answer(200),
    });
    let without = balancer(|_| Answer(200));
    without.remove("a").unwrap();
    for at in 0..40 {
        let uri = format!("/{at}");
        let service = |balancer: &Balancer<Member>| {
            let layer = BalanceLayer::new(balancer.clone());
            layer.hash_on(HashKey::path()).over_members()
        };
        let served = outcome(service(&failing), get(&uri)).await;
        failing.recover("a").unwrap();
        let expected = outcome(service(&without), get(&uri)).await;
        assert_eq!(served[..5], expected[..5], "{served} {expected}");
    }
}
