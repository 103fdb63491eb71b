//! In flight means in flight: through real hyper, whatever becomes of the answer, the
//! count ends at zero, with the right outcome and the right bytes.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use equipoise::service::{BalanceLayer, BalanceService, CountedBody, Rewrite, UpgradeLease};
use equipoise::{Balancer, MemberSpec, Outcome};
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{Layer, Service, ServiceExt};

use crate::backend::{AnyBody, Backend, Http, any, client, serve};
use crate::books::{Books, End, eventually, in_flight};
use crate::member::frames;

/// Frames, and then an error, or nothing for ever.
struct Broken {
    frames: usize,
    then_hang: bool,
    /// Before the error, so that the frames get out.
    pause: Pin<Box<tokio::time::Sleep>>,
}

impl Broken {
    fn after_two_frames(then_hang: bool) -> AnyBody {
        any(Self {
            frames: 2,
            then_hang,
            pause: Box::pin(tokio::time::sleep(Duration::from_millis(20))),
        })
    }
}

impl Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.frames > 0 {
            self.frames -= 1;
            let data = Bytes::from_static(&[b'x'; 100]);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.then_hang || self.pause.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::BrokenPipe.into())))
    }
}

/// Answers as the path says.
async fn answer(
    request: Request<Incoming>,
) -> Result<Response<AnyBody>, equipoise::service::BoxError> {
    let path = request.uri().path().to_owned();
    if request.method() == Method::HEAD {
        // Over HTTP/2, hyper would send whatever body there is.
        let response = Response::builder().header(header::CONTENT_LENGTH, 1_000);
        return Ok(response.body(any(Empty::new()))?);
    }
    let hundred = "x".repeat(100).leak() as &str;
    let body = match path.as_str() {
        "/exact" => any(Full::from(Bytes::from(vec![b'x'; 1_000]))),
        "/chunked" => any(frames(&[hundred, hundred, hundred], false)),
        "/trailers" => any(frames(&[hundred, hundred, hundred], true)),
        "/broken" => Broken::after_two_frames(false),
        "/endless" => Broken::after_two_frames(true),
        "/silent" => std::future::pending().await,
        "/panic" => panic!("a bug in the handler"),
        "/upload" => {
            let collected = request.into_body().collect().await?;
            any(Full::from(collected.to_bytes().len().to_string()))
        }
        "/upgrade" => {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(request).await.unwrap();
                let mut upgraded = TokioIo::new(upgraded);
                let mut five = [0; 5];
                upgraded.read_exact(&mut five).await.unwrap();
                upgraded.write_all(&five).await.unwrap();
            });
            let response = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(header::CONNECTION, "upgrade")
                .header(header::UPGRADE, "echo");
            return Ok(response.body(any(Empty::new()))?);
        }
        _ => any(Empty::new()),
    };
    let mut response = Response::new(body);
    if path == "/trailers" {
        let announced = header::HeaderValue::from_static("checksum");
        response.headers_mut().insert(header::TRAILER, announced);
    }
    if path == "/204" {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    if path == "/500" {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}

type Proxy<B> = BalanceService<Uri, Rewrite<Client<HttpConnector, CountedBody<B>>>>;

/// A backend, a balancer before it, and a client that speaks one version.
struct Stage {
    balancer: Balancer<Uri>,
    books: Books,
    version: Http,
    _backend: Backend,
}

impl Stage {
    async fn new(version: Http) -> Self {
        let backend = Backend::start(answer).await;
        let books = Books::default();
        let builder = Balancer::builder().observer(books.clone());
        let member = builder.member("a", backend.uri(), MemberSpec::new());
        Self {
            balancer: member.build().unwrap(),
            books,
            version,
            _backend: backend,
        }
    }

    fn proxy<B>(&self) -> Proxy<B>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<equipoise::service::BoxError>,
    {
        BalanceLayer::new(self.balancer.clone()).layer(client(self.version))
    }

    fn request(&self, method: Method, path: &str) -> Request<Full<Bytes>> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::TE, "trailers");
        request.body(Full::default()).unwrap()
    }

    fn get(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        let request = self.request(Method::GET, path);
        let answer = self.proxy().oneshot(request);
        async move { answer.await.map(|response| response.map(any)) }
    }

    /// The one end that there is, once nothing is in flight.
    async fn end(&self) -> (Outcome, u64, u64) {
        eventually(|| in_flight(&self.balancer) == 0).await;
        let mut ends: Vec<End> = self.books.wait().await;
        assert_eq!(ends.len(), 1, "{ends:?}");
        let (_, outcome, sent, received) = ends.remove(0);
        (outcome, sent, received)
    }
}

