//! Clients that speak HTTP/1.0, which has no chunks, and keeps connections only if both sides
//! say so.

use std::convert::Infallible;

use equipoise::proxy::{ClientBody, Server};
use http::{Request, Response};
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codegen::tokio_stream;
use tower::service_fn;

use super::client::rest;
use super::front::Front;
use super::member::{AnyBody, any, full};
use super::within;

/// A body of which no length is known.
fn endless(text: &'static str) -> AnyBody {
    let frame = Ok::<_, Infallible>(http_body::Frame::data(text.into()));
    any(StreamBody::new(tokio_stream::once(frame)))
}

fn front() -> Front {
    let answer = service_fn(async |request: Request<ClientBody>| {
        let answer = match request.uri().path() {
            "/known" => Response::new(full("hello")),
            "/announced" => {
                let answer = Response::builder().header("content-length", 5);
                answer.body(endless("hello")).unwrap()
            }
            "/304" => Response::builder().status(304).body(endless("")).unwrap(),
            _ => Response::new(endless("hello")),
        };
        Ok::<_, Infallible>(answer)
    });
    Front::start(Server::new(), answer)
}

async fn asks(client: &mut TcpStream, method: &str, path: &str) {
    let head = format!("{method} {path} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
}

async fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_the_connection_and_says_so() {
    within(async {
        let front = front();
        let mut client = TcpStream::connect(front.address).await.unwrap();
        asks(&mut client, "GET", "/").await;
        let told = rest(&mut client).await;
        assert!(told.starts_with("HTTP/1.0 200 OK\r\n"), "{told}");
        assert!(told.contains("connection: close\r\n"), "{told}");
        assert!(
            !told.contains("keep-alive") && !told.contains("chunked"),
            "{told}"
        );
        assert!(told.ends_with("\r\n\r\nhello"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_with_a_length_or_without_a_body_leaves_the_connection_open() {
    within(async {
        let front = front();
        let mut client = TcpStream::connect(front.address).await.unwrap();
        for (method, path, length) in [
            ("GET", "/known", 5),
            ("GET", "/announced", 5),
            ("HEAD", "/", 0),
            ("HEAD", "/known", 0),
            ("GET", "/304", 0),
            ("GET", "/known", 5),
        ] {
            asks(&mut client, method, path).await;
            let head = head(&mut client).await;
            assert!(head.contains("connection: keep-alive\r\n"), "{head}");
            assert!(!head.contains("close"), "{head}");
            client.read_exact(&mut vec![0; length]).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn the_last_answer_of_a_connection_does_not_say_that_it_is_kept() {
    within(async {
        let hello = service_fn(async |_: Request<ClientBody>| {
            Ok::<_, Infallible>(Response::new("hello".to_owned()))
        });
        let front = Front::start(Server::new().max_requests(1), hello);
        let mut client = TcpStream::connect(front.address).await.unwrap();
        asks(&mut client, "GET", "/").await;
        let told = rest(&mut client).await;
        assert!(told.contains("connection: close\r\n"), "{told}");
        assert!(!told.contains("keep-alive"), "{told}");
    })
    .await;
}
