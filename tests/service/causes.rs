//! Why a request failed, as observers are told, and when the head of an answer came.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, TimedOut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use equipoise::balancer::events::{EventKind, Interest, ObserverGuard};
use equipoise::member::Cause;
use equipoise::service::{BalanceError, BalanceService, Failover, Timeouts, cause};
use equipoise::timer::TokioTimer;
use equipoise::{Balancer, Event, MemberState, Observer};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, StreamBody};
use tower::{ServiceExt, service_fn};

use crate::member::Act::{self, Answer, AnswerAfter, Fail, Hang};
use crate::member::{Cast, get, outcome};

/// Writes down what has a cause.
#[derive(Clone, Default)]
struct Causes(Arc<Mutex<Vec<String>>>);

impl Causes {
    fn of<W>(balancer: &Balancer<W>) -> (Self, ObserverGuard) {
        let causes = Self::default();
        let observing = balancer.observe(causes.clone());
        (causes, observing)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Causes {
    fn observe(&self, event: &Event<'_>) {
        let (what, cause) = match event.kind {
            EventKind::Changed { cause, .. } => ("changed", cause),
            EventKind::Ended(ended) => ("ended", ended.cause.as_ref()),
            EventKind::FailedOver { from, cause, .. } => {
                assert!(from.is_some(), "it is a member still");
                ("took over", cause)
            }
            _ => return,
        };
        let name = event.member.map_or("", MemberState::name);
        let cause = cause.map_or("no cause".to_owned(), Cause::to_string);
        self.0
            .lock()
            .unwrap()
            .push(format!("{name} {what}: {cause}"));
    }

    fn interest(&self) -> Interest {
        Interest::CHANGED | Interest::ENDED | Interest::FAILED_OVER
    }
}

const FINE: &[Act] = &[Answer(200)];

#[tokio::test]
async fn a_refused_connection_is_the_cause_of_the_error_the_end_and_the_failover() {
    let cast = Cast::new([&[Fail(ConnectionRefused)], FINE]);
    let (causes, _observing) = Causes::of(&cast.balancer);
    assert_eq!(outcome(cast.service(), get("/")).await, "200 b 2");
    let told = [
        "a changed: connection refused",
        "a ended: connection refused",
        "b took over: connection refused",
        "b ended: no cause",
    ];
    assert_eq!(causes.take(), told);
}

#[tokio::test]
async fn an_error_of_the_service_says_why_the_last_member_failed() {
    for (kind, expected) in [
        (ConnectionRefused, Cause::Refused),
        (ConnectionReset, Cause::Broken),
        (TimedOut, Cause::TimedOut),
    ] {
        let cast = Cast::new([&[Fail(kind)]]);
        let error = cast.service().oneshot(get("/")).await.unwrap_err();
        assert_eq!(error.cause(), Some(&expected), "{kind:?}");
    }
    let empty = Cast::new([]);
    let error = empty.service().oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.cause(), None, "no member has failed");
}

#[tokio::test]
async fn a_cause_goes_up_through_two_balancers() {
    let inner = Cast::new([&[Fail(ConnectionRefused)]]);
    let outer = Balancer::new([("region", inner.service())]).unwrap();
    let (causes, _observing) = Causes::of(&outer);
    let error = BalanceService::over(outer).oneshot(get("/")).await;
    assert_eq!(error.unwrap_err().cause(), Some(&Cause::Refused));
    assert!(
        causes
            .take()
            .contains(&"region ended: connection refused".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_that_passed_is_the_cause() {
    let cast = Cast::new([&[Hang]]);
    let (causes, _observing) = Causes::of(&cast.balancer);
    let limit = Timeouts::new().with_per_try_timeout(Duration::from_secs(3));
    let layer = cast.layer().timeouts(TokioTimer::new(), limit);
    let layer = layer.failover(Failover::new().with_error_on_timeout());
    let error = layer.over_members().oneshot(get("/")).await.unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::TimedOut));
    assert_eq!(
        causes.take(),
        ["a changed: timed out", "a ended: timed out"]
    );
}

#[tokio::test]
async fn a_status_is_the_cause_of_an_answer_that_is_a_failure() {
    let cast = Cast::new([&[Answer(503)], FINE]);
    let (causes, _observing) = Causes::of(&cast.balancer);
    let unavailable = [StatusCode::SERVICE_UNAVAILABLE];
    let failover = Failover::new().with_fail_on_status(unavailable);
    let service = cast.layer().failover(failover).over_members();
    assert_eq!(outcome(service, get("/")).await, "503 a 1");
    let status = "responded with status 503";
    let told = ["changed", "ended"].map(|what| format!("a {what}: {status}"));
    assert_eq!(causes.take(), told);

    let cast = Cast::new([&[Answer(503)], FINE]);
    let (causes, _observing) = Causes::of(&cast.balancer);
    let failover = Failover::new().with_retry_on_status(unavailable);
    let service = cast.layer().failover(failover).over_members();
    assert_eq!(outcome(service, get("/")).await, "200 b 2");
    let told = ["b took over", "a ended"].map(|what| format!("{what}: {status}"));
    assert_eq!(causes.take()[..2], told);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_cause() {
    let member = service_fn(async |_: Request<_>| {
        let frames = [
            Ok(http_body::Frame::data(Bytes::from("half"))),
            Err(std::io::Error::from(ConnectionReset)),
        ];
        Ok::<_, std::io::Error>(Response::new(StreamBody::new(futures_util::stream::iter(
            frames,
        ))))
    });
    let balancer = Balancer::new([("a", member)]).unwrap();
    let (causes, _observing) = Causes::of(&balancer);
    let service = BalanceService::over(balancer);
    let answer = service
        .oneshot(Request::new(Empty::<Bytes>::new()))
        .await
        .unwrap();
    assert!(answer.into_body().collect().await.is_err());
    assert_eq!(causes.take(), ["a ended: response ended early"]);
}

#[derive(Debug, thiserror::Error)]
#[error("the licence has expired")]
struct Expired;

#[tokio::test]
async fn a_cause_can_be_given_in_words_of_the_callers_own() {
    let member = service_fn(async |_: Request<_>| {
        Err::<Response<Empty<Bytes>>, _>(std::io::Error::other(Expired))
    });
    let balancer = Balancer::new([("a", member)]).unwrap();
    let (causes, _observing) = Causes::of(&balancer);
    let layer = equipoise::BalanceLayer::new(balancer);
    let service = layer
        .cause_by(|error: &Expired| Some(Cause::from(error.to_string())))
        .over_members();
    let error = service.oneshot(Request::new(Empty::<Bytes>::new())).await;
    let error: BalanceError = error.map(drop).unwrap_err();
    assert!(cause::<Expired>(&error).is_some());
    assert_eq!(
        error.cause().unwrap().to_string(),
        "the licence has expired"
    );
    assert_eq!(causes.take(), ["a ended: the licence has expired"]);
}

#[tokio::test(start_paused = true)]
async fn the_head_of_an_answer_is_told_with_its_status_and_time() {
    let cast = Cast::new([&[AnswerAfter(Duration::from_secs(2), 404)]]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let book = told.clone();
    let observing = cast
        .balancer
        .observe(move |event: &Event<'_>| match event.kind {
            EventKind::Responded {
                time_to_head,
                status,
            } => book.lock().unwrap().push((time_to_head.is_some(), status)),
            EventKind::Ended(ended) => {
                let measured = ended.time_to_head.is_some() && ended.time_to_head <= ended.elapsed;
                book.lock().unwrap().push((measured, None));
            }
            _ => {}
        });
    assert_eq!(outcome(cast.service(), get("/")).await, "404 a 1");
    assert_eq!(*told.lock().unwrap(), [(true, Some(404)), (true, None)]);
    drop(observing);
}
