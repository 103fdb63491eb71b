//! Heartbeats by POST: the answers, and behind real servers.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use equipoise::heartbeat::{HeartbeatKey, HeartbeatMonitor, HeartbeatService};
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use super::{followed, idle, within};

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

async fn ask<B>(monitor: &HeartbeatMonitor, request: Request<B>) -> Response<String>
where
    B: http_body::Body,
{
    let service = HeartbeatService::new(monitor, |_| Some(CLIENT));
    let service = service.body_timeout(Duration::from_millis(50));
    service.oneshot(request).await.unwrap()
}

async fn post(monitor: &HeartbeatMonitor, body: &str) -> (u16, String) {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let request = Request::builder().method(Method::POST).body(body).unwrap();
    let answer = ask(monitor, request).await;
    (answer.status().as_u16(), answer.into_body())
}

#[tokio::test]
async fn a_report_counts_at_once() {
    let monitor = HeartbeatMonitor::new();
    let balancer = followed(&monitor, &[("a", "10.0.0.1:80")]);
    let answer = post(&monitor, "ready=30&busy=2").await;
    assert_eq!(answer, (200, "OK".to_owned()));
    assert_eq!(idle(&balancer, "a"), Some(30));
    // `v` may be there, and other pairs.
    assert_eq!(post(&monitor, "v=1&ready=31&busy=2&x=y\n").await.0, 200);
    assert_eq!(idle(&balancer, "a"), Some(31));
}

#[tokio::test]
async fn what_is_wrong_with_a_report_is_answered() {
    let monitor = HeartbeatMonitor::new();
    for (body, status, text) in [
        (
            "",
            400,
            "the message is not a heartbeat: `ready` is missing\n",
        ),
        (
            "ready=1",
            400,
            "the message is not a heartbeat: `busy` is missing\n",
        ),
        (
            "ready=1.5&busy=0",
            400,
            "the message is not a heartbeat: `ready` is not a number from 0 to 4294967295: \"1.5\"\n",
        ),
    ] {
        assert_eq!(
            post(&monitor, body).await,
            (status, text.to_owned()),
            "{body}"
        );
    }
    let long = format!("ready=1&busy=1&x={}", "x".repeat(984));
    assert_eq!(long.len(), 1001);
    assert_eq!(post(&monitor, &long[..1000]).await.0, 200);
    assert_eq!(post(&monitor, &long).await.0, 413);
    assert_eq!(post(&monitor, &"x".repeat(1 << 20)).await.0, 413);
    assert_eq!(monitor.statistics().malformed(), 5, "each is counted");
}

#[tokio::test]
async fn other_methods_are_refused_and_told_which_one_is_not() {
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let request = Request::builder().method(method);
        let request = request.body(Full::new(Bytes::from("ready=1&busy=1")));
        let answer = ask(&HeartbeatMonitor::new(), request.unwrap()).await;
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["allow"], "POST");
        assert_eq!(answer.headers()["content-type"], "text/plain");
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_or_breaks_off_is_given_up() {
    within(async {
        let monitor = HeartbeatMonitor::new();
        let post = Request::builder().method(Method::POST);
        let silent = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let answer = ask(&monitor, post.body(StreamBody::new(silent)).unwrap()).await;
        assert_eq!(answer.status(), 408);

        let post = Request::builder().method(Method::POST);
        let parts = [
            Ok(Frame::data(Bytes::from("ready=1&busy=1"))),
            Err("it broke off"),
        ];
        let body = StreamBody::new(futures_util::stream::iter(parts));
        let answer = ask(&monitor, post.body(body).unwrap()).await;
        assert_eq!(answer.status(), 400);
        assert!(monitor.records().is_empty(), "half a report is none");

        let post = Request::builder().method(Method::POST);
        let flood = futures_util::stream::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 100])))
        });
        let answer = ask(&monitor, post.body(StreamBody::new(flood)).unwrap()).await;
        assert_eq!(answer.status(), 413);
    })
    .await;
}

#[tokio::test]
async fn a_monitor_with_a_key_asks_posts_for_a_signature_too() {
    let key = HeartbeatKey::new(b"a secret");
    let monitor = HeartbeatMonitor::builder().key(key).build();
    let answer = post(&monitor, "ready=1&busy=1").await;
    assert_eq!(answer, (403, "the message is not signed\n".to_owned()));
}

#[tokio::test]
async fn a_table_that_is_full_and_an_unknown_client_are_told() {
    let monitor = HeartbeatMonitor::builder().max_senders(0).build();
    assert_eq!(post(&monitor, "ready=1&busy=1").await.0, 503);
    let unknown = HeartbeatService::new(&monitor, |_| None);
    let request = Request::builder().method(Method::POST);
    let request = request.body(Full::new(Bytes::new())).unwrap();
    assert_eq!(unknown.oneshot(request).await.unwrap().status(), 500);
}

/// Sends a report over a connection of its own.
async fn post_to(server: SocketAddr, body: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(server).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /heartbeat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_serves_in_axum() {
    within(async {
        use axum::extract::ConnectInfo;
        let monitor = HeartbeatMonitor::new();
        let balancer = followed(
            &monitor,
            &[("a", "127.0.0.1:8080"), ("b", "127.0.0.1:8081")],
        );
        let heartbeats = HeartbeatService::new(&monitor, |extensions| {
            Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip())
        });
        let app = axum::Router::<()>::new().route_service("/heartbeat", heartbeats);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        let answer = post_to(here, "ready=4&busy=1&port=8080").await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nOK"),
            "{answer}"
        );
        assert_eq!(
            (idle(&balancer, "a"), idle(&balancer, "b")),
            (Some(4), None)
        );
        serving.abort();
    })
    .await;
}

#[cfg(feature = "proxy")]
#[tokio::test]
async fn it_serves_in_our_own_server() {
    within(async {
        use equipoise::net::Listener;
        use equipoise::proxy::{ClientAddr, Router, Rule, Server};
        let monitor = HeartbeatMonitor::new();
        let balancer = followed(&monitor, &[("a", "127.0.0.1:8080")]);
        let heartbeats = HeartbeatService::new(&monitor, |extensions| {
            Some(extensions.get::<ClientAddr>()?.0.ip())
        });
        let router = Router::builder()
            .service(Rule::new().path("/heartbeat"), heartbeats)
            .build()
            .unwrap();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let here = listener.local_addr().unwrap();
        let serving = tokio::spawn(Server::new().serve(listener, router, std::future::pending()));
        let answer = post_to(here, "ready=4&busy=1").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(idle(&balancer, "a"), Some(4));
        serving.abort();
    })
    .await;
}
