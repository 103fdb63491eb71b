//! Answers that are given before the request's body was read: the client reads them, and knows
//! whether the connection lives on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use equipoise::proxy::{ClientBody, ReverseProxy, Server};
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::client::{Client, asking, bytes, get, rest};
use super::front::Front;
use super::member::{balancer, endpoint, full};
use super::within;

/// A server whose service answers at once, with so many bytes, and reads nothing.
fn answering(server: Server, length: usize) -> Front {
    let answer = service_fn(move |_: Request<ClientBody>| async move {
        Ok::<_, Infallible>(Response::new("n".repeat(length)))
    });
    Front::start(server, answer)
}

fn post(framing: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn of_length(length: usize) -> Vec<u8> {
    post(&format!("content-length: {length}"), &vec![b'y'; length])
}

/// Reads a head, and the body that its length announces.
async fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split_once("content-length: ").unwrap().1;
    let length = length.split_once("\r\n").unwrap().0.parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

fn closes(head: &str) -> bool {
    head.contains("\r\nconnection: close\r\n")
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_small_rest_is_discarded_and_the_connection_lives_on() {
    within(async {
        let front = answering(Server::new(), 2);
        let mut client = TcpStream::connect(front.address).await.unwrap();
        for _ in 0..3 {
            let whole = of_length(60_000);
            let (first, second) = whole.split_at(100);
            client.write_all(first).await.unwrap();
            let (head, _) = answer(&mut client).await;
            assert!(!closes(&head), "{head}");
            client.write_all(second).await.unwrap();
            client.write_all(GET).await.unwrap();
            let (head, _) = answer(&mut client).await;
            assert!(!closes(&head), "{head}");
        }
        drop(client);
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn the_body_is_no_request_though_it_looks_like_one() {
    within(async {
        let front = answering(Server::new(), 2);
        let inner = b"GET /inner HTTP/1.1\r\nhost: a\r\n\r\n";
        let outer = post(&format!("content-length: {}", inner.len()), inner);
        let last = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let told = bytes(front.address, [outer.as_slice(), last].concat()).await;
        assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 2, "{told}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_before_a_large_body_says_that_it_is_the_last_and_arrives() {
    within(async {
        let front = answering(Server::new(), 2);
        let endless = "transfer-encoding: chunked";
        let chunk = [b"100000\r\n".as_slice(), &vec![b'y'; 1 << 20], b"\r\n"].concat();
        for request in [
            of_length(5_000_000),
            of_length(70_000),
            post(endless, &chunk.repeat(4)),
            post(endless, b"1\r\ny\r\n"),
        ] {
            let mut client = TcpStream::connect(front.address).await.unwrap();
            // All of it is taken, though the answer came after the head.
            client.write_all(&request).await.unwrap();
            let (head, body) = answer(&mut client).await;
            assert!(closes(&head), "{head}");
            assert_eq!(body, b"nn");
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        }
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_large_answer_and_a_large_body_do_not_wait_for_each_other() {
    within(async {
        let front = answering(Server::new(), 30_000_000);
        let mut client = TcpStream::connect(front.address).await.unwrap();
        client.write_all(&of_length(30_000_000)).await.unwrap();
        let (head, body) = answer(&mut client).await;
        assert!(closes(&head), "{head}");
        assert_eq!(body.len(), 30_000_000);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_not_asked_after_the_answer() {
    within(async {
        let front = answering(Server::new(), 2);
        let request = post("content-length: 5\r\nexpect: 100-continue", b"");
        let told = bytes(front.address, request).await;
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
        assert!(closes(&told) && !told.contains("100"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_for_its_size_is_told_so_though_it_is_still_sent() {
    within(async {
        let server = Server::new().max_body(1_000).max_head(10_000);
        let read = service_fn(async |request: Request<ClientBody>| {
            let status = match request.into_body().collect().await {
                Ok(_) => 200,
                Err(error) => error.status().as_u16(),
            };
            let answer = Response::builder().status(status);
            Ok::<_, Infallible>(answer.body(String::new()).unwrap())
        });
        let front = Front::start(server, read);
        let chunk = [b"10000\r\n".as_slice(), &vec![b'y'; 1 << 16], b"\r\n"].concat();
        let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(3_000_000));
        for (request, status) in [
            (of_length(3_000_000), 413),
            (post("transfer-encoding: chunked", &chunk.repeat(50)), 413),
            (head.into_bytes(), 431),
            (
                [b"no http\r\n\r\n".as_slice(), &vec![b'y'; 3_000_000]].concat(),
                400,
            ),
        ] {
            let mut client = TcpStream::connect(front.address).await.unwrap();
            client.write_all(&request).await.unwrap();
            let told = rest(&mut client).await;
            assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
            assert!(closes(&told), "{told}");
        }
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_proxy_without_a_member_that_lives_answers_each_of_many_posts() {
    within(async {
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = nowhere.local_addr().unwrap();
        drop(nowhere);
        let front = Front::start(
            Server::new(),
            ReverseProxy::new(balancer([endpoint(address)])),
        );
        let mut client = TcpStream::connect(front.address).await.unwrap();
        for length in [250, 250, 60_000, 250] {
            client.write_all(&of_length(length)).await.unwrap();
            let (head, _) = answer(&mut client).await;
            assert!(head.starts_with("HTTP/1.1 50"), "{head}");
            assert!(!closes(&head), "{head}");
        }
        let mut client = TcpStream::connect(front.address).await.unwrap();
        client.write_all(&of_length(5_000_000)).await.unwrap();
        let (head, _) = answer(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 50") && closes(&head), "{head}");
    })
    .await;
}

/// The service answers, and something of it reads the body, which stops with that later.
#[tokio::test]
async fn a_body_that_is_given_up_after_the_answer_is_discarded_too() {
    within(async {
        let stop = Arc::new(Notify::new());
        let stops = stop.clone();
        let answer_first = service_fn(move |request: Request<ClientBody>| {
            let stops = stops.clone();
            async move {
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    if body.frame().await.is_some() {
                        stops.notified().await;
                    }
                });
                Ok::<_, Infallible>(Response::new("nn".to_owned()))
            }
        });
        let front = Front::start(Server::new(), answer_first);
        let mut client = TcpStream::connect(front.address).await.unwrap();
        let whole = of_length(50_000);
        client.write_all(&whole[..100]).await.unwrap();
        let (head, _) = answer(&mut client).await;
        assert!(!closes(&head), "{head}");
        stop.notify_one();
        client.write_all(&whole[100..]).await.unwrap();
        client.write_all(GET).await.unwrap();
        let (head, _) = answer(&mut client).await;
        assert!(!closes(&head), "{head}");
    })
    .await;
}

#[tokio::test]
async fn over_http2_the_answer_arrives_and_the_connection_lives_on() {
    within(async {
        let front = answering(Server::new(), 2);
        let mut client = Client::connect(front.address, Version::HTTP_2).await;
        for length in [250, 5_000_000, 250] {
            let request = asking("POST", "/").body(full("y".repeat(length)));
            let answer = client.ask(request.unwrap()).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, "nn"));
        }
        assert_eq!(client.ask(get("/")).await.status, 200);
    })
    .await;
}

/// Asks a server that answers one request for each connection, and leaves the connection
/// open.
async fn leave_open(front: &Front) -> TcpStream {
    leave_open_after(front, GET).await
}

async fn leave_open_after(front: &Front, last: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(front.address).await.unwrap();
    client.write_all(last).await.unwrap();
    answer(&mut client).await;
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    client
}

#[tokio::test]
async fn a_connection_that_lingers_counts_as_one_for_as_long_as_it_may() {
    within(async {
        let limit = Duration::from_millis(300);
        let server = Server::new().max_connections(1).linger_timeout(limit);
        let front = answering(server.max_requests(1), 2);
        let began = Instant::now();
        let mut lingers = leave_open(&front).await;
        let next = leave_open(&front);
        tokio::pin!(next);
        // What it sends gives it no more time.
        loop {
            tokio::select! {
                _ = &mut next => break,
                () = sleep(limit / 10) => { let _ = lingers.write_all(b"more").await; }
            }
        }
        assert!(began.elapsed() >= limit.mul_f32(0.9));
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_lingers_does_not_hold_the_stop_up() {
    within(async {
        let server = Server::new().linger_timeout(Duration::from_secs(600));
        let front = answering(server.max_requests(1), 2);
        let mut lingers = leave_open(&front).await;
        let flood = tokio::spawn(async move {
            while lingers.write_all(&[0; 1000]).await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        });
        let began = Instant::now();
        assert_eq!(front.stop().await.cut(), 0);
        assert!(began.elapsed() < Duration::from_secs(5));
        flood.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_client_that_announces_its_last_request_is_not_waited_for() {
    within(async {
        let server = Server::new().max_connections(1);
        let front = answering(server.linger_timeout(Duration::from_secs(600)), 2);
        let mut open = Vec::new();
        for last in [
            &b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nhost: a\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nab",
            b"GET / HTTP/1.0\r\n\r\n",
        ] {
            // Each has to leave its place for the next, though all leave their side open.
            open.push(leave_open_after(&front, last).await);
        }
        assert_eq!(open.len(), 3);
    })
    .await;
}
