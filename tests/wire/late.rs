//! Members that take too long, over each part of their answer.

use bytes::Bytes;
use equipoise::proxy::{EndpointError, Server, TimeoutStage};
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use super::framed::{self, END_HEADERS, FramedMember, HEADERS};
use super::front::{Front, SHORT, statuses, took_about};
use super::line::within;
use super::member::{Member, OK};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const POST: &str =
    "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn one_that_never_answers_gives_504_in_time() {
    for begin in [
        "",
        "HTTP/1.1 200 OK\r\nx: y\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
    ] {
        let member = Member::stopping(begin).await;
        let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
        let began = Instant::now();
        let told = front.told(POST).await;
        assert_eq!(statuses(&told), [504], "{begin:?}: {told}");
        took_about(SHORT, began);
        front.at_rest().await;
        assert_eq!(member.heard().len(), 1);
    }
}

#[tokio::test]
async fn a_get_that_is_late_may_have_another_member() {
    let late = Member::stopping("").await;
    let good = Member::answering(OK).await;
    let members = [&late, &good].map(|it| it.quick().build().unwrap());
    let front = Front::before(Server::new(), members);
    for _ in 0..2 {
        assert_eq!(statuses(&front.told(GET).await), [200]);
    }
    assert!(!late.heard().is_empty());
    front.at_rest().await;
}

#[tokio::test]
async fn a_post_that_is_late_is_never_sent_twice() {
    let members = [Member::stopping("").await, Member::stopping("").await];
    let endpoints = members.each_ref().map(|it| it.quick().build().unwrap());
    let front = Front::before(Server::new(), endpoints);
    assert_eq!(statuses(&front.told(POST).await), [504]);
    front.at_rest().await;
    let heard: usize = members.iter().map(|it| it.heard().len()).sum();
    assert_eq!(heard, 1);
}

#[tokio::test]
async fn a_head_that_trickles_gives_504_in_time() {
    let member = Member::scripted(|mut talk| async move {
        talk.request().await;
        talk.say("HTTP/1.1 200 OK\r\nx: ").await;
        for _ in 0..30 {
            talk.say("y").await;
            sleep(SHORT / 8).await;
        }
    })
    .await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let began = Instant::now();
    assert_eq!(statuses(&front.told(POST).await), [504]);
    took_about(SHORT, began);
    front.at_rest().await;
}

#[tokio::test]
async fn a_body_that_stops_breaks_off_for_the_client_in_time() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let chunked = head.contains("chunked");
        let member = Member::scripted(move |mut talk| async move {
            talk.request().await;
            talk.say(head).await;
            // Longer in all than a frame may take.
            for _ in 0..8 {
                talk.say(if chunked { "1\r\ny\r\n" } else { "y" }).await;
                sleep(SHORT / 4).await;
            }
            talk.until_gone().await;
        })
        .await;
        let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
        let mut client = front.client().await;
        let began = Instant::now();
        client.say(GET).await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.whole), (200, false));
        assert_eq!(answer.text(), "yyyyyyyy");
        took_about(SHORT * 11 / 4, began);
        client.ends().await;
        front.at_rest().await;
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_as_a_whole_breaks_off() {
    let member = Member::scripted(|mut talk| async move {
        talk.request().await;
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await;
        for _ in 0..100 {
            talk.say("y").await;
            sleep(SHORT / 8).await;
        }
    })
    .await;
    let endpoint = member.quick().request_timeout(SHORT * 2).build().unwrap();
    let front = Front::before(Server::new(), [endpoint]);
    let mut client = front.client().await;
    let began = Instant::now();
    client.say(GET).await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.whole), (200, false));
    took_about(SHORT * 2, began);
    client.ends().await;
    front.at_rest().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_as_a_whole_gives_504() {
    let member = Member::stopping("").await;
    let endpoint = member.quick().head_timeout(None).request_timeout(SHORT);
    let front = Front::before(Server::new(), [endpoint.build().unwrap()]);
    let began = Instant::now();
    assert_eq!(statuses(&front.told(POST).await), [504]);
    took_about(SHORT, began);
    front.at_rest().await;
}

