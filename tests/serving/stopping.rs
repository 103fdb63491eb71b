//! How a server stops: what has begun is answered, what never ends is cut and counted, and
//! nobody who is connected already is turned away.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use equipoise::net::{Listener, Stopped};
use equipoise::proxy::{ClientBody, ReverseProxy, Server};
use http::{Request, Response, Version};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::client::{Client, ask, asking, bytes, get, rest};
use super::front::Front;
use super::member::{Member, balancer, empty, endpoint, full, proxy};
use super::web_socket::{Echo, hear_again, hear_the_end, talk};
use super::{eventually, within};

/// A member that answers when it is told to, and `/quick` at once.
struct Slow {
    member: Member,
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

impl Slow {
    async fn start() -> Self {
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (in_it, may_go) = (entered.clone(), release.clone());
        let member = Member::start(move |request| {
            let (in_it, may_go) = (in_it.clone(), may_go.clone());
            async move {
                if request.uri().path() != "/quick" {
                    in_it.notify_one();
                    may_go.notified().await;
                }
                Response::new(full("late"))
            }
        });
        Self {
            member: member.await,
            entered,
            release,
        }
    }
}

/// A server that gives what has begun so long.
fn draining_in(millis: u64) -> Server {
    Server::new().drain_timeout(Duration::from_millis(millis))
}

async fn is_refused(address: SocketAddr) {
    loop {
        match TcpStream::connect(address).await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                return;
            }
            Ok(_) => sleep(Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test]
async fn a_request_in_flight_is_answered_while_nobody_else_can_connect() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        within(async {
            let slow = Slow::start().await;
            let mut front = Front::start(Server::new(), proxy([slow.member.endpoint()]));
            let mut client = Client::connect(front.address, version).await;
            let answer = tokio::spawn(async move {
                let answer = client.ask(get("/")).await;
                client.closed().await;
                answer
            });
            slow.entered.notified().await;
            front.begin_to_stop();
            is_refused(front.address).await;
            slow.release.notify_one();
            assert_eq!(answer.await.unwrap().text, "late");
            assert_eq!(front.stop().await.cut(), 0);
        })
        .await;
    }
}

