//! Members that get nothing of a request, which therefore goes on to another, whatever it
//! is.

use std::time::Duration;

use bytes::Bytes;
use equipoise::member::Cause;
use equipoise::proxy::{Endpoint, EndpointBuilder, Server};
use http_body_util::Empty;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::front::{Front, SHORT, statuses};
use super::member::{Member, OK};

const POST: &str =
    "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
const CHUNKS: &str = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
                      transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

pub(crate) fn builder(uri: &str) -> EndpointBuilder {
    Endpoint::builder(uri.parse().unwrap()).connect_timeout(SHORT)
}

/// Asserts that all goes on to another member, and arrives there whole.
pub(crate) async fn is_passed_over(unreached: Endpoint) {
    let good = Member::answering(OK).await;
    let front = Front::before(Server::new(), [unreached, good.endpoint()]);
    for request in [POST, CHUNKS, POST] {
        let told = front.told(request).await;
        assert_eq!(statuses(&told), [200], "{told}");
    }
    front.at_rest().await;
    let heard = good.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|it| it.whole && it.text() == "hello"));
}

/// Why such a member gives no answer.
async fn cause_of(unreached: Endpoint) -> Option<Cause> {
    let request = http::Request::new(Empty::<Bytes>::new());
    let error = unreached.oneshot(request).await.map(drop).unwrap_err();
    assert!(error.is_nothing_sent());
    error.cause()
}

/// Asserts what who has no other member is told.
async fn alone_gives(unreached: Endpoint, status: u16) {
    let front = Front::before(Server::new(), [unreached]);
    assert_eq!(statuses(&front.told(POST).await), [status]);
    front.at_rest().await;
}

/// No name has a part of this length, so nobody need be asked for it.
fn nameless() -> Endpoint {
    let name = "n".repeat(64);
    builder(&format!("http://{name}.invalid")).build().unwrap()
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_passed_over() {
    is_passed_over(nameless()).await;
    assert_eq!(cause_of(nameless()).await, Some(Cause::Unresolved));
    alone_gives(nameless(), 502).await;
}

async fn refusing() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    builder(&format!("http://{address}")).build().unwrap()
}

#[tokio::test]
async fn a_member_that_refuses_is_passed_over() {
    is_passed_over(refusing().await).await;
    assert_eq!(cause_of(refusing().await).await, Some(Cause::Refused));
    alone_gives(refusing().await, 502).await;
}

#[tokio::test]
async fn a_member_whose_connection_takes_too_long_is_passed_over() {
    // The system's queue is full, and so it answers nobody.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let connects = || tokio::net::TcpStream::connect(address);
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(100), connects()).await {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue has no end");
    }
    let member = builder(&format!("http://{address}")).build().unwrap();
    assert_eq!(cause_of(member.clone()).await, Some(Cause::TimedOut));
    is_passed_over(member).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_that_is_not_there_is_passed_over() {
    let nowhere = std::env::temp_dir().join("equipoise-wire-nobody-listens.sock");
    let member = builder("http://a").unix_socket(nowhere).build().unwrap();
    assert_eq!(cause_of(member.clone()).await, Some(Cause::Refused));
    is_passed_over(member).await;
}

#[tokio::test]
async fn all_members_that_cannot_be_reached_are_tried_and_no_more() {
    let members = [nameless(), refusing().await, refusing().await];
    let front = Front::before(Server::new(), members);
    let told = front.told(POST).await;
    assert!(matches!(statuses(&told).as_slice(), [502 | 503]), "{told}");
    front.at_rest().await;
}
