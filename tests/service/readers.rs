//! Those who read a request's body, by hand: who is woken when, who gets what, and whose
//! fault it is when the client breaks off.

use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use equipoise::service::{BalanceLayer, BufferUpTo, KeptBody, RequestBody};
use equipoise::{Balancer, Lease, MemberSpec, Outcome, PickRequest};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt};

use crate::backend::{Backend, Http, any, client};
use crate::books::Books;
use crate::member::Act::{Answer, Fail};
use crate::member::{Cast, outcome, post};

/// A body that gives what is put in, and pends otherwise.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Flow>>);

#[derive(Default)]
struct Flow {
    /// The first to come is the last.
    data: Vec<Bytes>,
    breaks: bool,
    reader: Option<Waker>,
}

impl Pipe {
    fn put(&self, data: &'static str) {
        let mut pipe = self.0.lock().unwrap();
        pipe.data.insert(0, Bytes::from(data));
        if let Some(waker) = pipe.reader.take() {
            waker.wake();
        }
    }
}

impl Body for Pipe {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let mut pipe = self.0.lock().unwrap();
        if let Some(data) = pipe.data.pop() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if pipe.breaks {
            return Poll::Ready(Some(Err(ConnectionRefused.into())));
        }
        pipe.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn lease() -> Lease<()> {
    let balancer = Balancer::new([("a", ())]).unwrap();
    balancer.pick(&PickRequest::new()).unwrap()
}

type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

fn poll<B: Body + Unpin>(body: &mut B, alarm: &Arc<Alarm>) -> Polled<B> {
    alarm.0.store(false, Ordering::SeqCst);
    let waker = Waker::from(alarm.clone());
    Pin::new(body).poll_frame(&mut Context::from_waker(&waker))
}

#[test]
fn a_reader_that_waits_is_woken_when_it_is_superseded() {
    let pipe = Pipe::default();
    let mut kept = BufferUpTo(100).keep(pipe.clone(), true);
    let alarms = [Arc::new(Alarm::default()), Arc::new(Alarm::default())];
    let mut lease = lease();
    pipe.put("one ");
    let mut first = kept.next(|| lease.sent_meter()).unwrap();
    assert!(matches!(
        poll(&mut first, &alarms[0]),
        Poll::Ready(Some(Ok(_)))
    ));
    assert!(poll(&mut first, &alarms[0]).is_pending());
    let mut second = kept.next(|| lease.sent_meter()).unwrap();
    assert!(alarms[0].0.load(Ordering::SeqCst), "it is woken");
    assert!(matches!(
        poll(&mut first, &alarms[0]),
        Poll::Ready(Some(Err(_)))
    ));
    assert!(matches!(poll(&mut first, &alarms[0]), Poll::Ready(None)));
    // The second replays what there is, and is told of what comes.
    assert!(matches!(
        poll(&mut second, &alarms[1]),
        Poll::Ready(Some(Ok(_)))
    ));
    assert!(poll(&mut second, &alarms[1]).is_pending());
    pipe.put("two");
    assert!(alarms[1].0.load(Ordering::SeqCst));
    let Poll::Ready(Some(Ok(frame))) = poll(&mut second, &alarms[1]) else {
        panic!("something came");
    };
    assert_eq!(frame.into_data().unwrap(), "two");
}

#[test]
fn a_superseded_reader_that_nobody_woke_leaves_the_next_its_turn() {
    let pipe = Pipe::default();
    let mut kept = BufferUpTo(100).keep(pipe.clone(), true);
    let alarms = [Arc::new(Alarm::default()), Arc::new(Alarm::default())];
    let mut lease = lease();
    let mut first = kept.next(|| lease.sent_meter()).unwrap();
    let mut second = kept.next(|| lease.sent_meter()).unwrap();
    assert!(poll(&mut second, &alarms[1]).is_pending());
    assert!(matches!(
        poll(&mut first, &alarms[0]),
        Poll::Ready(Some(Err(_)))
    ));
    pipe.put("data");
    assert!(alarms[1].0.load(Ordering::SeqCst));
    assert!(matches!(
        poll(&mut second, &alarms[1]),
        Poll::Ready(Some(Ok(_)))
    ));
}

#[test]
fn frames_without_data_take_no_room() {
    struct Nothing(usize);
    impl Body for Nothing {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            self.0 -= 1;
            Poll::Ready((self.0 > 0).then(|| Ok(Frame::data(Bytes::new()))))
        }
    }
    let mut kept = BufferUpTo(0).keep(Nothing(100_000), true);
    let mut lease = lease();
    let alarm = Arc::new(Alarm::default());
    let mut reader = kept.next(|| lease.sent_meter()).unwrap();
    let counted =
        allocation_counter::measure(
            || {
                while let Poll::Ready(Some(_)) = poll(&mut reader, &alarm) {}
            },
        );
    assert!(counted.bytes_max < 4_096, "{counted:?}");
    assert!(kept.is_available(), "nothing of it is lost");
}

