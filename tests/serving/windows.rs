//! Peers that take what is shared and hold it, or wear it out: downloads that no client reads,
//! uploads that no member reads, frames that carry nothing.

use std::convert::Infallible;

use bytes::Bytes;
use equipoise::proxy::{Endpoint, HttpVersions, Server};
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use tonic::codegen::tokio_stream;
use tower::ServiceExt;

use super::client::{self, Client};
use super::front::Front;
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

/// Frames that carry nothing, before one that does.
fn mostly_empty() -> AnyBody {
    let frames = std::iter::repeat_n("", 150).chain(["some"]);
    let frames = frames.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    any(StreamBody::new(tokio_stream::iter(frames)))
}

/// h2 ends a connection on which it has got more than a hundred of them.
#[tokio::test]
async fn empty_frames_of_one_body_end_no_connection_that_others_use() {
    within(async {
        let (member, endpoint) = member().await;
        for _ in 0..2 {
            let post = Request::post("/").body(mostly_empty()).unwrap();
            let answer = endpoint.clone().oneshot(post).await.unwrap();
            assert_eq!(
                answer.into_body().collect().await.unwrap().to_bytes(),
                "small"
            );
        }
        assert_eq!(member.accepted(), 1);

        let talkative =
            tower::service_fn(async |_| Ok::<_, Infallible>(Response::new(mostly_empty())));
        let front = Front::start(Server::new(), talkative);
        let mut client = Client::connect(front.address, Version::HTTP_2).await;
        for _ in 0..2 {
            assert_eq!(client.ask(client::get("/")).await.text, "some");
        }
    })
    .await;
}