#[tokio::test]
async fn an_upload_that_goes_on_is_waited_for() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let mut client = front.client().await;
    client
        .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n")
        .await;
    for _ in 0..12 {
        client.say("y").await;
        sleep(SHORT / 4).await;
    }
    assert_eq!(client.answer().await.status(), 200);
    drop(client);
    front.at_rest().await;
}

/// A member may answer a request before it has all of it, and still want the rest.
#[tokio::test]
async fn an_upload_that_goes_on_after_the_answer_reaches_the_member() {
    let (uploaded, mut uploads) = tokio::sync::mpsc::unbounded_channel();
    let member = Member::scripted(move |mut talk| {
        let uploaded = uploaded.clone();
        async move {
            let head = talk.line.head().await.unwrap();
            talk.say(OK).await;
            let request = talk.line.rest_of_request(head).await;
            let _ = uploaded.send(request.text());
        }
    })
    .await;
    let limits = Server::new().head_timeout(SHORT);
    let front = Front::before(limits, [member.quick().build().unwrap()]);
    let mut client = front.client().await;
    client
        .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.text(), "ok");
    for _ in 0..8 {
        sleep(SHORT / 4).await;
        client.say("y").await;
    }
    assert_eq!(within(uploads.recv()).await.unwrap(), "yyyyyyyy");
    drop(client);
    front.at_rest().await;
}

/// Requests on one connection share its timers, one after the other.
#[tokio::test]
async fn over_http_2_each_request_has_the_whole_time_limit_and_no_more() {
    let long = SHORT * 20;
    // The limits of the whole, the head and a frame; a long one is set before a short one.
    let limits = [
        (None, SHORT, long, TimeoutStage::Head),
        (None, long, SHORT, TimeoutStage::Body),
        (Some(SHORT), long, long, TimeoutStage::Whole),
    ];
    for (whole, head, frame, stage) in limits {
        let member = FramedMember::scripted(move |mut talk| async move {
            talk.settings(None).await;
            while let Some((stream, body)) = talk.whole_request().await {
                if body != b"silence" {
                    // There is a wait for the head.
                    sleep(SHORT / 8).await;
                    talk.answer(stream).await;
                } else if stage != TimeoutStage::Head {
                    talk.say(HEADERS, END_HEADERS, stream, framed::OK).await;
                }
            }
        })
        .await;
        let mut endpoint = member.endpoint().head_timeout(head).frame_timeout(frame);
        if let Some(whole) = whole {
            endpoint = endpoint.request_timeout(whole);
        }
        let endpoint = endpoint.build().unwrap();
        let send = async |body: &'static str| {
            let request = Request::post("/").body(Full::<Bytes>::from(body)).unwrap();
            let answer = within(endpoint.clone().oneshot(request)).await?;
            within(answer.into_body().collect()).await
        };
        for _ in 0..3 {
            for _ in 0..4 {
                assert_eq!(send("").await.unwrap().to_bytes(), "ok");
                sleep(SHORT / 5).await;
            }
            let began = Instant::now();
            let late = send("silence").await.unwrap_err();
            assert!(
                matches!(late, EndpointError::TimedOut { over, .. } if over == stage),
                "{late}, not {stage}"
            );
            took_about(SHORT, began);
        }
    }
}

#[tokio::test]
async fn a_body_that_was_there_at_once_leaves_the_member_its_time_and_no_more() {
    let member = Member::scripted(|mut talk| async move {
        while let Some(request) = talk.request().await {
            if request.text() != "hello" {
                talk.say(OK).await;
            }
        }
    })
    .await;
    let front = Front::before(Server::new(), [member.quick().build().unwrap()]);
    let mut client = front.client().await;
    for _ in 0..3 {
        for _ in 0..4 {
            client
                .say(
                    POST.replace("connection: close\r\n", "")
                        .replace("hello", "hallo"),
                )
                .await;
            assert_eq!(client.answer().await.status(), 200);
            sleep(SHORT / 5).await;
        }
        let began = Instant::now();
        assert_eq!(statuses(&front.told(POST).await), [504]);
        took_about(SHORT, began);
    }
    drop(client);
    front.at_rest().await;
}
