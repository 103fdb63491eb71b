//! Uploads that their client breaks off: no member takes one for whole.

use std::time::Duration;

use bytes::Bytes;
use equipoise::proxy::Server;
use h2::Reason;
use http::Request;
use tokio::net::TcpStream;

use super::front::Front;
use super::line::within;
use super::member::{Member, OK};

/// Sends a part of a body over HTTP/2, and resets the stream.
async fn broken_off(front: &Front, length: Option<&str>, reason: Reason) {
    let stream = TcpStream::connect(front.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post("http://a/");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    let (answer, mut body) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"hello"), false).unwrap();
    front.in_flight_is(1).await;
    // So that the data is on its way before the reset discards it.
    tokio::time::sleep(Duration::from_millis(20)).await;
    body.send_reset(reason);
    within(answer).await.unwrap_err();
    front.in_flight_is(0).await;
    drop((client, body));
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_that_is_reset_is_no_end_whatever_the_reset_says() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        for length in [None, Some("9")] {
            broken_off(&front, length, reason).await;
        }
    }
    front.at_rest().await;
    assert_eq!(member.served(), [""; 0]);
    assert!(!member.heard().is_empty());
}

#[tokio::test]
async fn a_whole_body_over_http2_is_one_with_trailers_or_without() {
    let member = Member::answering(OK).await;
    let front = Front::before(Server::new(), [member.endpoint()]);
    let stream = TcpStream::connect(front.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for trailers in [false, true] {
        let request = Request::post("http://a/").header("te", "trailers");
        let (answer, mut body) = client
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        body.send_data(Bytes::from_static(b"hello"), !trailers)
            .unwrap();
        if trailers {
            body.send_trailers(http::HeaderMap::new()).unwrap();
        }
        assert_eq!(within(answer).await.unwrap().status(), 200);
    }
    drop(client);
    within(connection).await.unwrap().unwrap();
    assert_eq!(member.served(), ["POST / HTTP/1.1"; 2]);
    front.at_rest().await;
}
