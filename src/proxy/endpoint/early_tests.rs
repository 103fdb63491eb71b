//! A member that responds before it has taken a request whose body was complete. The buffer of
//! a socket hides this, so its connection is a narrow one here.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Duration, Instant, sleep};

use super::exchange::{Exchange, SendAttempt};
use super::interim::InterimLimit;
use super::member_connection::{Http1Connection, MemberConnection};
use super::outgoing::Outgoing;
use super::progress::Progress;
use super::sending::ExchangeStage;
use super::{Endpoint, EndpointFuture};

const LENGTH: usize = 10_000;

/// Sends a request; returns the member's side once the response has been read.
async fn answered_early(endpoint: &Endpoint) -> (DuplexStream, usize) {
    let (near, mut far) = tokio::io::duplex(512);
    let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
    let body = Outgoing::new(Full::new(Bytes::from(vec![b'y'; LENGTH])), Version::HTTP_11);
    let sent = sender.try_send_request(Request::post("/").body(body).unwrap());
    let connection = Box::pin(async move {
        let _ = connection.await;
    });
    let connection = Http1Connection::new(sender, connection, InterimLimit::new(1));
    let mut exchange = Exchange::new(
        Arc::clone(&endpoint.shared),
        MemberConnection::Http1(connection),
        SendAttempt::First,
        None,
    );
    exchange.upload = Progress::Complete;
    let stage = ExchangeStage::Sent(exchange.sent(sent, Instant::now()));
    let member = async {
        let mut read = [0; 256];
        let length = far.read(&mut read).await.unwrap();
        let head = read[..length].windows(4).position(|at| at == b"\r\n\r\n");
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
        length - head.expect("the head is short") - 4
    };
    let (response, taken) = tokio::join!(EndpointFuture { stage }, member);
    let body = response.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "ok");
    (far, taken)
}

fn endpoint() -> Endpoint {
    Endpoint::new(Uri::from_static("http://member")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_member_never_takes_the_request_is_closed() {
    let endpoint = endpoint();
    let (mut member, _) = answered_early(&endpoint).await;
    sleep(Duration::from_secs(2)).await;
    assert!(endpoint.shared.pool.take().is_none());
    let mut rest = Vec::new();
    member.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() < LENGTH);
}
