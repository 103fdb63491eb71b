//! What an independent reader found, each held by a test.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use equipoise::service::{
    BalanceError, BalanceLayer, BalanceService, Counted, Failover, RetryBudget,
};
use equipoise::{Balancer, ByBusyness, Flag, MemberSpec, Outcome};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt};

use crate::backend::{Backend, Http, client};
use crate::books::{Books, eventually, in_flight};
use crate::member::Act::{Answer, Fail};
use crate::member::{Act, Cast, Member, get, outcome, post};

const REFUSE: &[Act] = &[Fail(ConnectionRefused)];
const RESET: &[Act] = &[Fail(ConnectionReset)];
const FINE: &[Act] = &[Answer(200)];

#[tokio::test]
async fn a_url_that_grows_too_long_gets_414_and_reaches_nobody() {
    let backend = Backend::named("a").await;
    let member: Uri = format!("http://{}/app", backend.address).parse().unwrap();
    let balancer = Balancer::new([("a", member)]).unwrap();
    let service = BalanceLayer::new(balancer.clone()).layer(client(Http::One));
    let request = Request::get(format!("/admin?{}", "x".repeat(65_525)));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let error = service.clone().oneshot(request.clone()).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::URI_TOO_LONG);
    let answer = service.into_infallible().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::URI_TOO_LONG);
    let line = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        line,
        "URI Too Long: the server accepts no URI of this length.\n"
    );
    let member = balancer.member("a").unwrap();
    assert!(member.status().is_usable());
    assert_eq!(in_flight(&balancer), 0);
}

/// Members of which many stand in for a few, on two threads at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_in_reserve_are_compared_while_their_loads_change() {
    let mut members = Vec::new();
    for at in 0..300 {
        let (acts, spec) = match at {
            0..3 => (RESET, MemberSpec::new()),
            _ => (FINE, MemberSpec::new().with_tier(1)),
        };
        members.push((format!("m{at}"), Member::new(acts.to_vec()), spec));
    }
    let balancer = Balancer::builder()
        .scheduler(ByBusyness::new())
        .members(members)
        .build()
        .unwrap();
    // Idempotent requests that fail at one of the three; the two others are tried
    // already by being listed in error.
    balancer.set_flag("m1", Flag::Disabled).unwrap();
    balancer.set_flag("m2", Flag::Disabled).unwrap();
    let budget = RetryBudget::new().with_percent(100).with_burst(100_000);
    let service = BalanceLayer::new(balancer.clone())
        .failover(Failover::new().with_budget(budget))
        .over_members();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move {
                for _ in 0..1_000 {
                    let served = outcome(service.clone(), get("/")).await;
                    assert!(served.starts_with("200"), "{served}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(in_flight(&balancer), 0);
}

#[tokio::test]
async fn budgets_of_balancers_of_different_age_are_one() {
    let clock = equipoise::clock::ManualClock::new();
    let budget = RetryBudget::new()
        .with_percent(0)
        .with_per_second(1)
        .with_burst(1)
        .with_clock(clock.clone());
    let attempts = async |cast: &Cast| {
        let failover = Failover::new().with_budget(budget.clone());
        let service = cast.layer().failover(failover).over_members();
        let _ = outcome(service, get("/")).await;
        cast.calls().iter().sum::<usize>()
    };
    let (old, young) = (Cast::new([RESET, RESET]), Cast::new([RESET, RESET]));
    assert_eq!(attempts(&old).await, 2);
    assert_eq!(attempts(&young).await, 1, "it is used up");
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(attempts(&young).await, 3);
}

#[tokio::test]
async fn requests_that_could_be_repeated_fill_the_budget() {
    let cast = Cast::new([&[Answer(200), Answer(200), Fail(ConnectionReset)], FINE]);
    let budget = RetryBudget::new().with_percent(50).with_per_second(0);
    let budget = budget.with_burst(1);
    let failover = Failover::new().with_budget(budget.clone());
    let service = cast.layer().failover(failover).over_members();
    // Take what was saved.
    let taker = Cast::new([RESET, FINE]);
    let failover = Failover::new().with_budget(budget);
    let taking = taker.layer().failover(failover).over_members();
    assert_eq!(outcome(taking, get("/")).await, "200 b 2");
    let mut last = String::new();
    for _ in 0..5 {
        last = outcome(service.clone(), get("/")).await;
    }
    assert_eq!(last, "200 b 2", "two requests at 50 % pay for one");
}

#[tokio::test]
async fn the_limit_of_attempts_holds_for_repetitions() {
    let cast = Cast::new([RESET, FINE]);
    let once = Failover::new().with_max_attempts(1);
    let service = cast.layer().failover(once).over_members();
    assert_eq!(
        outcome(service, get("/")).await,
        "member \"a\" failed in attempt 1"
    );
    let busy: &[Act] = &[Answer(503)];
    let cast = Cast::new([busy, busy, FINE]);
    let twice = Failover::new()
        .with_max_attempts(2)
        .with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]);
    let service = cast.layer().failover(twice).over_members();
    assert_eq!(outcome(service, get("/")).await, "503 b 2");
}

