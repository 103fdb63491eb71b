//! What tower asks of a service, and what a service may ask of us.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use equipoise::service::{
    BalanceError, BalanceLayer, BalanceService, BufferUpTo, Failover, Timeouts,
};
use equipoise::{Balancer, Flag, MemberSpec, PickRequest};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::books::in_flight;
use crate::member::Act::{Answer, Broken, Hang, Unready};
use crate::member::{Cast, get, outcome};
use crate::timer::TestTimer;

/// Panics if it is called without having been polled ready since its last call. A clone
/// is not ready.
#[derive(Debug, Default)]
struct Strict {
    ready: bool,
    calls: Arc<AtomicUsize>,
    /// The first calls, as many as there are of these, are answered by them.
    statuses: Arc<Vec<u16>>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: self.calls.clone(),
            statuses: self.statuses.clone(),
        }
    }
}

impl<B> Service<Request<B>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        assert!(self.ready, "called without having been polled ready");
        self.ready = false;
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(String::from("fine"));
        let status = self.statuses.get(call).copied().unwrap_or(200);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        ready(Ok(response))
    }
}

fn uris() -> Balancer<Uri> {
    let uri = |name| (name, Uri::from_static("http://127.0.0.1:1/"));
    Balancer::new(["a", "b", "c"].map(uri)).unwrap()
}

fn retrying() -> Failover {
    Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE])
}

#[tokio::test]
async fn a_shared_service_is_called_only_when_it_was_polled_ready() {
    let strict = Strict {
        statuses: Arc::new(vec![503, 503]),
        ..Strict::default()
    };
    let layer = BalanceLayer::new(uris()).failover(retrying());
    let mut service = layer.layer(strict.clone());
    // On one instance, call after call, and on clones of it.
    for _ in 0..3 {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service);
        let ready = ready.await.unwrap();
        assert_eq!(ready.call(get("/")).await.unwrap().status(), 200);
        let clone = service.clone();
        assert_eq!(clone.oneshot(get("/")).await.unwrap().status(), 200);
    }
    assert_eq!(strict.calls.load(Ordering::Relaxed), 8, "two were repeated");
}

