//! Facts that are read from a request for a scheduler of the user's own.

use std::any::Any;
use std::io::ErrorKind::ConnectionRefused;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use equipoise::scheduler::{Candidates, Pick, PickContext, Scheduler};
use equipoise::service::{Affinity, BalanceLayer, Timeouts};
use equipoise::timer::TokioTimer;
use equipoise::{Balancer, MemberSpec, PickRequest};
use http::request::Parts;
use http::{Request, StatusCode};
use tower::{Service, ServiceExt, service_fn};

use crate::member::Act::{Answer, Fail};
use crate::member::{Act, Member, get, outcome};

#[derive(Debug)]
struct Tenant(String);

/// Elects among the members of the tenant's label; nobody without a tenant.
#[derive(Debug)]
struct ByTenant;

impl Scheduler for ByTenant {
    fn name(&self) -> &'static str {
        "by tenant"
    }

    fn pick<'c>(&self, candidates: &Candidates<'c>, context: &PickContext<'_>) -> Pick<'c> {
        let Some(Tenant(tenant)) = context.facts() else {
            return Pick::NoneUsable;
        };
        let own = candidates.iter();
        candidates.claim_first(own.filter(|one| one.label("tenant") == Some(tenant)))
    }
}

/// Members a to d, of the tenants "one" and "two" in turn.
fn balancer(acts: [&[Act]; 4]) -> Balancer<Member> {
    let names = ["a", "b", "c", "d"].into_iter();
    let tenants = ["one", "two", "one", "two"].into_iter();
    let members = names.zip(tenants).zip(acts);
    let spec = |tenant| {
        MemberSpec::new()
            .with_label("tenant", tenant)
            .with_max_in_flight(1)
    };
    Balancer::builder()
        .scheduler(ByTenant)
        .members(
            members.map(|((name, tenant), acts)| (name, Member::new(acts.to_vec()), spec(tenant))),
        )
        .build()
        .unwrap()
}

fn tenant(head: &Parts) -> Option<Tenant> {
    let tenant = head.headers.get("x-tenant")?.to_str().ok()?;
    Some(Tenant(tenant.to_owned()))
}

const REFUSE: &[Act] = &[Fail(ConnectionRefused)];
const FINE: &[Act] = &[Answer(200)];

#[tokio::test]
async fn a_request_that_fails_over_keeps_its_facts() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let layer = BalanceLayer::new(balancer([FINE, REFUSE, FINE, FINE])).facts_by(move |head| {
        counter.fetch_add(1, Ordering::Relaxed);
        tenant(head)
    });
    let mut request = get("/");
    request
        .headers_mut()
        .insert("x-tenant", "two".parse().unwrap());
    assert_eq!(outcome(layer.over_members(), request).await, "200 d 2");
    assert_eq!(read.load(Ordering::Relaxed), 1, "they are read once");
}

#[tokio::test]
async fn a_request_that_waits_keeps_its_facts() {
    let balancer = balancer([FINE; 4]);
    let held = ["two", "two", "one"].map(|tenant| {
        let tenant = Tenant(tenant.into());
        balancer
            .pick(&PickRequest::new().with_facts(&tenant))
            .unwrap()
    });
    let timeouts = Timeouts::new().with_pick_timeout(Duration::from_secs(60));
    let layer = BalanceLayer::new(balancer.clone())
        .facts_by(tenant)
        .timeouts(TokioTimer::new(), timeouts);
    let mut request = get("/");
    request
        .headers_mut()
        .insert("x-tenant", "two".parse().unwrap());
    let waiting = tokio::spawn(outcome(layer.over_members(), request));
    while !waiting.is_finished() && !waits(&balancer) {
        tokio::task::yield_now().await;
    }
    let [first, second, third] = held;
    drop((third, first));
    assert_eq!(waiting.await.unwrap(), "200 b 1");
    drop(second);
}

/// Whether a request stands in line: then a plain pick of a free member is refused.
fn waits(balancer: &Balancer<Member>) -> bool {
    let one = Tenant("one".into());
    balancer.pick(&PickRequest::new().with_facts(&one)).is_err()
}

#[tokio::test]
async fn behind_axum_each_tenant_gets_its_own_members() {
    let app = service_fn(|request: Request<_>| async move {
        let _: Request<equipoise::service::CountedBody<Body>> = request;
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    });
    let balancer = Balancer::builder()
        .scheduler(ByTenant)
        .members(
            ["one", "two"].map(|name| (name, app, MemberSpec::new().with_label("tenant", name))),
        )
        .build()
        .unwrap();
    let service = BalanceLayer::new(balancer.clone())
        .facts_by(tenant)
        .over_members()
        .into_infallible()
        .box_response_body(Body::new);
    let mut router: Router = Router::new().fallback_service(service);
    for name in ["two", "two", "one", "three"] {
        let request = Request::get("/")
            .header("x-tenant", name)
            .body(Body::empty())
            .unwrap();
        let status = router.call(request).await.unwrap().status();
        let found = name != "three";
        assert_eq!(status == StatusCode::OK, found, "{name}");
    }
    let elected = |name| balancer.member(name).unwrap().picked();
    assert_eq!((elected("one"), elected("two")), (1, 2));
}

struct ByField;

impl Affinity<Tenant> for ByField {
    fn facts<'r>(&self, request: &'r Tenant) -> Option<&'r (dyn Any + Send + Sync)> {
        Some(request)
    }
}

#[tokio::test]
async fn a_call_of_any_type_brings_facts_by_its_affinity() {
    let member = |name: &'static str| {
        let serve = move |_: Tenant| async move { Ok::<_, std::io::Error>(name) };
        (
            name,
            tower::util::BoxCloneSyncService::new(service_fn(serve)),
        )
    };
    let balancer = Balancer::builder()
        .scheduler(ByTenant)
        .members(["one", "two"].map(|name| {
            let (name, member) = member(name);
            (name, member, MemberSpec::new().with_label("tenant", name))
        }))
        .build()
        .unwrap();
    let service = balancer.into_call_service().affinity(ByField);
    let answer = service.oneshot(Tenant("two".into())).await.unwrap();
    assert_eq!(*answer, "two");
}