type Answer = Result<Response<AnyBody>, equipoise::service::BalanceError>;

const BOTH: [Http; 2] = [Http::One, Http::Two];

#[tokio::test]
async fn an_answer_that_is_read_to_its_end_is_a_success_with_all_its_bytes() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        for (path, received) in [
            ("/empty", 0),
            ("/exact", 1_000),
            ("/chunked", 300),
            ("/trailers", 300),
            ("/204", 0),
        ] {
            let response = stage.get(path).await.unwrap();
            let body = response.into_body().collect().await.unwrap();
            assert_eq!(
                body.trailers().is_some(),
                path == "/trailers",
                "{path} {version:?}"
            );
            assert_eq!(body.to_bytes().len() as u64, received);
            let end = stage.end().await;
            assert_eq!(end, (Outcome::Success, 0, received), "{path} {version:?}");
        }
    }
}

#[tokio::test]
async fn without_a_body_to_come_the_request_has_ended_when_the_head_is_there() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        for (method, path) in [
            (Method::GET, "/empty"),
            (Method::GET, "/204"),
            (Method::HEAD, "/exact"),
            (Method::HEAD, "/chunked"),
        ] {
            let request = stage.request(method.clone(), path);
            let response = stage.proxy().oneshot(request).await.unwrap();
            let case = format!("{method} {path} {version:?}");
            // Over HTTP/2 the end of the stream may come a moment after the head.
            if version == Http::One {
                assert_eq!(in_flight(&stage.balancer), 0, "{case}");
            }
            let body = response.into_body().collect().await;
            let body = body.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(body.to_bytes().len(), 0, "{case}");
            assert_eq!(stage.end().await, (Outcome::Success, 0, 0), "{case}");
        }
    }
}

#[tokio::test]
async fn the_last_frame_of_a_known_length_ends_the_request_though_the_body_lives_on() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        let response = stage.get("/exact").await.unwrap();
        let mut body = response.into_body();
        let mut left = 1_000;
        while left > 0 {
            assert_eq!(in_flight(&stage.balancer), 1, "{left} are still to come");
            let frame = body.frame().await.unwrap().unwrap();
            left -= frame.into_data().unwrap().len();
        }
        assert_eq!(in_flight(&stage.balancer), 0);
        assert_eq!(stage.end().await, (Outcome::Success, 0, 1_000));
        assert!(body.frame().await.is_none());
        assert!(body.frame().await.is_none(), "and so it stays");
    }
}

#[tokio::test]
async fn a_server_error_is_an_answer_and_counts_as_a_failure() {
    let stage = Stage::new(Http::One).await;
    assert_eq!(stage.get("/500").await.unwrap().status(), 500);
    assert_eq!(stage.end().await, (Outcome::Failure, 0, 0));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failure_with_the_bytes_that_came() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        let response = stage.get("/broken").await.unwrap();
        assert!(response.into_body().collect().await.is_err(), "{version:?}");
        let (outcome, sent, received) = stage.end().await;
        assert_eq!((outcome, sent), (Outcome::Failure, 0), "{version:?}");
        assert!(received <= 200);
        let status = stage.balancer.member("a").unwrap().status();
        assert!(status.is_usable(), "row 14 of the table: not put in error");
    }
}

