//! Peers that take what is shared and hold it: downloads that no client reads, uploads that
//! no member reads.

use std::convert::Infallible;

use bytes::Bytes;
use equipoise::proxy::{Endpoint, HttpVersions};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use tonic::codegen::tokio_stream;
use tower::ServiceExt;

use super::member::{AnyBody, Member, any, full};
use super::within;

fn endless() -> AnyBody {
    let block = Bytes::from(vec![0; 16 * 1024]);
    let frames = std::iter::repeat_with(move || Ok::<_, Infallible>(Frame::data(block.clone())));
    any(StreamBody::new(tokio_stream::iter(frames)))
}

/// Never reads an upload to `/stuck`; whatever else is asked is answered at once.
async fn member() -> (Member, Endpoint) {
    let member = Member::start(
        async |request: Request<Incoming>| match request.uri().path() {
            "/endless" => Response::new(endless()),
            "/stuck" => {
                let _unread = request;
                std::future::pending().await
            }
            _ => Response::new(full("small")),
        },
    )
    .await;
    let endpoint = member.endpoint().versions(HttpVersions::Http2);
    let endpoint = endpoint.build().unwrap();
    (member, endpoint)
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

async fn small(endpoint: &Endpoint) -> Bytes {
    let answer = endpoint.clone().oneshot(get("/")).await.unwrap();
    answer.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn downloads_that_no_client_reads_hold_up_no_other_answer() {
    within(async {
        let (member, endpoint) = member().await;
        let mut unread = Vec::new();
        // All but one of the streams of a connection.
        for _ in 0..99 {
            let answer = endpoint.clone().oneshot(get("/endless")).await.unwrap();
            unread.push(answer);
            assert_eq!(small(&endpoint).await, "small");
        }
        assert_eq!(member.accepted(), 1);
        assert_eq!(small(&endpoint).await, "small");
    })
    .await;
}

#[tokio::test]
async fn uploads_that_a_member_does_not_read_hold_up_no_other_request() {
    within(async {
        let (_member, endpoint) = member().await;
        let mut stuck = Vec::new();
        for _ in 0..10 {
            let upload = Request::post("/stuck").body(endless()).unwrap();
            stuck.push(tokio::spawn(endpoint.clone().oneshot(upload)));
            assert_eq!(small(&endpoint).await, "small");
        }
        for one in stuck {
            assert!(!one.is_finished());
            one.abort();
        }
        assert_eq!(small(&endpoint).await, "small");
    })
    .await;
}
