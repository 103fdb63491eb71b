//! The edge in an axum application, as the README's first sample has it.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use equipoise::Balancer;
use equipoise::proxy::{ClientAddrLayer, Endpoint, ReverseProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// A member that tells each request, as it came, and keeps its connections; or that echoes
/// by WebSocket.
async fn member() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 4_096];
                let length = stream.peek(&mut head).await.unwrap();
                if head[..length].starts_with(b"GET /socket") {
                    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    echo(&mut socket).await;
                    return;
                }
                while let Ok(length @ 1..) = stream.read(&mut head).await {
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                    let answer = [answer.as_bytes(), &head[..length]].concat();
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    address
}

async fn echo(socket: &mut tokio_tungstenite::WebSocketStream<TcpStream>) {
    use futures_util::{SinkExt, StreamExt};
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            socket.send(message).await.unwrap();
        }
    }
}

/// The sample, with a member that is there.
async fn app() -> SocketAddr {
    let member = format!("http://{}", member().await).parse().unwrap();
    let balancer = Balancer::new([("a", Endpoint::new(member).unwrap())]).unwrap();
    let client = ClientAddrLayer::new(|extensions| {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.0)
    });
    let app = Router::new()
        .route("/health", get(async || "fine"))
        .fallback_service(ReverseProxy::new(balancer))
        .layer(client)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

async fn told(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    told
}

#[tokio::test]
async fn members_are_told_who_asks_and_nothing_that_a_client_makes_up() {
    let address = app().await;
    let told = told(
        address,
        "GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: close, x-mine\r\nX-Mine: 1\r\n\
         Proxy-Authorization: Basic eDp5\r\nX-Forwarded-For: 10.0.0.1\r\nX_Real_IP: 10.0.0.1\r\n\
         Transfer_Encoding: chunked\r\nAccept: */*\r\n\r\n",
    )
    .await
    .to_ascii_lowercase();
    assert!(told.starts_with("http/1.1 200"), "{told}");
    let (_, asked) = told.split_once("\r\n\r\n").unwrap();
    for line in [
        "get /x http/1.1",
        "accept: */*",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
    ] {
        assert!(asked.lines().any(|it| it == line), "{line}: {asked}");
    }
    for gone in [
        "connection",
        "proxy-authorization",
        "x-mine",
        "10.0.0.1",
        "transfer_encoding",
        "x_real_ip",
    ] {
        assert!(!asked.contains(gone), "{gone}: {asked}");
    }
}

#[tokio::test]
async fn what_has_no_single_host_is_refused() {
    let address = app().await;
    for request in [
        "GET /x HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET ftp://a/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        let told = told(address, request).await;
        assert!(told.starts_with("HTTP/1.1 400"), "{request}: {told}");
    }
}

#[tokio::test]
async fn a_web_socket_passes() {
    use futures_util::{SinkExt, StreamExt};
    let address = app().await;
    let url = format!("ws://{address}/socket");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let echoed = socket.next().await.unwrap().unwrap();
    assert_eq!(echoed, Message::text("hello"));
}