#[tokio::test]
async fn who_is_idle_does_not_hold_the_stop_up() {
    within(async {
        let member = Member::telling().await;
        let front = Front::start(Server::new(), proxy([member.endpoint()]));
        let mut clients = Vec::new();
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let mut client = Client::connect(front.address, version).await;
            assert_eq!(client.ask(get("/")).await.status, 200);
            clients.push(client);
        }
        let began = Instant::now();
        assert_eq!(front.stop().await.cut(), 0);
        assert!(began.elapsed() < Duration::from_secs(5));
        for client in &mut clients {
            client.closed().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_never_ends_is_cut_in_time_and_counted() {
    within(async {
        let slow = Slow::start().await;
        let balancer = balancer([slow.member.endpoint()]);
        let front = Front::start(draining_in(200), ReverseProxy::new(balancer.clone()));
        let mut asked = Vec::new();
        for version in [Version::HTTP_11, Version::HTTP_11, Version::HTTP_2] {
            let mut client = Client::connect(front.address, version).await;
            asked.push(tokio::spawn(async move { client.send(get("/")).await }));
            slow.entered.notified().await;
        }
        let mut idle = Client::connect(front.address, Version::HTTP_11).await;
        assert_eq!(idle.ask(get("/quick")).await.status, 200);
        let began = Instant::now();
        assert_eq!(front.stop().await.cut(), 3, "who is idle does not count");
        assert!(began.elapsed() >= Duration::from_millis(200));
        assert!(began.elapsed() < Duration::from_secs(5));
        for asked in asked {
            asked.await.unwrap().unwrap_err();
        }
        let member = balancer.member("a").unwrap();
        eventually(|| member.in_flight() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_has_begun_is_sent_to_its_end() {
    within(async {
        let (more, pieces) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
        let pieces = Arc::new(std::sync::Mutex::new(Some(pieces)));
        let streaming = service_fn(move |_: Request<ClientBody>| {
            let body = Pieces(pieces.lock().unwrap().take().unwrap());
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        let mut front = Front::start(Server::new(), streaming);
        more.send("begun, ").unwrap();
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        let response = client.send(get("/")).await.unwrap();
        front.begin_to_stop();
        is_refused(front.address).await;
        more.send("and done").unwrap();
        drop(more);
        let answer = super::client::Answer::of(response).await;
        assert_eq!(answer.text, "begun, and done");
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

/// Requests that cross the stop: the client cannot know of it yet.
#[tokio::test]
async fn a_kept_connection_may_send_one_more_request() {
    within(async {
        let hello = service_fn(async |_: Request<ClientBody>| {
            Ok::<_, Infallible>(Response::new("hello".to_owned()))
        });
        let mut front = Front::start(Server::new(), hello);
        let mut clients = Vec::new();
        for _ in 0..12 {
            let mut client = Client::connect(front.address, Version::HTTP_11).await;
            assert_eq!(client.ask(get("/")).await.status, 200);
            clients.push(client);
        }
        front.begin_to_stop();
        is_refused(front.address).await;
        for client in &mut clients {
            let request = asking("POST", "/").body(full("once")).unwrap();
            let answer = client.ask(request).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers["connection"], "close");
            client.closed().await;
        }
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

/// The head of the answer could not say yet that it is the last.
#[tokio::test]
async fn so_may_one_whose_answer_had_begun_before_the_stop() {
    within(async {
        let (more, pieces) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
        let pieces = Arc::new(std::sync::Mutex::new(Some(pieces)));
        let streaming = service_fn(move |_: Request<ClientBody>| {
            let (_, none) = tokio::sync::mpsc::unbounded_channel();
            let body = Pieces(pieces.lock().unwrap().take().unwrap_or(none));
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        let mut front = Front::start(Server::new(), streaming);
        more.send("begun, ").unwrap();
        let mut client = Client::connect(front.address, Version::HTTP_11).await;
        let response = client.send(get("/")).await.unwrap();
        front.begin_to_stop();
        is_refused(front.address).await;
        more.send("and done").unwrap();
        drop(more);
        let answer = super::client::Answer::of(response).await;
        assert_eq!(answer.text, "begun, and done");
        assert!(!answer.headers.contains_key("connection"));
        let answer = client.ask(get("/")).await;
        assert_eq!(answer.headers["connection"], "close");
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

/// Over HTTP/2 a request is answered, or refused so that it is known not to have been
/// executed.
#[tokio::test]
async fn over_http2_none_of_those_that_cross_the_stop_is_lost() {
    within(async {
        let executed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = executed.clone();
        let hello = service_fn(move |_: Request<ClientBody>| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async { Ok::<_, Infallible>(Response::new("hello".to_owned())) }
        });
        let mut front = Front::start(Server::new(), hello);
        let stream = TcpStream::connect(front.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let (mut answered, mut refused) = (0, 0);
        for number in 0..200 {
            if number == 50 {
                front.begin_to_stop();
            }
            let request = Request::post("http://a/").body(()).unwrap();
            let Ok(mut ready) = client.clone().ready().await else {
                // It was told of the end, and has not sent it.
                break;
            };
            let Ok((answer, _)) = ready.send_request(request, true) else {
                break;
            };
            match answer.await {
                Ok(_) => answered += 1,
                Err(error) => {
                    assert!(error.is_go_away() || error.is_reset(), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(answered >= 50, "{answered}");
        assert_eq!(executed.load(std::sync::atomic::Ordering::SeqCst), answered);
        assert!(refused <= 1, "{refused}");
        drop(client);
        let _ = connection.await.unwrap();
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

struct Pieces(tokio::sync::mpsc::UnboundedReceiver<&'static str>);

impl http_body::Body for Pieces {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|text| Ok(http_body::Frame::data(text.into()))))
    }
}

#[tokio::test]
async fn a_tunnel_that_goes_on_is_cut_counted_and_really_over() {
    within(async {
        let mut echo = Echo::start().await;
        let balancer = balancer([endpoint(echo.address)]);
        let front = Front::start(draining_in(200), ReverseProxy::new(balancer.clone()));
        let (open, is_open) = tokio::sync::oneshot::channel();
        let talking = talk(front.address, move |socket| {
            hear_again(socket, "hello");
            open.send(()).unwrap();
            hear_the_end(socket);
        });
        let talking = tokio::spawn(talking);
        is_open.await.unwrap();
        assert_eq!(front.stop().await.cut(), 1);
        talking.await.unwrap();
        echo.ended.recv().await.unwrap();
        let member = balancer.member("a").unwrap();
        eventually(|| member.in_flight() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_that_ends_in_time_is_not_cut() {
    within(async {
        let echo = Echo::start().await;
        let mut front = Front::start(Server::new(), proxy([endpoint(echo.address)]));
        let (open, is_open) = tokio::sync::oneshot::channel();
        let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
        let talking = talk(front.address, move |socket| {
            hear_again(socket, "hello");
            open.send(()).unwrap();
            goes_on.recv().unwrap();
            hear_again(socket, "still here");
            socket.close(None).unwrap();
            while socket.read().is_ok() {}
        });
        let talking = tokio::spawn(talking);
        is_open.await.unwrap();
        front.begin_to_stop();
        is_refused(front.address).await;
        go_on.send(()).unwrap();
        talking.await.unwrap();
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_switch_that_is_in_flight_at_the_stop_is_done() {
    within(async {
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (in_it, may_go) = (entered.clone(), release.clone());
        let member = Member::start(move |_| {
            let (in_it, may_go) = (in_it.clone(), may_go.clone());
            async move {
                in_it.notify_one();
                may_go.notified().await;
                let switched = Response::builder()
                    .status(101)
                    .header("connection", "upgrade")
                    .header("upgrade", "websocket");
                switched.body(empty()).unwrap()
            }
        })
        .await;
        let mut front = Front::start(Server::new(), proxy([member.endpoint()]));
        let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n\
                    upgrade: websocket\r\n\r\n";
        let answer = tokio::spawn(bytes(front.address, head));
        entered.notified().await;
        front.begin_to_stop();
        is_refused(front.address).await;
        release.notify_one();
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer:?}");
        assert!(answer.contains("\r\nconnection: upgrade\r\n"), "{answer:?}");
        assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_dropped_cuts_all_at_once() {
    within(async {
        let (slow, mut echo) = (Slow::start().await, Echo::start().await);
        let plain = Front::start(Server::new(), proxy([slow.member.endpoint()]));
        let tunnels = Front::start(Server::new(), proxy([endpoint(echo.address)]));
        let mut client = Client::connect(plain.address, Version::HTTP_11).await;
        let asked = tokio::spawn(async move { client.send(get("/")).await });
        slow.entered.notified().await;
        let (open, is_open) = tokio::sync::oneshot::channel();
        let talking = tokio::spawn(talk(tunnels.address, move |socket| {
            hear_again(socket, "hello");
            open.send(()).unwrap();
            hear_the_end(socket);
        }));
        is_open.await.unwrap();
        drop((plain, tunnels));
        asked.await.unwrap().unwrap_err();
        talking.await.unwrap();
        echo.ended.recv().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_waits_in_the_queue_at_the_stop_is_served() {
    within(async {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        for _ in 0..20 {
            // The system takes it, as nobody else does yet.
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
            stream.write_all(head).unwrap();
            stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
            queued.push(stream);
        }
        let hello = service_fn(async |_: Request<ClientBody>| {
            Ok::<_, Infallible>(Response::new("hello".to_owned()))
        });
        let stopped = Server::new().serve(listener, hello, std::future::ready(()));
        assert_eq!(stopped.await.cut(), 0);
        for mut stream in queued {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
            assert!(answer.ends_with("\r\n\r\nhello"), "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_a_place_at_the_stop_gets_one_when_there_is_one() {
    within(async {
        let slow = Slow::start().await;
        let server = Server::new().max_connections(1);
        let mut front = Front::start(server, proxy([slow.member.endpoint()]));
        let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let first = tokio::spawn(bytes(front.address, head));
        slow.entered.notified().await;
        let mut second = TcpStream::connect(front.address).await.unwrap();
        second.write_all(head.as_bytes()).await.unwrap();
        front.begin_to_stop();
        is_refused(front.address).await;
        slow.release.notify_one();
        assert!(first.await.unwrap().ends_with("late"));
        slow.release.notify_one();
        let answer = rest(&mut second).await;
        assert!(answer.ends_with("late"), "{answer:?}");
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[tokio::test]
async fn who_has_just_connected_may_still_ask() {
    within(async {
        let member = Member::telling().await;
        let mut front = Front::start(Server::new(), proxy([member.endpoint()]));
        let mut late = TcpStream::connect(front.address).await.unwrap();
        let mut silent = TcpStream::connect(front.address).await.unwrap();
        assert_eq!(ask(front.address, get("/")).await.status, 200);
        front.begin_to_stop();
        is_refused(front.address).await;
        let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        late.write_all(head).await.unwrap();
        let answer = rest(&mut late).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        assert_eq!(rest(&mut silent).await, "");
        assert_eq!(front.stop().await.cut(), 0);
    })
    .await;
}

#[test]
fn how_it_stopped_can_be_printed_and_compared() {
    fn holds<T: Copy + std::fmt::Debug + Eq + Send + Sync + 'static>() {}
    holds::<Stopped>();
}