#[tokio::test]
async fn a_balancer_behind_another_says_for_itself_whether_anything_was_sent() {
    let inner = |acts: &[&[Act]]| {
        let members = acts.iter().enumerate();
        let members = members.map(|(at, acts)| (format!("{at}"), Member::new(acts.to_vec())));
        BalanceService::over(Balancer::new(members).unwrap())
    };
    let through = async |first: BalanceService<Member>| {
        let groups = Balancer::new([("first", first), ("second", inner(&[FINE]))]).unwrap();
        let layer = BalanceLayer::new(groups.clone());
        let layer = layer.request_body(equipoise::service::PassThrough::default());
        let served = outcome(layer.over_members(), post("")).await;
        let first = groups.member("first").unwrap();
        (served, first.status().is_usable())
    };
    let ok = "200 second 2".to_owned();
    assert_eq!(through(inner(&[])).await, (ok.clone(), true), "nobody");
    assert_eq!(through(inner(&[REFUSE])).await, (ok, false), "refused");
    // The first of them may have got it, though the last refused.
    let (served, usable) = through(inner(&[RESET])).await;
    assert_eq!(served, "member \"first\" failed in attempt 1");
    assert!(usable);
    let mixed = inner(&[RESET, REFUSE]);
    let mut request = get("/");
    request
        .extensions_mut()
        .insert(equipoise::service::Idempotent::new());
    let error = mixed.oneshot(request).await.unwrap_err();
    let BalanceError::Member {
        nothing_sent,
        attempts,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((nothing_sent, attempts), (false, 2));
}

#[tokio::test]
async fn what_says_that_nothing_was_sent_keeps_the_time_limit() {
    let cast = Cast::new([&[Fail(std::io::ErrorKind::TimedOut)]]);
    let service = cast
        .layer()
        .nothing_sent_if(|_: &std::io::Error| true)
        .over_members();
    let error = service.oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(cast.in_error(), "a");
}

#[tokio::test]
async fn a_panic_that_is_caught_elsewhere_is_a_failure_too() {
    let panics = tower::service_fn(
        async |_: Request<_>| -> Result<Response<String>, BalanceError> {
            panic!("a bug in the member")
        },
    );
    let books = Books::default();
    let balancer = Balancer::builder()
        .observer(books.clone())
        .member("a", panics, MemberSpec::new())
        .build()
        .unwrap();
    let mut future = Box::pin(BalanceService::over(balancer.clone()).oneshot(get("/")));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut context = Context::from_waker(Waker::noop());
        future.as_mut().poll(&mut context).is_pending()
    }));
    assert!(caught.is_err());
    drop(future);
    assert_eq!(books.take()[0].1, Outcome::Failure);
    assert_eq!(in_flight(&balancer), 0);
}

/// Notes what is in flight when it is dropped.
struct Watch(Balancer<Watching>, Arc<Mutex<Vec<u32>>>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(in_flight(&self.0));
    }
}

#[derive(Clone)]
struct Watching(Arc<Mutex<Option<Balancer<Self>>>>, Arc<Mutex<Vec<u32>>>);

