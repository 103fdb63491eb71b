//! Members of HTTP/2 that refuse streams: what was not processed goes to another member
//! with its body, and what was processed is never said to be refused.

use equipoise::proxy::Server;
use tokio::sync::mpsc;

use super::framed::{FramedMember, NO_ERROR, OK, REFUSED_STREAM};
use super::front::Front;
use super::h2::{DATA, END_HEADERS, END_STREAM, HEADERS, Peer, RST_STREAM, frame, pseudo};
use super::line::within;
use super::member::{Member, OK as OK_1};

const INTERNAL_ERROR: u32 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_behind_the_head_is_another_error_for_the_client_that_gets_the_head() {
    within(async {
        let member = FramedMember::scripted(|mut talk| async move {
            talk.settings(None).await;
            while let Some((stream, _)) = talk.whole_request().await {
                talk.say(HEADERS, END_HEADERS, stream, OK).await;
                talk.say(DATA, 0, stream, b"hello").await;
                talk.reset(stream, REFUSED_STREAM).await;
            }
        })
        .await;
        let endpoint = member.endpoint().build().unwrap();
        let front = Front::before(Server::new(), [endpoint]);
        for _ in 0..20 {
            let mut client = Peer::new(&front, &[]).await;
            let stream = client.head(pseudo("POST", "/"), 0).await;
            client.say(frame(DATA, END_STREAM, stream, b"abc")).await;
            let mut kinds = Vec::new();
            let code = loop {
                let came = client.next().await.unwrap();
                if came.stream == stream {
                    kinds.push(came.kind);
                }
                if came.kind == RST_STREAM {
                    break came.code();
                }
            };
            assert_eq!(code, INTERNAL_ERROR);
            assert_eq!(kinds, [HEADERS, DATA, RST_STREAM]);
        }
        front.at_rest().await;
    })
    .await;
}

/// How a member refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Refusal {
    /// After the whole request.
    Late,
    /// After its head.
    Early,
    /// The connection ends before its first stream.
    GoAway,
}

/// One that processes nothing; it tells of each request that it refuses.
async fn refusing(how: Refusal) -> (FramedMember, mpsc::UnboundedReceiver<()>) {
    let (tell, told) = mpsc::unbounded_channel();
    let member = FramedMember::scripted(move |mut talk| {
        let tell = tell.clone();
        async move {
            talk.settings(None).await;
            loop {
                let stream = if how == Refusal::Early {
                    talk.request().await.map(|head| head.stream)
                } else {
                    talk.whole_request().await.map(|(stream, _)| stream)
                };
                let Some(stream) = stream else {
                    return;
                };
                if how == Refusal::GoAway {
                    talk.go_away(0).await;
                    let _ = tell.send(());
                    return;
                }
                talk.reset(stream, REFUSED_STREAM).await;
                let _ = tell.send(());
            }
        }
    })
    .await;
    (member, told)
}

#[tokio::test]
async fn a_body_that_a_member_refuses_goes_to_another_after_one_try() {
    within(async {
        let long = "x".repeat(40_000);
        let with_length = format!("content-length: {}\r\n\r\n{long}", long.len());
        let in_chunks = format!("transfer-encoding: chunked\r\n\r\n9c40\r\n{long}\r\n0\r\n\r\n");
        let short = "content-length: 3\r\n\r\nabc".to_owned();
        for how in [Refusal::Late, Refusal::GoAway] {
            for (rest, body) in [(&short, "abc"), (&with_length, &long), (&in_chunks, &long)] {
                let (first, mut refused) = refusing(how).await;
                let other = Member::answering(OK_1).await;
                let first = first.endpoint().build().unwrap();
                let front = Front::before(Server::new(), [first, other.endpoint()]);
                let mut client = front.client().await;
                client
                    .say(format!("POST / HTTP/1.1\r\nhost: a\r\n{rest}"))
                    .await;
                assert_eq!(client.answer().await.status(), 200, "{how:?}");
                let heard = other.heard();
                assert_eq!(heard.len(), 1);
                assert!(heard[0].whole && heard[0].text() == body, "{how:?}");
                refused.recv().await.unwrap();
                assert!(refused.try_recv().is_err(), "{how:?}: asked twice");
                drop(client);
                front.at_rest().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_still_arriving_goes_on_to_the_other_member() {
    within(async {
        let (first, mut refused) = refusing(Refusal::Early).await;
        let (saw, mut seen) = mpsc::unbounded_channel();
        let other = FramedMember::scripted(move |mut talk| {
            let saw = saw.clone();
            async move {
                talk.settings(None).await;
                while let Some((stream, body)) = talk.whole_request().await {
                    let _ = saw.send(body);
                    talk.answer(stream).await;
                }
            }
        })
        .await;
        let members = [first.endpoint(), other.endpoint()].map(|it| it.build().unwrap());
        let front = Front::before(Server::new(), members);

        // Over HTTP/2.
        let mut client = Peer::new(&front, &[]).await;
        let stream = client.head(pseudo("POST", "/"), 0).await;
        client.say(frame(DATA, 0, stream, b"first, ")).await;
        refused.recv().await.unwrap();
        client.say(frame(DATA, 0, stream, b"second, ")).await;
        client.say(frame(DATA, END_STREAM, stream, b"third")).await;
        client.wait_for(HEADERS, stream).await.unwrap();
        assert_eq!(seen.recv().await.unwrap(), b"first, second, third");
        drop(client);
        front.at_rest().await;
    })
    .await;
}

#[tokio::test]
async fn a_refusal_on_a_reused_connection_is_tried_once_more_and_then_elsewhere() {
    within(async {
        let (tell, mut refused) = mpsc::unbounded_channel();
        let first = FramedMember::scripted(move |mut talk| {
            let tell = tell.clone();
            async move {
                talk.settings(None).await;
                while let Some((stream, body)) = talk.whole_request().await {
                    if body.is_empty() {
                        talk.answer(stream).await;
                    } else {
                        let _ = tell.send(body);
                        talk.reset(stream, REFUSED_STREAM).await;
                    }
                }
            }
        })
        .await;
        let other = Member::answering(OK_1).await;
        let first = first.endpoint().build().unwrap();
        let front = Front::before(Server::new(), [first, other.endpoint()]);
        let mut client = front.client().await;
        // One for each member.
        for _ in 0..2 {
            client.say("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(client.answer().await.status(), 200);
        }
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
        client.say(post).await;
        assert_eq!(client.answer().await.status(), 200);
        assert_eq!(other.heard().last().unwrap().text(), "abc");
        for _ in 0..2 {
            assert_eq!(refused.recv().await.unwrap(), b"abc");
        }
        assert!(refused.try_recv().is_err());
        drop(client);
        front.at_rest().await;
    })
    .await;
}

#[tokio::test]
async fn a_reset_without_an_error_is_no_refusal() {
    within(async {
        let first = FramedMember::scripted(|mut talk| async move {
            talk.settings(None).await;
            while let Some((stream, _)) = talk.whole_request().await {
                talk.reset(stream, NO_ERROR).await;
            }
        })
        .await;
        let other = Member::answering(OK_1).await;
        let first = first.endpoint().build().unwrap();
        let front = Front::before(Server::new(), [first, other.endpoint()]);
        let mut client = front.client().await;
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
        client.say(post).await;
        assert_eq!(client.answer().await.status(), 502);
        assert!(other.heard().is_empty());
        drop(client);
        front.at_rest().await;
    })
    .await;
}
