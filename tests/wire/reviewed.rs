//! What an independent review found, seen failing before it was mended.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use equipoise::Balancer;
use equipoise::net::Listener;
use equipoise::proxy::{ClientBody, Endpoint, EndpointError, ReverseProxy, Server, TimeoutStage};
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

use super::member::{Member, OK, Talk};

fn get(path: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(path).header("host", "a");
    request.body(Empty::new()).unwrap()
}

fn uri(address: SocketAddr) -> Uri {
    format!("http://{address}").parse().unwrap()
}

async fn done<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.unwrap()
}

fn listener() -> Listener {
    Listener::bind(([127, 0, 0, 1], 0).into()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_connections_may_turn_out_to_be_closed() {
    const IDLE: usize = 800;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (all, die) = (Arc::new(Barrier::new(IDLE)), Arc::new(Notify::new()));
    let (bar, death) = (all.clone(), die.clone());
    tokio::spawn(async move {
        for accepted in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (bar, death) = (bar.clone(), death.clone());
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                if accepted < IDLE {
                    bar.wait().await;
                }
                let mut death = pin!(death.notified());
                death.as_mut().enable();
                let _ = stream.write_all(OK.as_bytes()).await;
                death.await;
            });
        }
    });
    let member = Endpoint::builder(uri(address))
        .max_idle(IDLE)
        .idle_lifetime(Duration::from_secs(600))
        .build()
        .unwrap();
    let ask = || {
        let member = member.clone();
        async move {
            let answer = member.oneshot(get("/")).await.unwrap();
            answer.into_body().collect().await.unwrap();
        }
    };
    let asking: tokio::task::JoinSet<()> = std::iter::repeat_with(ask).take(IDLE).collect();
    done(asking.join_all()).await;
    die.notify_waiters();
    sleep(Duration::from_millis(200)).await;
    done(ask()).await;
}

#[tokio::test]
async fn an_answer_is_noticed_whatever_is_left_of_a_tasks_budget() {
    for used in [0, 1, 60, 120, 125, 126, 127] {
        let answer = [
            b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".as_slice(),
            &[b'x'; 100_000],
        ];
        let member = Member::answering(answer.concat()).await;
        let endpoint = Endpoint::builder(uri(member.address)).head_timeout(None);
        let endpoint = endpoint.build().unwrap();
        let first = endpoint.clone().oneshot(get("/")).await.unwrap();
        first.into_body().collect().await.unwrap();
        let asking = tokio::spawn(async move {
            let mut answer = pin!(endpoint.oneshot(get("/")));
            poll_fn(|context| {
                for _ in 0..used {
                    let _ = pin!(tokio::task::coop::consume_budget()).poll(context);
                }
                answer.as_mut().poll(context)
            })
            .await
            .unwrap();
        });
        done(asking).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_though_its_answer_is_always_ready() {
    let frames = tower::service_fn(async |_: Request<ClientBody>| {
        Ok::<_, Infallible>(http::Response::new(Endless))
    });
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let server = Server::new().write_timeout(Duration::from_millis(200));
    tokio::spawn(server.serve(listener, frames, pending()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    // What is left in the system's buffers, and then the end.
    let mut sink = tokio::io::sink();
    let _ = done(tokio::io::copy(&mut client, &mut sink)).await;
}

/// A body that has always more.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let frame = http_body::Frame::data(Bytes::from_static(&[b'x'; 1_000]));
        std::task::Poll::Ready(Some(Ok(frame)))
    }
}

#[tokio::test]
async fn requests_of_a_client_of_http_2_that_takes_nothing_end() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n".as_slice();
    let member = Member::answering([head, &vec![b'x'; 10_000_000]].concat()).await;
    let balancer = Balancer::new([("a", member.endpoint())]).unwrap();
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let server = Server::new().write_timeout(Duration::from_millis(300));
    let proxy = ReverseProxy::new(balancer.clone());
    tokio::spawn(server.serve(listener, proxy, pending()));
    let stream = hyper_util::rt::TokioIo::new(TcpStream::connect(address).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let shaken = hyper::client::conn::http2::handshake(executor, stream);
    let (mut sender, connection) = shaken.await.unwrap();
    // Its streams are reset, and it stays.
    tokio::spawn(connection);
    let mut held = Vec::new();
    for _ in 0..5 {
        let request = Request::get(format!("http://{address}/"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        held.push(sender.send_request(request).await.unwrap());
    }
    let in_flight = || balancer.members()[0].in_flight();
    done(async {
        while in_flight() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_limit_of_the_whole_holds_while_there_is_always_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
    });
    let member = Endpoint::builder(uri(address)).request_timeout(Duration::from_millis(200));
    let answer = member.build().unwrap().oneshot(get("/")).await.unwrap();
    let mut body = answer.into_body();
    let error = done(async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => sleep(Duration::from_millis(5)).await,
                Some(Err(error)) => return error,
                None => panic!("it has no end"),
            }
        }
    })
    .await;
    let whole = TimeoutStage::Whole;
    assert!(matches!(error, EndpointError::TimedOut { over, .. } if over == whole));
}

#[tokio::test]
async fn a_length_that_is_not_the_bodys_is_not_passed_on() {
    let member = Member::answering(OK).await;
    let endpoint = member.endpoint();
    let ask = |length: &str, body: &'static str| {
        let request = Request::post("/").header("content-length", length);
        let body = http_body_util::Full::new(Bytes::from_static(body.as_bytes()));
        endpoint.clone().oneshot(request.body(body).unwrap())
    };
    // Somebody has taken the body.
    done(ask("40", "")).await.unwrap();
    let refused = done(ask("40", "short")).await.unwrap_err();
    assert!(matches!(refused, EndpointError::Request { .. }));
    done(ask("5", "right")).await.unwrap();
}

