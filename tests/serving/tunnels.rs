//! Switching protocols through the proxy: WebSockets, what may not be switched to, and how
//! tunnels end.

use std::time::Duration;

use equipoise::proxy::{EdgeLayer, Forwarding, ReverseProxy, Server};
use equipoise::{BalanceLayer, Balancer};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Answer, ask, asking, bytes};
use super::front::Front;
use super::member::{AnyBody, Member, balancer, empty, endpoint, proxy, tell};
use super::web_socket::{Echo, hear_again, hear_the_end, talk};
use super::{eventually, within};

fn edge() -> EdgeLayer {
    EdgeLayer::new(Forwarding::new())
}

fn over(balancer: &Balancer<equipoise::proxy::Endpoint>, edge: EdgeLayer) -> ReverseProxy {
    ReverseProxy::from_parts(BalanceLayer::new(balancer.clone()), edge)
}

#[tokio::test]
async fn a_web_socket_is_in_flight_while_it_lives_and_its_bytes_count() {
    within(async {
        let mut echo = Echo::start().await;
        let balancer = balancer([endpoint(echo.address)]);
        let front = Front::start(Server::new(), over(&balancer, edge()));
        let state = balancer.member("a").unwrap();
        let member = state.clone();
        talk(front.address, move |socket| {
            let before = (member.bytes_sent(), member.bytes_received());
            let long = "x".repeat(10_000);
            for text in ["hello", "", &long] {
                hear_again(socket, text);
                assert_eq!(member.in_flight(), 1);
            }
            let binary = Message::binary(vec![7; 1_000]);
            socket.send(binary.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), binary);
            let sent = member.bytes_sent() - before.0;
            let received = member.bytes_received() - before.1;
            assert!((11_005..11_100).contains(&sent), "{sent}");
            assert!((11_005..11_100).contains(&received), "{received}");
            socket.close(None).unwrap();
            while socket.read().is_ok() {}
        })
        .await;
        echo.ended.recv().await.unwrap();
        eventually(|| state.in_flight() == 0).await;
        assert_eq!(state.picked(), 1);
    })
    .await;
}

