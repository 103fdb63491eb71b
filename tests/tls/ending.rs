//! How connections end under TLS, where an end is announced: answers that come before the
//! body, and clients that end their side.

use std::convert::Infallible;
use std::time::Duration;

use equipoise::net::ServerTls;
use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;
use tower::service_fn;

use super::authority::Authority;
use super::client::Client;
use super::front::Front;
use super::within;

const NAME: &str = "shop.test";

/// A server that answers without reading, though not at once, and clients for it.
fn front(authority: &Authority) -> Front {
    let identity = authority.issue(&[NAME]).identity();
    let tls = ServerTls::new([identity]).unwrap();
    let late = service_fn(async |_: Request<ClientBody>| {
        sleep(Duration::from_millis(50)).await;
        Ok::<_, Infallible>(Response::new("late".to_owned()))
    });
    Front::start(Server::new().tls(&tls), late)
}

async fn connected(authority: &Authority, front: &Front) -> TlsStream<TcpStream> {
    let client = Client::of(authority).connect(front.address, NAME).await;
    client.unwrap().stream
}

/// Reads to the end, which must have been announced.
async fn rest(stream: &mut TlsStream<TcpStream>) -> String {
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    told
}

#[tokio::test]
async fn an_answer_before_a_large_body_arrives() {
    within(async {
        let authority = Authority::new("ending");
        let front = front(&authority);
        let mut client = connected(&authority, &front).await;
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n";
        client.write_all(head).await.unwrap();
        client.write_all(&vec![b'y'; 5_000_000]).await.unwrap();
        client.flush().await.unwrap();
        let told = rest(&mut client).await;
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
        assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
        assert!(told.ends_with("late"), "{told}");
        drop(client);
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_announces_the_end_of_its_side_is_answered() {
    within(async {
        let authority = Authority::new("ending");
        let front = front(&authority);
        let mut client = connected(&authority, &front).await;
        let two = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2);
        client.write_all(&two).await.unwrap();
        client.shutdown().await.unwrap();
        let told = rest(&mut client).await;
        assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 2, "{told}");
    })
    .await;
}

/// Ends the client's side of TCP, and says nothing of it in TLS.
async fn end_unannounced(client: &mut TlsStream<TcpStream>) {
    client.flush().await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
}

/// What is answered to the rest of such a client; its own TLS may miss the end of that.
async fn answered(client: &mut TlsStream<TcpStream>) -> String {
    let mut told = Vec::new();
    let _ = client.read_to_end(&mut told).await;
    String::from_utf8(told).unwrap()
}

#[tokio::test]
async fn a_client_that_ends_its_side_unannounced_after_its_request_is_answered() {
    within(async {
        let authority = Authority::new("ending");
        let front = front(&authority);
        for (request, answers) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 1),
            (
                "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
                2,
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
                1,
            ),
        ] {
            let mut client = connected(&authority, &front).await;
            client.write_all(request.as_bytes()).await.unwrap();
            end_unannounced(&mut client).await;
            let told = answered(&mut client).await;
            let found = told.matches("HTTP/1.1 200 OK").count();
            assert_eq!(found, answers, "{request}: {told}");
        }
    })
    .await;
}

/// The end of a body that TLS did not announce may be that of an attacker.
#[tokio::test]
async fn an_upload_that_ends_early_and_unannounced_fails() {
    within(async {
        let authority = Authority::new("ending");
        let identity = authority.issue(&[NAME]).identity();
        let tls = ServerTls::new([identity]).unwrap();
        let (tell, mut read) = mpsc::unbounded_channel();
        let reads = service_fn(move |request: Request<ClientBody>| {
            let tell = tell.clone();
            async move {
                let body = request.into_body().collect().await;
                let body = body
                    .map(|body| body.to_bytes())
                    .map_err(|error| error.status());
                // Long enough that an end is noticed before the answer.
                sleep(Duration::from_millis(50)).await;
                tell.send(body).unwrap();
                Ok::<_, Infallible>(Response::new("read".to_owned()))
            }
        });
        let front = Front::start(Server::new().tls(&tls), reads);
        for (framing, body, whole) in [
            ("content-length: 5", "hello", true),
            (
                "transfer-encoding: chunked",
                "5\r\nhello\r\n0\r\n\r\n",
                true,
            ),
            ("content-length: 9", "hello", false),
            ("transfer-encoding: chunked", "5\r\nhello\r\n", false),
            ("transfer-encoding: chunked", "9\r\nhello", false),
        ] {
            let mut client = connected(&authority, &front).await;
            let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{body}");
            client.write_all(request.as_bytes()).await.unwrap();
            end_unannounced(&mut client).await;
            let told = answered(&mut client).await;
            let read = within(read.recv()).await.unwrap();
            if whole {
                assert_eq!(read.unwrap(), "hello");
                assert!(told.ends_with("read"), "{request}: {told}");
            } else {
                assert_eq!(read, Err(StatusCode::BAD_REQUEST), "{request}");
            }
        }
    })
    .await;
}
