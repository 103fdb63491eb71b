//! What takes time: waiting for a member, an answer that is late, a second attempt
//! beside the first. On a clock that is moved, not waited for.

use std::time::Duration;

use equipoise::clock::{Clock, Timestamp};
use equipoise::service::{Failover, RetryBudget, Timeouts};
use equipoise::{Balancer, Flag, MemberSpec, Outcome, PickRequest};
use http::StatusCode;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::books::{Books, in_flight};
use crate::member::Act::{Answer, Fail, Hang};
use crate::member::{Act, Cast, Member, get, outcome, post};
use crate::timer::TestTimer;

const SECOND: Duration = Duration::from_secs(1);

/// The clock of the paused runtime.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN + self.0.elapsed()
    }
}

/// One member of this spec, on the runtime's clock.
fn alone(spec: MemberSpec) -> Balancer<Member> {
    Balancer::builder()
        .clock(TokioClock(Instant::now()))
        .forced_recovery(false)
        .member("a", Member::new([Answer(200)]), spec)
        .build()
        .unwrap()
}

fn patient(
    balancer: &Balancer<Member>,
    timeouts: Timeouts,
) -> equipoise::service::BalanceService<Member> {
    equipoise::service::BalanceLayer::new(balancer.clone())
        .timeouts(TestTimer, timeouts)
        .over_members()
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_room_at_a_member_when_it_is_told_to() {
    let balancer = alone(MemberSpec::new().with_max_in_flight(1));
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    let service = patient(&balancer, Timeouts::new().with_pick_timeout(SECOND));
    let waiting = tokio::spawn(outcome(service, get("/")));
    tokio::time::sleep(SECOND / 2).await;
    drop(lease);
    assert_eq!(waiting.await.unwrap(), "200 a 1");
    assert_eq!(in_flight(&balancer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_ends_when_it_is_told_to() {
    let balancer = alone(MemberSpec::new().with_max_in_flight(1));
    let _lease = balancer.pick(&PickRequest::new()).unwrap();
    let service = patient(&balancer, Timeouts::new().with_pick_timeout(SECOND));
    let start = Instant::now();
    let served = outcome(service.clone(), get("/")).await;
    assert_eq!(served, "no member could be picked");
    assert_eq!(start.elapsed(), SECOND);
    // Any number waits, unlike Apache's one (ledger 9).
    let waiting: Vec<_> = (0..10)
        .map(|_| tokio::spawn(outcome(service.clone(), get("/"))))
        .collect();
    for task in waiting {
        assert_eq!(task.await.unwrap(), "no member could be picked");
    }
    assert_eq!(start.elapsed(), 2 * SECOND);
    // Without being told to, it does not wait.
    let service = patient(&balancer, Timeouts::new());
    assert_eq!(
        outcome(service, get("/")).await,
        "no member could be picked"
    );
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_wait_notices_that_a_members_error_is_over_though_nobody_else_picks() {
    let balancer = alone(MemberSpec::new().with_recovery_delay(3 * SECOND));
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    lease.put_in_error();
    drop(lease);
    let service = patient(&balancer, Timeouts::new().with_pick_timeout(10 * SECOND));
    let start = Instant::now();
    assert_eq!(outcome(service, get("/")).await, "200 a 1");
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_comes_ends_the_wait_for_one() {
    let balancer = Balancer::<Member>::builder().build().unwrap();
    let service = patient(&balancer, Timeouts::new().with_pick_timeout(10 * SECOND));
    let waiting = tokio::spawn(outcome(service, get("/")));
    tokio::time::sleep(SECOND).await;
    let member = Member::new([Answer(200)]);
    balancer.insert("new", member, MemberSpec::new()).unwrap();
    assert_eq!(waiting.await.unwrap(), "200 new 1");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_leaves_no_trace() {
    let balancer = alone(MemberSpec::new().with_max_in_flight(1));
    let lease = balancer.pick(&PickRequest::new()).unwrap();
    let service = patient(&balancer, Timeouts::new().with_pick_timeout(10 * SECOND));
    let first = tokio::spawn(outcome(service.clone(), get("/")));
    let second = tokio::spawn(outcome(service, get("/")));
    tokio::time::sleep(SECOND).await;
    first.abort();
    assert!(first.await.is_err());
    drop(lease);
    assert_eq!(
        second.await.unwrap(),
        "200 a 1",
        "the next in line is served"
    );
    assert_eq!(in_flight(&balancer), 0);
}

fn timed(cast: &Cast, timeouts: Timeouts) -> equipoise::service::BalanceService<Member> {
    let layer = cast.layer().timeouts(TestTimer, timeouts);
    layer.over_members()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_late_is_not_waited_for() {
    let late = Timeouts::new().with_per_try_timeout(2 * SECOND);
    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    assert_eq!(outcome(timed(&cast, late), get("/")).await, "200 b 2");
    assert_eq!(cast.in_error(), "", "row 8 of the table: kept");

    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    let error = timed(&cast, late).oneshot(post("x")).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(cast.calls(), [1, 0], "a POST is not sent twice");
    assert_eq!(cast.books.take()[0].1, Outcome::Failure);

    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    let service = cast
        .layer()
        .timeouts(TestTimer, late)
        .failover(Failover::new().with_error_on_timeout())
        .over_members();
    assert!(service.oneshot(post("x")).await.is_err());
    assert_eq!(cast.in_error(), "a");
}

fn hedged(cast: &Cast) -> equipoise::service::BalanceService<Member> {
    timed(cast, Timeouts::new().with_hedge_delay(SECOND))
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_raced_by_a_second_member_and_the_loser_is_cancelled() {
    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    let start = Instant::now();
    assert_eq!(outcome(hedged(&cast), get("/")).await, "200 b 2");
    assert_eq!(start.elapsed(), SECOND);
    let ends = cast.books.take();
    assert_eq!(ends[0], ("a".to_owned(), Outcome::Cancelled, 0, 0));
    assert_eq!(ends[1].1, Outcome::Success);
    assert_eq!(cast.in_error(), "");
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_not_raced() {
    let cast = Cast::new([&[Answer(200)], &[Answer(200)]]);
    assert_eq!(outcome(hedged(&cast), get("/")).await, "200 a 1");
    assert_eq!(cast.calls(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_sent_twice_is_not_raced() {
    let limit = 5 * SECOND;
    let waits = async |service: equipoise::service::BalanceService<Member>, request| {
        tokio::time::timeout(limit, service.oneshot(request))
            .await
            .is_err()
    };
    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    assert!(waits(hedged(&cast), post("x")).await);
    assert_eq!(cast.calls(), [1, 0]);
    // An idempotent request whose body only one of the two could read.
    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    let mut put = post("x");
    *put.method_mut() = http::Method::PUT;
    assert!(waits(hedged(&cast), put).await);
    assert_eq!(cast.calls(), [1, 0]);
    // Nobody else is there.
    let cast = Cast::new([&[Hang]]);
    assert!(waits(hedged(&cast), get("/")).await);
    // The budget is empty.
    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    let none = RetryBudget::new().with_percent(0).with_per_second(0);
    let service = cast
        .layer()
        .timeouts(TestTimer, Timeouts::new().with_hedge_delay(SECOND))
        .failover(Failover::new().with_budget(none.with_burst(0)))
        .over_members();
    assert!(waits(service, get("/")).await);
    assert_eq!(cast.calls(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn when_one_of_two_fails_the_other_is_waited_for() {
    let refused: &[Act] = &[Fail(std::io::ErrorKind::ConnectionRefused)];
    let cast = Cast::new([&[Hang], refused]);
    let timeouts = Timeouts::new()
        .with_hedge_delay(SECOND)
        .with_per_try_timeout(3 * SECOND);
    let start = Instant::now();
    let error = timed(&cast, timeouts).oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!(cast.in_error(), "b");
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_stays_with_its_member_however_slow_that_is() {
    let routed = |route| MemberSpec::new().with_route(route);
    let cast = Cast::with_specs([(&[Hang], routed("r1")), (&[Answer(200)], routed("r2"))]);
    let service = cast
        .layer()
        .sticky(equipoise::StickySession::new("S").unwrap())
        .timeouts(TestTimer, Timeouts::new().with_hedge_delay(SECOND))
        .over_members();
    let mut request = get("/");
    let cookie = http::HeaderValue::from_static("S=x.r1");
    request.headers_mut().insert("cookie", cookie);
    let limit = 5 * SECOND;
    let waited = tokio::time::timeout(limit, service.oneshot(request)).await;
    assert!(waited.is_err());
    assert_eq!(cast.calls(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_hedged_request_that_is_dropped_ends_both_attempts() {
    let cast = Cast::new([&[Hang], &[Hang]]);
    let request = tokio::spawn(hedged(&cast).oneshot(get("/")));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(in_flight(&cast.balancer), 2);
    request.abort();
    assert!(request.await.is_err());
    assert_eq!(in_flight(&cast.balancer), 0);
    let outcomes: Vec<Outcome> = cast.books.take().iter().map(|end| end.1).collect();
    assert_eq!(outcomes, [Outcome::Cancelled, Outcome::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_member_is_not_raced_with() {
    let cast = Cast::new([&[Hang], &[Answer(200)]]);
    cast.balancer.set_flag("b", Flag::Disabled).unwrap();
    let limit = 5 * SECOND;
    let waited = tokio::time::timeout(limit, hedged(&cast).oneshot(get("/"))).await;
    assert!(waited.is_err());
    let _: Books = cast.books.clone();
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_that_does_worse_does_not_end_the_first() {
    let late = &[Act::AnswerAfter(3 * SECOND, 200)];
    let cast = Cast::new([late, &[Answer(503)]]);
    let service = cast
        .layer()
        .timeouts(TestTimer, Timeouts::new().with_hedge_delay(SECOND))
        .failover(Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE]))
        .over_members();
    let start = Instant::now();
    assert_eq!(outcome(service, get("/")).await, "200 a 2");
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!(in_flight(&cast.balancer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_leaves_the_request_to_a_first_that_is_getting_ready() {
    let slow = &[Act::ReadyAfter(2 * SECOND), Answer(200)];
    let cast = Cast::new([slow, &[Hang]]);
    let service = cast
        .layer()
        .timeouts(TestTimer, Timeouts::new().with_hedge_delay(SECOND))
        .failover(Failover::new().with_max_attempts(2))
        .over_members();
    assert_eq!(outcome(service, get("/")).await, "200 a 2");
    let ends = cast.books.take();
    assert!(ends.iter().all(|end| end.1 != Outcome::Failure), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn getting_ready_takes_nothing_of_the_time_for_the_answer() {
    let slow: &[Act] = &[
        Act::ReadyAfter(3 * SECOND),
        Act::AnswerAfter(3 * SECOND, 200),
    ];
    let cast = Cast::new([slow]);
    let timeouts = Timeouts::new()
        .with_ready_timeout(4 * SECOND)
        .with_per_try_timeout(4 * SECOND);
    assert_eq!(outcome(timed(&cast, timeouts), get("/")).await, "200 a 1");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_by_the_timer_whatever_the_balancers_clock_says() {
    let balancer = Balancer::builder()
        .clock(equipoise::clock::ManualClock::new())
        .member(
            "a",
            Member::new([Answer(200)]),
            MemberSpec::new().with_max_in_flight(1),
        )
        .build()
        .unwrap();
    let _lease = balancer.pick(&PickRequest::new()).unwrap();
    let service = patient(&balancer, Timeouts::new().with_pick_timeout(SECOND));
    let start = Instant::now();
    let waited = tokio::time::timeout(60 * SECOND, outcome(service, get("/"))).await;
    assert_eq!(waited.unwrap(), "no member could be picked");
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_moves_on_waits_for_room_too() {
    let capped = MemberSpec::new().with_max_in_flight(1);
    let refuse: &[Act] = &[Fail(std::io::ErrorKind::ConnectionRefused)];
    let cast = Cast::with_specs([(refuse, MemberSpec::new()), (&[Answer(200)], capped)]);
    let tried = [cast.balancer.member("a").unwrap().id()];
    let lease = cast
        .balancer
        .pick(&PickRequest::new().with_tried(&tried))
        .unwrap();
    let service = timed(&cast, Timeouts::new().with_pick_timeout(SECOND));
    let waiting = tokio::spawn(outcome(service.clone(), post("x")));
    tokio::time::sleep(SECOND / 2).await;
    drop(lease);
    assert_eq!(waiting.await.unwrap(), "200 b 2");
    // In vain, it is told of the failure that there was.
    cast.balancer.clear_flag("a", Flag::InError).unwrap();
    let _lease = cast
        .balancer
        .pick(&PickRequest::new().with_tried(&tried))
        .unwrap();
    assert_eq!(
        outcome(service, post("x")).await,
        "member \"a\" failed in attempt 1"
    );
    assert_eq!(in_flight(&cast.balancer), 1, "the one that is held");
}

/// A request body that never goes on.
struct Stuck;

impl http_body::Body for Stuck {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_with_its_body_is_not_the_members_fault() {
    let cast = Cast::new([&[Answer(200)], &[Answer(200)]]);
    let service = cast
        .layer()
        .timeouts(TestTimer, Timeouts::new().with_per_try_timeout(SECOND))
        .failover(Failover::new().with_error_on_timeout())
        .over_members();
    let request = http::Request::put("/").body(Stuck).unwrap();
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(cast.in_error(), "");
    assert_eq!(cast.books.take()[0].1, Outcome::Cancelled);
    assert_eq!(cast.calls(), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_member_leaves_the_shared_client_to_others() {
    use http_body_util::Full;
    use tower::Layer;
    let spec = |route| MemberSpec::new().with_route(route).with_max_in_flight(1);
    let uri = || http::Uri::from_static("http://127.0.0.1:1");
    let balancer = Balancer::builder()
        .member("a", uri(), spec("r1"))
        .member("b", uri(), spec("r2"))
        .build()
        .unwrap();
    let fine = tower::service_fn(async |_: http::Request<_>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let session = equipoise::StickySession::new("S").unwrap();
    let service = equipoise::service::BalanceLayer::new(balancer.clone())
        .sticky(session.with_no_failover())
        .timeouts(TestTimer, Timeouts::new().with_pick_timeout(20 * SECOND))
        .layer(tower::limit::ConcurrencyLimit::new(fine, 1));
    let ask = |route: &str| {
        let request = http::Request::get("/").header("cookie", format!("S=.{route}"));
        let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
        tokio::spawn(outcome(service.clone(), request))
    };
    let held = balancer
        .pick(&PickRequest::new().with_session(Some("r1")))
        .unwrap();
    let waits = ask("r1");
    tokio::time::sleep(SECOND).await;
    let start = Instant::now();
    assert_eq!(ask("r2").await.unwrap(), "200 b 1");
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(held);
    assert_eq!(waits.await.unwrap(), "200 a 1");
}

/// A clock that moves a little whenever somebody reads it.
#[derive(Debug, Default)]
struct Stepping(std::sync::atomic::AtomicU64);

impl Clock for Stepping {
    fn now(&self) -> Timestamp {
        let step = self.0.fetch_add(100, std::sync::atomic::Ordering::SeqCst);
        Timestamp::ORIGIN + Duration::from_micros(step)
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_over_while_somebody_looks_is_noticed() {
    for delay in 0..30 {
        let spec = MemberSpec::new().with_recovery_delay(Duration::from_micros(delay * 50));
        let balancer = Balancer::builder()
            .clock(Stepping::default())
            .forced_recovery(false)
            .member("a", Member::new([Answer(200)]), spec)
            .build()
            .unwrap();
        let lease = balancer.pick(&PickRequest::new()).unwrap();
        lease.put_in_error();
        drop(lease);
        let service = patient(&balancer, Timeouts::new().with_pick_timeout(600 * SECOND));
        let start = Instant::now();
        assert_eq!(outcome(service, get("/")).await, "200 a 1");
        assert!(start.elapsed() < SECOND, "{delay}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_is_the_one_repetition() {
    let late_reset = &[Act::FailAfterTime(3 * SECOND)];
    let cast = Cast::new([late_reset, late_reset, &[Answer(200)]]);
    let service = hedged(&cast);
    assert!(
        outcome(service, get("/"))
            .await
            .contains("failed in attempt 2")
    );
    assert_eq!(cast.calls(), [1, 1, 0]);
}