#[tokio::test]
async fn either_side_ends_a_tunnel() {
    within(async {
        let mut echo = Echo::start().await;
        let balancer = balancer([endpoint(echo.address)]);
        let front = Front::start(Server::new(), over(&balancer, edge()));
        let state = balancer.member("a").unwrap();
        // The client is gone without a word.
        talk(front.address, |socket| hear_again(socket, "hello")).await;
        echo.ended.recv().await.unwrap();
        eventually(|| state.in_flight() == 0).await;
        for last in ["close", "vanish"] {
            talk(front.address, move |socket| {
                hear_again(socket, "hello");
                socket.send(Message::text(last)).unwrap();
                while socket.read().is_ok() {}
            })
            .await;
            echo.ended.recv().await.unwrap();
            eventually(|| state.in_flight() == 0).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_silent_tunnel_is_closed_and_one_that_is_used_is_not() {
    within(async {
        let mut echo = Echo::start().await;
        let balancer = balancer([endpoint(echo.address)]);
        let edge = edge().tunnel_timeout(Duration::from_millis(300));
        let front = Front::start(Server::new(), over(&balancer, edge));
        let began = Instant::now();
        talk(front.address, move |socket| {
            while began.elapsed() < Duration::from_millis(1_000) {
                hear_again(socket, "still here");
                // A pause without sleeping: nothing comes.
                let pause = Some(Duration::from_millis(30));
                socket.get_ref().set_read_timeout(pause).unwrap();
                socket.read().unwrap_err();
            }
            let patience = Some(Duration::from_secs(10));
            socket.get_ref().set_read_timeout(patience).unwrap();
            hear_the_end(socket);
        })
        .await;
        assert!(began.elapsed() >= Duration::from_millis(1_300));
        echo.ended.recv().await.unwrap();
        let state = balancer.member("a").unwrap();
        eventually(|| state.in_flight() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_outlives_all_that_limits_requests() {
    within(async {
        let echo = Echo::start().await;
        let short = Duration::from_millis(100);
        let server = Server::new()
            .head_timeout(short)
            .body_timeout(short)
            .idle_timeout(short)
            .write_timeout(short);
        let member = endpoint(echo.address)
            .head_timeout(short)
            .frame_timeout(short)
            .request_timeout(short)
            .idle_lifetime(short);
        let front = Front::start(server, proxy([member]));
        talk(front.address, |socket| {
            hear_again(socket, "hello");
            let pause = Some(Duration::from_millis(500));
            socket.get_ref().set_read_timeout(pause).unwrap();
            socket.read().unwrap_err();
            hear_again(socket, "and again");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_last_request_of_a_connection_may_switch() {
    within(async {
        let echo = Echo::start().await;
        let server = Server::new().max_requests(1);
        let front = Front::start(server, proxy([endpoint(echo.address)]));
        talk(front.address, |socket| hear_again(socket, "hello")).await;
    })
    .await;
}

fn wishing(protocol: &str) -> Request<AnyBody> {
    let request = asking("GET", "/")
        .header("connection", "upgrade, http2-settings")
        .header("upgrade", protocol)
        .header("http2-settings", "AAMAAABkAAQAAP__");
    request.body(empty()).unwrap()
}

#[tokio::test]
async fn what_may_not_be_switched_to_is_a_plain_request() {
    within(async {
        let member = Member::telling().await;
        let balancer = balancer([member.endpoint()]);
        let none = edge().upgrades::<String>([]);
        for (edge, wish) in [
            (none, "websocket"),
            (edge(), "h2c"),
            (edge(), "spdy/3.1"),
            (edge(), "h2c, websocket"),
        ] {
            let front = Front::start(Server::new(), over(&balancer, edge));
            let answer = ask(front.address, wishing(wish)).await;
            assert_eq!(answer.status, 200, "{wish}");
            for gone in ["upgrade", "connection", "http2-settings"] {
                assert_eq!(answer.told(gone), None, "{wish}: {answer:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_member_that_declines_to_switch_has_answered() {
    within(async {
        let member = Member::start(async |request: Request<Incoming>| {
            let mut response = tell(request).await;
            *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
            response
        })
        .await;
        let balancer = balancer([member.endpoint()]);
        let front = Front::start(Server::new(), over(&balancer, edge()));
        let answer = ask(front.address, wishing("websocket")).await;
        assert_eq!(answer.status, 426);
        assert_eq!(answer.told("upgrade"), Some("websocket"));
        assert_eq!(answer.told("connection"), Some("upgrade"));
        assert_eq!(answer.told("http2-settings"), None);
        let state = balancer.member("a").unwrap();
        eventually(|| state.in_flight() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_member_that_switches_to_something_else_has_failed() {
    within(async {
        let member = Member::start(async |_| {
            let switched = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", "h2c");
            switched.body(empty()).unwrap()
        })
        .await;
        let balancer = balancer([member.endpoint()]);
        let front = Front::start(Server::new(), over(&balancer, edge()));
        let answer = ask(front.address, wishing("websocket")).await;
        assert_eq!(answer.status, 502);
        assert!(!answer.headers.contains_key("upgrade"));
        let state = balancer.member("a").unwrap();
        eventually(|| state.in_flight() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn bytes_that_come_with_the_head_are_not_lost() {
    within(async {
        let member = Member::start(async |request: Request<Incoming>| {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(request).await.unwrap();
                let mut io = hyper_util::rt::TokioIo::new(upgraded);
                let (mut reader, mut writer) = tokio::io::split(&mut io);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
            let switched = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", "Echo/1");
            switched.body(empty()).unwrap()
        })
        .await;
        let balancer = balancer([member.endpoint()]);
        let edge = edge().upgrades(["echo/1"]);
        let front = Front::start(Server::new(), over(&balancer, edge));
        let eager = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n\
                     upgrade: echo/1\r\n\r\neager, and ";
        let mut stream = TcpStream::connect(front.address).await.unwrap();
        stream.write_all(eager.as_bytes()).await.unwrap();
        stream.write_all(b"then the rest").await.unwrap();
        // Who has said all can still listen.
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer:?}");
        assert!(answer.contains("\r\nupgrade: echo/1\r\n"), "{answer:?}");
        assert!(
            answer.ends_with("\r\n\r\neager, and then the rest"),
            "{answer:?}"
        );
        let state = balancer.member("a").unwrap();
        eventually(|| state.in_flight() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn connect_is_refused_in_either_http() {
    within(async {
        let member = Member::telling().await;
        let front = Front::start(Server::new(), proxy([member.endpoint()]));
        let sent = "CONNECT inside:22 HTTP/1.1\r\nhost: inside:22\r\nconnection: close\r\n\r\n";
        let answer = bytes(front.address, sent).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer:?}");
        assert!(answer.contains("\r\nallow: GET, HEAD"), "{answer:?}");

        let stream = TcpStream::connect(front.address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::connect("inside:22").body(empty()).unwrap();
        let answer = Answer::of(sender.send_request(request).await.unwrap()).await;
        assert_eq!(answer.status, 405);
        assert_eq!(member.asked(), 0);
    })
    .await;
}