impl<B> Service<Request<B>> for Watching {
    type Response = Response<String>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let balancer = self.0.lock().unwrap().clone().unwrap();
        let watch = Watch(balancer, self.1.clone());
        Box::pin(async move {
            let _watch = watch;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn a_cancelled_attempt_is_in_flight_until_its_future_is_gone() {
    let (handle, seen) = (Arc::new(Mutex::new(None)), Arc::default());
    let member = Watching(handle.clone(), Arc::clone(&seen));
    let balancer = Balancer::new([("a", member)]).unwrap();
    *handle.lock().unwrap() = Some(balancer.clone());
    let mut future = Box::pin(BalanceService::over(balancer.clone()).oneshot(get("/")));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(future);
    assert_eq!(*seen.lock().unwrap(), [1]);
    assert_eq!(in_flight(&balancer), 0);
    *handle.lock().unwrap() = None;
}

#[tokio::test]
async fn an_answer_that_has_no_body_ends_whatever_its_body_says() {
    let books = Books::default();
    let member = tower::service_fn(async |request: Request<_>| {
        let status = match request.uri().path() {
            "/204" => 204,
            "/304" => 304,
            _ => 200,
        };
        let mut response = Response::new(Full::<Bytes>::from("not to be sent"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok::<_, std::convert::Infallible>(response)
    });
    let balancer = Balancer::builder()
        .observer(books.clone())
        .member("a", member, MemberSpec::new())
        .build()
        .unwrap();
    for (method, path) in [
        (Method::HEAD, "/"),
        (Method::GET, "/204"),
        (Method::GET, "/304"),
    ] {
        let mut request = get(path);
        *request.method_mut() = method;
        let response = BalanceService::over(balancer.clone())
            .oneshot(request)
            .await;
        assert_eq!(in_flight(&balancer), 0);
        drop(response);
        assert_eq!(books.take()[0].1, Outcome::Success);
    }
}

#[tokio::test]
async fn a_connect_that_succeeds_is_a_tunnel() {
    let cast = Cast::new([FINE]);
    let mut request = get("http://a:443/");
    *request.method_mut() = Method::CONNECT;
    let response = cast.service().oneshot(request).await.unwrap();
    let lease = response
        .extensions()
        .get::<equipoise::service::UpgradeLease>();
    let guard = lease.unwrap().take().unwrap();
    drop(response);
    assert_eq!(in_flight(&cast.balancer), 1);
    drop(guard);
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test]
async fn a_body_that_failed_is_not_asked_again() {
    struct Once(bool);
    impl Body for Once {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            assert!(!self.0, "it was asked after its end");
            self.0 = true;
            Poll::Ready(Some(Err(ConnectionReset.into())))
        }
    }
    let member = tower::service_fn(async |_: Request<_>| {
        Ok::<_, std::convert::Infallible>(Response::new(Once(false)))
    });
    let service = BalanceService::over(Balancer::new([("a", member)]).unwrap());
    let mut body = service.oneshot(get("/")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn a_session_that_leaves_a_member_without_an_error_keeps_its_cookie() {
    // Deviation 49, also for a member that ignores errors.
    let ignores = MemberSpec::new()
        .with_flag(Flag::IgnoreErrors)
        .with_route("r1");
    let other = MemberSpec::new().with_route("r2");
    let cast = Cast::with_specs([(REFUSE, ignores), (FINE, other)]);
    let cookie = equipoise::service::RouteCookie::new();
    let layer = cast
        .layer()
        .sticky_with_cookie(equipoise::StickySession::new("S").unwrap(), cookie);
    let mut request = get("/");
    let value = http::HeaderValue::from_static("S=.r1");
    request.headers_mut().insert("cookie", value);
    let response = layer.over_members().oneshot(request).await.unwrap();
    assert!(!response.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn a_connection_that_was_idle_and_closed_is_no_reason_to_fail() {
    // Rows 10 and 11 of the table: the member closes after each answer, without saying
    // so; the client's pool finds out.
    let backend =
        crate::backend::RawBackend::start(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let balancer = Balancer::new([("a", backend.uri())]).unwrap();
    let service = BalanceLayer::new(balancer.clone())
        .request_body(Counted::default())
        .layer(client::<Full<Bytes>>(Http::One));
    for _ in 0..20 {
        let request = Request::get("/").body(Full::default()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "hi"
        );
        tokio::task::yield_now().await;
    }
    eventually(|| backend.requests() >= 20).await;
    assert_eq!(in_flight(&balancer), 0);
}

#[tokio::test]
async fn what_members_say_of_the_request_is_passed_on_and_not_tried_elsewhere() {
    use equipoise::service::WithTarget;
    let backend = Backend::named("a").await;
    let member = || {
        let uri: Uri = format!("http://{}/app", backend.address).parse().unwrap();
        WithTarget::new(uri, client::<Empty<Bytes>>(Http::One))
    };
    let books = Books::default();
    let balancer = Balancer::builder()
        .observer(books.clone())
        .member("a", member(), MemberSpec::new())
        .member("b", member(), MemberSpec::new())
        .build()
        .unwrap();
    let request = Request::get(format!("/admin?{}", "x".repeat(65_525)));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let error = BalanceService::over(balancer.clone())
        .oneshot(request)
        .await
        .unwrap_err();
    assert_eq!(error.status(), StatusCode::URI_TOO_LONG);
    let ends = books.take();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0].1, Outcome::Cancelled);
}
