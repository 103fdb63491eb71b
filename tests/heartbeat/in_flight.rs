//! What a server has in flight: counted to the last byte, and given back wherever it ends.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use equipoise::heartbeat::{
    HeartbeatListener, HeartbeatMonitor, HeartbeatSender, InFlight, InFlightLayer,
};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{until, within};

type Part = Result<Frame<Bytes>, &'static str>;

fn frames(parts: Vec<Part>) -> StreamBody<impl futures_util::Stream<Item = Part> + Unpin> {
    StreamBody::new(futures_util::stream::iter(parts))
}

/// What answers with a body, counted.
async fn answer<B>(in_flight: &InFlight, body: B) -> Response<impl Body<Data = Bytes> + Unpin>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut body = Some(body);
    let service = service_fn(move |_: Request<()>| {
        let answer = Response::new(body.take().unwrap());
        async { Ok::<_, Infallible>(answer) }
    });
    let service = InFlightLayer::new(in_flight).layer(service);
    service.oneshot(Request::new(())).await.unwrap()
}

#[tokio::test]
async fn a_request_counts_from_the_call_to_the_last_byte() {
    let in_flight = InFlight::new();
    let mut service = InFlightLayer::new(&in_flight).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
    }));
    let answer = service.call(Request::new(()));
    assert_eq!(in_flight.count(), 1, "before it is polled");
    let mut answer = answer.await.unwrap();
    assert_eq!(in_flight.count(), 1);
    assert_eq!(answer.body().size_hint().exact(), Some(5));
    answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(
        in_flight.count(),
        0,
        "though the body lives on and was not asked for its end"
    );
    assert!(answer.body().is_end_stream());
}

/// A body that tells its length but not that it has ended.
struct OfLength(StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Part>>>);

impl Body for OfLength {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Part>> {
        pin!(&mut self.0).poll_frame(context)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(2)
    }
}

#[tokio::test]
async fn a_body_of_known_length_ends_with_its_last_byte() {
    let in_flight = InFlight::new();
    let part = || Ok(Frame::data(Bytes::from("x")));
    let parts = futures_util::stream::iter(vec![part(), part()]);
    let mut answer = answer(&in_flight, OfLength(StreamBody::new(parts))).await;
    answer.body_mut().frame().await.unwrap().ok().unwrap();
    assert_eq!(in_flight.count(), 1);
    answer.body_mut().frame().await.unwrap().ok().unwrap();
    assert_eq!(in_flight.count(), 0);
}

#[tokio::test]
async fn a_stream_counts_until_its_end_its_trailers_or_its_error() {
    let data = || Ok(Frame::data(Bytes::from("x")));
    for last in [
        None,
        Some(Ok(Frame::trailers(HeaderMap::new()))),
        Some(Err("broken")),
    ] {
        let in_flight = InFlight::new();
        let mut parts = vec![data(), data()];
        parts.extend(last);
        let mut answer = answer(&in_flight, frames(parts)).await;
        for _ in 0..2 {
            answer.body_mut().frame().await.unwrap().ok().unwrap();
            assert_eq!(in_flight.count(), 1);
        }
        let _ = answer.body_mut().frame().await;
        assert_eq!(in_flight.count(), 0);
    }
}

#[tokio::test]
async fn an_answer_without_a_body_ends_with_its_head() {
    let in_flight = InFlight::new();
    let answer = answer(&in_flight, Empty::<Bytes>::new()).await;
    assert_eq!(in_flight.count(), 0);
    drop(answer);
}

#[tokio::test]
async fn whatever_is_dropped_is_given_back() {
    let in_flight = InFlight::new();
    drop(answer(&in_flight, Full::new(Bytes::from("x"))).await);
    assert_eq!(in_flight.count(), 0);

    let layer = InFlightLayer::new(&in_flight);
    let never =
        service_fn(|_: Request<()>| std::future::pending::<Result<Response<String>, Infallible>>());
    {
        let mut call = pin!(layer.layer(never).call(Request::new(())));
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
        assert_eq!(in_flight.count(), 1);
    }
    assert_eq!(in_flight.count(), 0);

    let fails = service_fn(|_: Request<()>| async { Err::<Response<String>, _>("failed") });
    assert!(layer.layer(fails).oneshot(Request::new(())).await.is_err());
    assert_eq!(in_flight.count(), 0);
}

#[tokio::test]
async fn a_server_on_axum_announces_what_it_has_idle() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let heartbeats = HeartbeatListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = heartbeats.local_addr().unwrap();
        let _listening = heartbeats.spawn(&monitor);

        let in_flight = InFlight::new();
        // A body that has begun and does not end.
        let endless = || async {
            let begun = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from("x"))]);
            let rest = futures_util::stream::pending();
            axum::body::Body::from_stream(futures_util::StreamExt::chain(begun, rest))
        };
        let app = axum::Router::new()
            .route("/", axum::routing::get(endless))
            .layer(InFlightLayer::new(&in_flight));
        let sender = HeartbeatSender::new(to).capacity(64).in_flight(&in_flight);
        let _sending = sender.interval(std::time::Duration::from_millis(5)).spawn();

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut stream = tokio::net::TcpStream::connect(here).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            stream.read_u8().await.unwrap();
            clients.push(stream);
        }
        let reported = || monitor.records().first().map(|it| it.reading());
        until(|| reported().is_some_and(|it| (it.ready, it.busy) == (61, 3))).await;
        drop(clients);
        until(|| reported().is_some_and(|it| (it.ready, it.busy) == (64, 0))).await;
        serving.abort();
    })
    .await;
}