#[tokio::test]
async fn members_are_called_only_when_they_were_polled_ready() {
    let member = Strict {
        statuses: Arc::new(vec![503]),
        ..Strict::default()
    };
    let members = ["a", "b"].map(|name| (name, member.clone()));
    let balancer = Balancer::new(members).unwrap();
    let layer = BalanceLayer::new(balancer).failover(retrying());
    let mut service = layer.over_members();
    for _ in 0..3 {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service);
        let ready = ready.await.unwrap();
        assert_eq!(ready.call(get("/")).await.unwrap().status(), 200);
    }
    let counted = BalanceLayer::new(uris()).request_body(BufferUpTo(9));
    let service = counted.layer(member.clone());
    assert_eq!(service.oneshot(get("/")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_concurrency_limit_of_one_around_the_shared_client_does_not_deadlock() {
    let strict = Strict {
        statuses: Arc::new(vec![503, 503]),
        ..Strict::default()
    };
    let limited = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .service(strict);
    let service = BalanceLayer::new(uris())
        .failover(retrying())
        .layer(limited);
    let patience = Duration::from_secs(5);
    for attempts in [3, 1] {
        let served = outcome(service.clone(), get("/"));
        let served = tokio::time::timeout(patience, served).await.unwrap();
        assert!(served.ends_with(&attempts.to_string()), "{served}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_never_becomes_ready_is_given_up_for_another() {
    let cast = Cast::new([&[Unready], &[Answer(200)]]);
    let timeouts = Timeouts::new().with_ready_timeout(Duration::from_secs(2));
    let service = cast.layer().timeouts(TestTimer, timeouts);
    let start = tokio::time::Instant::now();
    // Nothing was sent: a POST moves on, too.
    let served = outcome(service.over_members(), crate::member::post("x")).await;
    assert_eq!(served, "200 b 2");
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(cast.in_error(), "a");
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test(start_paused = true)]
async fn when_no_member_becomes_ready_the_caller_is_told_in_time() {
    let cast = Cast::new([&[Unready], &[Unready]]);
    let service = cast.layer().timeouts(TestTimer, Timeouts::new());
    let start = tokio::time::Instant::now();
    let error = service.over_members().oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(start.elapsed(), Duration::from_secs(10), "five each");
}

#[tokio::test]
async fn a_member_that_fails_to_become_ready_is_given_up_for_another() {
    let cast = Cast::new([&[Broken], &[Answer(200)]]);
    let served = outcome(cast.service(), crate::member::post("x")).await;
    assert_eq!(served, "200 b 2");
    assert_eq!(cast.in_error(), "a");
    assert_eq!(cast.calls(), [0, 1]);
}

/// A client that is ready once, and then not for a long time, or broken.
#[derive(Clone, Debug)]
struct Moody {
    asked: Arc<AtomicUsize>,
    broken: bool,
}

impl<B> Service<Request<B>> for Moody {
    type Response = Response<String>;
    type Error = std::io::Error;
    type Future = Ready<Result<Response<String>, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 => Poll::Ready(Ok(())),
            _ if self.broken => Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into())),
            _ => Poll::Pending,
        }
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Err(std::io::ErrorKind::ConnectionRefused.into()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_client_that_is_not_ready_is_no_members_fault() {
    for broken in [false, true] {
        let balancer = uris();
        let layer = BalanceLayer::new(balancer.clone());
        let service = layer.timeouts(TestTimer, Timeouts::new());
        let asked = Arc::default();
        let error = service
            .layer(Moody { asked, broken })
            .oneshot(get("/"))
            .await
            .unwrap_err();
        // The caller is told of the member that refused, not of the client.
        assert_eq!(error.to_string(), "member \"a\" failed in attempt 1");
        let members = balancer.members();
        let in_error = members.iter().filter(|member| !member.status().is_usable());
        assert_eq!(in_error.count(), 1, "the one that refused, not the second");
        assert_eq!(in_flight(&balancer), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_forgotten_while_another_member_is_waited_for() {
    let uri = Uri::from_static("http://127.0.0.1:1/");
    let balancer = Balancer::builder()
        .member("a", uri.clone(), MemberSpec::new())
        .member("b", uri, MemberSpec::new().with_max_in_flight(1))
        .build()
        .unwrap();
    let tried = [balancer.member("a").unwrap().id()];
    let lease = balancer
        .pick(&PickRequest::new().with_tried(&tried))
        .unwrap();
    let timeouts = Timeouts::new().with_pick_timeout(Duration::from_secs(2));
    let layer = BalanceLayer::new(balancer).timeouts(TestTimer, timeouts);
    let asked = Arc::default();
    let broken = true;
    let service = layer.layer(Moody { asked, broken });
    let waiting = tokio::spawn(service.oneshot(get("/")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished(), "there is no room yet");
    drop(lease);
    // Now there is, but the client is broken: the member's failure is what there was.
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "member \"a\" failed in attempt 1");
}

#[tokio::test]
async fn a_shared_client_that_is_broken_says_so_when_polled() {
    let asked = Arc::new(AtomicUsize::new(1));
    let broken = Moody {
        asked,
        broken: true,
    };
    let mut service = BalanceLayer::new(uris()).layer(broken.clone());
    let error = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await;
    assert!(matches!(error, Err(BalanceError::NotReady { .. })));
    // Made infallible, it answers instead.
    let service = BalanceLayer::new(uris()).layer(broken).into_infallible();
    assert_eq!(service.oneshot(get("/")).await.unwrap().status(), 503);
}

#[tokio::test]
async fn being_ready_takes_nothing() {
    let cast = Cast::new([&[Answer(200)]]);
    let mut service = cast.service();
    for _ in 0..100 {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await;
        assert!(ready.is_ok());
    }
    assert_eq!(in_flight(&cast.balancer), 0);
    let members = cast.balancer.members();
    assert_eq!(members[0].picked(), 0);
    // Whom it elects is decided by the call, so a member that goes between the two is
    // not called (tower#856).
    cast.balancer.set_flag("a", Flag::Disabled).unwrap();
    assert!(service.call(get("/")).await.is_err());
    assert_eq!(cast.calls(), [0]);
}

#[tokio::test]
async fn an_empty_balancer_is_ready_and_fails_at_once() {
    let balancer = Balancer::<crate::member::Member>::builder()
        .build()
        .unwrap();
    let mut service = BalanceService::over(balancer);
    let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await;
    assert!(ready.is_ok());
    assert!(service.call(get("/")).await.is_err());
}

#[tokio::test]
async fn a_call_counts_before_its_future_is_polled_and_not_after_it_is_dropped() {
    let cast = Cast::new([&[Hang]]);
    let mut service = cast.service();
    let mut request = Box::pin(service.call(get("/")));
    assert_eq!(in_flight(&cast.balancer), 1);
    assert_eq!(cast.calls(), [0]);
    let mut context = Context::from_waker(Waker::noop());
    assert!(request.as_mut().poll(&mut context).is_pending());
    assert_eq!(cast.calls(), [1]);
    drop(request);
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test]
async fn many_tasks_call_clones_at_once_without_a_queue() {
    let cast = Cast::new([&[Answer(200)], &[Answer(200)]]);
    let service = cast.service();
    let tasks: Vec<_> = (0..200)
        .map(|_| tokio::spawn(outcome(service.clone(), get("/"))))
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().starts_with("200"));
    }
    assert_eq!(cast.calls(), [100, 100]);
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test]
async fn a_panic_in_a_member_gives_the_count_back_as_a_failure() {
    let panics = tower::service_fn(|_: Request<_>| async {
        let fail = AtomicBool::new(true);
        assert!(!fail.load(Ordering::Relaxed), "a bug in the member");
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let books = crate::books::Books::default();
    let balancer = Balancer::builder()
        .observer(books.clone())
        .member("a", panics, MemberSpec::new())
        .build()
        .unwrap();
    let service = BalanceService::over(balancer.clone());
    let task = tokio::spawn(async move { service.oneshot(get("/")).await.is_ok() });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(in_flight(&balancer), 0);
    assert_eq!(books.take()[0].1, equipoise::Outcome::Failure);
}

#[test]
fn services_and_their_parts_have_the_manners_that_others_ask_for() {
    fn holds<T: Clone + Debug + Send + Sync + 'static>(_: &T) {}
    fn sent<T: Send + 'static>(_: &T) {}
    fn shown<T: Debug>(_: &T) {}
    let cast = Cast::new([&[Answer(200)]]);
    holds(&cast.layer());
    holds(&cast.service());
    holds(&cast.service().into_infallible());
    let boxed = cast.service().into_infallible();
    holds(&boxed.box_response_body(|body: equipoise::service::LeasedBody<Full<Bytes>>| body));
    let calls = cast
        .balancer
        .clone()
        .into_call_service::<Request<Full<Bytes>>>();
    holds(&calls);
    // Bodies that are not `Sync`, as axum's are.
    let request = Request::new(axum::body::Body::empty());
    let future = cast.service().call(request);
    sent(&future);
    shown(&future);
    let request = Request::new(axum::body::Body::empty());
    let mut buffered = cast.layer().request_body(BufferUpTo(1)).over_members();
    sent(&buffered.call(request));
    fn both<T: Send + Sync>() {}
    both::<equipoise::service::UpgradeLease>();
    both::<equipoise::service::ServedBy>();
    both::<equipoise::service::LeasedBody<Full<Bytes>>>();
    both::<BalanceError>();
    let pinned: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(future);
    drop(pinned);
}