#[tokio::test]
async fn an_answer_that_is_dropped_is_cancelled() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        // Unread.
        drop(stage.get("/exact").await.unwrap());
        assert_eq!(stage.end().await, (Outcome::Cancelled, 0, 0), "{version:?}");
        // In the middle.
        let mut body = stage.get("/endless").await.unwrap().into_body();
        let mut read = 0;
        while read < 200 {
            let frame = body.frame().await.unwrap().unwrap();
            read += frame.into_data().unwrap().len() as u64;
        }
        assert_eq!(in_flight(&stage.balancer), 1);
        drop(body);
        assert_eq!(
            stage.end().await,
            (Outcome::Cancelled, 0, 200),
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_is_cancelled_polled_or_not() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        let mut proxy = stage.proxy();
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut proxy).await;
        let future = ready.unwrap().call(stage.request(Method::GET, "/exact"));
        assert_eq!(in_flight(&stage.balancer), 1);
        drop(future);
        assert_eq!(stage.end().await, (Outcome::Cancelled, 0, 0));

        let mut future = Box::pin(stage.get("/silent"));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        let patience = Duration::from_millis(50);
        assert!(tokio::time::timeout(patience, future).await.is_err());
        assert_eq!(stage.end().await, (Outcome::Cancelled, 0, 0), "{version:?}");
    }
}

#[tokio::test]
async fn a_panic_in_the_handler_is_a_failure() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        // Only one member: there is nobody to repeat it.
        assert!(stage.get("/panic").await.is_err());
        assert_eq!(stage.end().await, (Outcome::Failure, 0, 0), "{version:?}");
        let response = stage.get("/exact").await.unwrap();
        assert!(response.into_body().collect().await.is_ok(), "it goes on");
    }
}

#[tokio::test]
async fn the_bytes_of_a_request_body_are_counted_as_they_go() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        let body = frames(&["0123456789", "01234", "0"], true);
        let request = Request::post("/upload").body(body).unwrap();
        let response = stage.proxy().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "16");
        assert_eq!(stage.end().await, (Outcome::Success, 16, 2), "{version:?}");
        let member = stage.balancer.member("a").unwrap();
        assert_eq!((member.bytes_sent(), member.bytes_received()), (16, 2));
    }
}

#[tokio::test]
async fn a_client_that_goes_away_early_takes_its_request_along() {
    for version in BOTH {
        let stage = Stage::new(version).await;
        let front = serve(stage.proxy::<Incoming>()).await;
        for (path, answered) in [("/endless", true), ("/silent", false)] {
            let mut client = TcpStream::connect(front.address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            eventually(|| in_flight(&stage.balancer) == 1).await;
            if answered {
                let mut head = [0; 200];
                client.read_exact(&mut head).await.unwrap();
                assert!(head.starts_with(b"HTTP/1.1 200"));
            }
            drop(client);
            let (outcome, ..) = stage.end().await;
            assert_eq!(outcome, Outcome::Cancelled, "{path} {version:?}");
        }
    }
}

fn upgrade() -> Request<Empty<Bytes>> {
    let request = Request::get("/upgrade")
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "echo");
    request.body(Empty::new()).unwrap()
}

#[tokio::test]
async fn an_upgraded_connection_is_in_flight_as_long_as_its_lease_is_kept() {
    let stage = Stage::new(Http::One).await;
    let response = stage.proxy().oneshot(upgrade()).await.unwrap();
    assert_eq!(response.status(), 101);
    let lease = response.extensions().get::<UpgradeLease>().cloned();
    let mut guard = lease.unwrap().take().unwrap();
    let upgraded = hyper::upgrade::on(response.map(any)).await.unwrap();
    let mut tunnel = TokioIo::new(upgraded);
    tunnel.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    tunnel.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    guard.record_sent(5);
    guard.record_received(5);
    assert_eq!(in_flight(&stage.balancer), 1);
    guard.finish(Outcome::Success);
    assert_eq!(stage.end().await, (Outcome::Success, 5, 5));
}

#[tokio::test]
async fn an_upgrade_whose_lease_nobody_takes_ends_with_its_head() {
    let stage = Stage::new(Http::One).await;
    let response = stage.proxy().oneshot(upgrade()).await.unwrap();
    assert_eq!(in_flight(&stage.balancer), 1);
    drop(response);
    assert_eq!(stage.end().await, (Outcome::Success, 0, 0));
}