#[tokio::test]
async fn what_a_member_did_not_process_goes_on_by_any_method() {
    // The first member has had it, and says that it did nothing about it.
    let layer = || {
        let cast = Cast::new([&[Fail(ConnectionReset)], &[Answer(200)]]);
        cast.layer().request_body(BufferUpTo(1 << 20))
    };
    let unprocessed = |error: &std::io::Error| error.kind() == ConnectionReset;
    let sure = layer().nothing_sent_if(unprocessed);
    assert_eq!(outcome(sure.over_members(), post("x")).await, "200 b 2");
    let unsure = outcome(layer().over_members(), post("x")).await;
    assert_eq!(unsure, "member \"a\" failed in attempt 1");

    // So it is kept, whatever its method.
    let mut kept = BufferUpTo(1 << 20).keep(Full::<Bytes>::from("0123456789"), false);
    let mut lease = lease();
    let mut reader = kept.next(|| lease.sent_meter()).unwrap();
    let alarm = Arc::new(Alarm::default());
    assert!(matches!(
        poll(&mut reader, &alarm),
        Poll::Ready(Some(Ok(_)))
    ));
    assert!(kept.is_available());
}

/// A client that sends some of its body and then breaks off, or hangs.
fn upload(pipe: &Pipe, method: Method, breaks: bool) -> Request<Pipe> {
    pipe.put("some");
    pipe.0.lock().unwrap().breaks = breaks;
    let request = Request::builder().method(method).uri("/");
    request.body(pipe.clone()).unwrap()
}

#[tokio::test]
async fn a_client_that_breaks_off_its_upload_is_nobodys_failure() {
    let books = Books::default();
    let backend = Backend::start(|request| async move {
        request.into_body().collect().await?;
        Ok(Response::new(any(Empty::new())))
    })
    .await;
    let balancer = Balancer::builder()
        .observer(books.clone())
        .member("a", backend.uri(), MemberSpec::new())
        .member("b", backend.uri(), MemberSpec::new())
        .build()
        .unwrap();
    let service = BalanceLayer::new(balancer.clone()).layer(client(Http::One));
    for method in [Method::POST, Method::PUT] {
        // The client's own error says "refused": that is no member that refuses.
        let request = upload(&Pipe::default(), method, true);
        let error = service.clone().oneshot(request).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        let ends = books.take();
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert_eq!(ends[0].1, Outcome::Cancelled);
    }
    assert!(balancer.members().iter().all(|it| it.status().is_usable()));
    let buffered = BalanceLayer::new(balancer.clone()).request_body(BufferUpTo(9));
    let buffered = buffered.layer(
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build_http(),
    );
    let request = upload(&Pipe::default(), Method::PUT, true);
    let error = buffered.oneshot(request).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
}

/// Panics when it is read for the second time.
struct Trap(bool);

impl Body for Trap {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        assert!(!self.0, "a bug in the body");
        self.0 = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from("some")))))
    }
}

#[test]
fn a_body_that_panics_leaves_nobody_waiting() {
    let mut kept = BufferUpTo(100).keep(Trap(false), true);
    let mut lease = lease();
    let alarm = Arc::new(Alarm::default());
    let mut first = kept.next(|| lease.sent_meter()).unwrap();
    assert!(matches!(poll(&mut first, &alarm), Poll::Ready(Some(Ok(_)))));
    let mut second = kept.next(|| lease.sent_meter()).unwrap();
    assert!(matches!(
        poll(&mut second, &alarm),
        Poll::Ready(Some(Ok(_)))
    ));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = poll(&mut second, &alarm);
    }));
    assert!(panicked.is_err());
    assert!(!kept.is_available());
    assert!(matches!(
        poll(&mut second, &alarm),
        Poll::Ready(Some(Err(_)))
    ));
}

#[tokio::test]
async fn a_client_that_breaks_off_after_the_head_is_nobodys_failure_either() {
    let echo =
        Backend::start(|request| async move { Ok(Response::new(any(request.into_body()))) }).await;
    let books = Books::default();
    let balancer = Balancer::builder()
        .observer(books.clone())
        .member("a", echo.uri(), MemberSpec::new())
        .build()
        .unwrap();
    for version in [Http::One, Http::Two] {
        let pipe = Pipe::default();
        let request = upload(&pipe, Method::POST, false);
        let service = BalanceLayer::new(balancer.clone()).layer(client(version));
        let response = service.oneshot(request).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "some"
        );
        {
            let mut flow = pipe.0.lock().unwrap();
            flow.breaks = true;
            if let Some(reader) = flow.reader.take() {
                reader.wake();
            }
        }
        assert!(body.frame().await.unwrap().is_err());
        assert_eq!(books.take()[0].1, Outcome::Cancelled, "{version:?}");
    }
}
