//! One HTTP/2 connection to a member that many requests share: what one of them, or its end,
//! does to the others.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream;
use tower::ServiceExt;

use super::framed::{FramedMember, REFUSED_STREAM};
use super::line::within;

fn get() -> Request<Full<Bytes>> {
    Request::get("/").body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_member_that_refuses_streams_gets_no_more_connections_than_there_may_be() {
    within(async {
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let member = FramedMember::scripted(move |mut talk| {
            counted.fetch_add(1, SeqCst);
            async move {
                talk.settings(None).await;
                // The first stays, so that the connection does, too.
                talk.whole_request().await;
                while let Some((stream, _)) = talk.whole_request().await {
                    talk.reset(stream, REFUSED_STREAM).await;
                }
            }
        })
        .await;
        let endpoint = member.endpoint().http2_max_connections(3).build().unwrap();
        let mut held = Vec::new();
        for _ in 0..10 {
            let (one, limit) = (endpoint.clone().oneshot(get()), Duration::from_millis(100));
            let mut one = Box::pin(one);
            match tokio::time::timeout(limit, &mut one).await {
                Ok(refused) => assert!(refused.unwrap_err().is_nothing_sent()),
                Err(_) => held.push(one),
            }
        }
        assert!(connections.load(SeqCst) <= 3, "{connections:?}");
    })
    .await;
}

#[tokio::test]
async fn small_frames_of_an_upload_that_are_there_at_once_go_as_one() {
    within(async {
        let (saw, mut seen) = mpsc::unbounded_channel();
        let member = FramedMember::scripted(move |mut talk| {
            let saw = saw.clone();
            async move {
                talk.settings(None).await;
                let head = talk.request().await.unwrap();
                loop {
                    let frame = talk.frame().await.unwrap();
                    let ends = frame.ends();
                    saw.send(frame.payload).unwrap();
                    if ends {
                        break;
                    }
                }
                talk.answer(head.stream).await;
                talk.until_gone().await;
            }
        })
        .await;
        let small = std::iter::repeat_n("a", 5_000).map(Bytes::from);
        let large = [Bytes::from(vec![b'b'; 3_000]), Bytes::from("c")];
        let frames = small
            .chain(large)
            .map(|data| Ok::<_, Infallible>(Frame::data(data)));
        let trailers = HeaderMap::from_iter([(
            HeaderName::from_static("x-end"),
            HeaderValue::from_static("yes"),
        )]);
        let frames = frames.chain([Ok(Frame::trailers(trailers))]);
        let body = StreamBody::new(tokio_stream::iter(frames));
        let endpoint = member.endpoint().build().unwrap();
        let post = Request::post("/").body(body).unwrap();
        let answer = endpoint.clone().oneshot(post).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
        let mut frames = Vec::new();
        while let Ok(payload) = seen.try_recv() {
            frames.push(payload);
        }
        let whole = frames.concat();
        let expected = ["a".repeat(5_000), "b".repeat(3_000), "c".to_owned()].concat();
        assert!(whole.starts_with(expected.as_bytes()));
        // Such a body pauses after 32 frames.
        assert!(frames.len() < 200, "{} frames", frames.len());
    })
    .await;
}

/// hyper may queue a request for a connection whose task ends at this moment. Only many tries
/// meet that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn no_request_stays_with_a_connection_that_ends_as_it_comes() {
    let member = FramedMember::scripted(move |mut talk| async move {
        talk.settings(Some(100)).await;
        for _ in 0..3 {
            let Some((stream, _)) = talk.whole_request().await else {
                return;
            };
            talk.answer(stream).await;
        }
    })
    .await;
    let endpoint = member.endpoint().build().unwrap();
    let clients = (0..12).map(|_| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            for _ in 0..600 {
                // Whatever comes of it, it comes long before the time for a head is over.
                let limit = Duration::from_secs(20);
                let one = endpoint.clone().oneshot(get());
                let _ = tokio::time::timeout(limit, one).await.unwrap();
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}
