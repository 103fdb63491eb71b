//! How connections end under TLS, where an end is announced: answers that come before the
//! body, and clients that end their side.

use std::convert::Infallible;
use std::time::Duration;

use equipoise::proxy::{ClientBody, Server, ServerTls};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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

/// Under TLS an end that was not announced is none.
#[tokio::test]
async fn a_client_that_does_not_is_taken_to_be_gone() {
    within(async {
        let authority = Authority::new("ending");
        let front = front(&authority);
        let mut client = connected(&authority, &front).await;
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        client.flush().await.unwrap();
        client.get_mut().0.shutdown().await.unwrap();
        let mut told = String::new();
        let _ = client.read_to_string(&mut told).await;
        assert_eq!(told, "");
    })
    .await;
}