#[tokio::test]
async fn a_limit_without_end_is_one() {
    let member = Member::answering(OK).await;
    let endpoint = Endpoint::builder(uri(member.address))
        .connect_timeout(Duration::MAX)
        .head_timeout(Duration::MAX)
        .frame_timeout(Duration::MAX)
        .request_timeout(Duration::MAX)
        .idle_lifetime(Duration::MAX)
        .build()
        .unwrap();
    let proxy = ReverseProxy::new(Balancer::new([("a", endpoint)]).unwrap());
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let server = Server::new()
        .head_timeout(Duration::MAX)
        .body_timeout(Duration::MAX)
        .write_timeout(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .drain_timeout(Duration::MAX);
    tokio::spawn(server.serve(listener, proxy, pending()));
    let mut client = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 15];
        done(client.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        sleep(Duration::from_millis(20)).await;
        let _ = client.try_read(&mut [0; 1024]);
    }
}

#[tokio::test]
async fn the_only_member_may_have_a_get_again_that_found_its_connection_closed() {
    let member = Member::scripted(|mut talk: Talk| async move {
        if talk.request().await.is_some() {
            talk.say(OK).await;
        }
        if talk.earlier == 0 {
            talk.request().await;
            return;
        }
        while talk.request().await.is_some() {
            talk.say(OK).await;
        }
    })
    .await;
    let proxy = ReverseProxy::new(Balancer::new([("a", member.endpoint())]).unwrap());
    for _ in 0..3 {
        let answer = done(proxy.clone().oneshot(get("/"))).await.unwrap();
        assert_eq!(answer.status(), 200);
        let _ = answer.into_body().collect().await;
    }
}

#[tokio::test]
async fn the_last_answer_of_a_connection_says_so() {
    let hello = tower::service_fn(async |_: Request<ClientBody>| {
        Ok::<_, Infallible>(http::Response::new("hi".to_owned()))
    });
    let listener = listener();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        Server::new()
            .max_requests(2)
            .serve(listener, hello, pending()),
    );
    let mut client = TcpStream::connect(address).await.unwrap();
    let five = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(5);
    client.write_all(five.as_bytes()).await.unwrap();
    let mut told = String::new();
    let _ = done(client.read_to_string(&mut told)).await;
    assert_eq!(told.matches("200 OK").count(), 2, "{told}");
    assert_eq!(told.matches("connection: close").count(), 1, "{told}");
}

#[tokio::test]
async fn an_idle_client_of_http_2_that_does_not_answer_holds_no_stop_up() {
    let member = Member::answering(OK).await;
    let proxy = ReverseProxy::new(Balancer::new([("a", member.endpoint())]).unwrap());
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::new().drain_timeout(Duration::from_secs(15));
    let serving = tokio::spawn(server.serve(listener, proxy, async {
        let _ = stopped.await;
    }));
    let mut client = TcpStream::connect(address).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    client.write_all(preface).await.unwrap();
    // It has been taken once it is answered.
    done(client.read(&mut [0; 64])).await.unwrap();
    let began = Instant::now();
    drop(stop);
    assert_eq!(done(serving).await.unwrap().cut(), 0);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn settings_for_tls_do_not_go_with_http() {
    #[cfg(feature = "tls")]
    {
        let tls = equipoise::net::MemberTls::dangerously_without_verification();
        let member = Endpoint::builder(Uri::from_static("http://a")).tls(&tls);
        let error = member.build().unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(why, "it has TLS settings: use https://");
    }
}
