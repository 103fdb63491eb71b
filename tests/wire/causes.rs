//! Why requests failed, as observers are told it of real sockets.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use equipoise::balancer::events::{EventKind, Interest};
use equipoise::member::Cause;
use equipoise::proxy::{Endpoint, ReverseProxy};
use equipoise::{Balancer, Event, Observer, Outcome};
use http_body_util::{BodyExt, Empty};
use tower::ServiceExt;

use super::front::SHORT;
use super::member::Member;
use super::unreached::builder;

/// How a request ended, why, and whether there was a head.
type End = (Outcome, Option<Cause>, bool);

/// How requests ended.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<End>>>);

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        let mut told = self.0.lock().unwrap();
        match event.kind {
            EventKind::Ended(ended) => {
                let measured = ended.time_to_head.is_some();
                told.push((ended.outcome, ended.cause.clone(), measured));
            }
            EventKind::Responded { time_to_head, .. } => assert!(time_to_head.is_some()),
            _ => {}
        }
    }

    fn interest(&self) -> Interest {
        Interest::ELAPSED | Interest::TIME_TO_HEAD
    }
}

/// How a request to this one member ends.
async fn end(member: Endpoint) -> End {
    let told = Told::default();
    let balancer = Balancer::new([("a", member)]).unwrap();
    balancer.observe(told.clone()).detach();
    let request = http::Request::post("/").header("host", "a");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let Ok(answer) = ReverseProxy::new(balancer).oneshot(request).await;
    let _ = answer.into_body().collect().await;
    let mut told = told.0.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn endpoint(member: &Member) -> Endpoint {
    let builder = builder(&format!("http://{}", member.address));
    builder
        .head_timeout(SHORT)
        .frame_timeout(SHORT)
        .build()
        .unwrap()
}

#[tokio::test]
async fn each_failure_has_its_cause() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let rows = [
        ("", Cause::Broken, false),
        ("what is this?\r\n\r\n", Cause::Broken, false),
        (half, Cause::BrokenBody, true),
        (
            "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n",
            Cause::Status(503),
            true,
        ),
    ];
    for (answer, cause, head) in rows {
        let member = Member::ending(answer).await;
        let told = end(endpoint(&member)).await;
        assert_eq!(told, (Outcome::Failure, Some(cause), head), "{answer:?}");
    }
    let silent = Member::scripted(|mut talk| async move {
        talk.request().await;
        talk.until_gone().await;
    })
    .await;
    let told = end(endpoint(&silent)).await;
    assert_eq!(told, (Outcome::Failure, Some(Cause::TimedOut), false));
    let stuck = Member::scripted(move |mut talk| async move {
        talk.request().await;
        talk.say(half).await;
        talk.until_gone().await;
    })
    .await;
    let told = end(endpoint(&stuck)).await;
    assert_eq!(told, (Outcome::Failure, Some(Cause::BrokenBody), true));
    let fine = Member::answering(super::member::OK).await;
    assert_eq!(end(endpoint(&fine)).await, (Outcome::Success, None, true));
}
