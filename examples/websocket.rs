//! WebSocket through the proxy: each tunnel is one request in flight for as long as it is
//! open; the next one goes to the server with fewer tunnels.
//!
//! Run it with `cargo run --features full --example websocket`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use equipoise::net::Listener;
use equipoise::proxy::{Endpoint, ReverseProxy, Server};
use equipoise::service::BoxError;
use equipoise::{Balancer, ByBusyness, MemberSpec};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let balancer = Balancer::builder()
        .scheduler(ByBusyness::new())
        .member("a", echo("a").await?, MemberSpec::new())
        .member("b", echo("b").await?, MemberSpec::new())
        .build()?;
    let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
    let here = listener
        .local_addr()
        .ok_or("the listener has no TCP address")?;
    let proxy = ReverseProxy::new(balancer.clone());
    tokio::spawn(Server::new().serve(listener, proxy, std::future::pending()));

    let mut sockets = Vec::new();
    for word in ["one", "two", "three", "four"] {
        let (mut socket, _) = connect_async(format!("ws://{here}/")).await?;
        socket.send(Message::text(word)).await?;
        let echoed = socket.next().await.ok_or("the WebSocket was closed")??;
        println!("{word}: {echoed}");
        sockets.push(socket);
    }
    for member in balancer.members() {
        let (sent, received) = (member.bytes_sent(), member.bytes_received());
        println!(
            "{}: {} open, {sent} bytes sent, {received} received",
            member.name(),
            member.in_flight()
        );
        assert_eq!(member.in_flight(), 2);
    }
    for mut socket in sockets {
        socket.close(None).await?;
        while socket.next().await.is_some() {}
    }
    while balancer.members().iter().any(|it| it.in_flight() > 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("all tunnels are closed, and no request is in flight");
    Ok(())
}

/// Starts a server that echoes messages with its name.
async fn echo(name: &'static str) -> Result<Endpoint, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await?;
                while let Some(message) = socket.next().await {
                    if let Message::Text(text) = message? {
                        socket
                            .send(Message::text(format!("{name} says {text}")))
                            .await?;
                    }
                }
                Ok::<_, BoxError>(())
            });
        }
    });
    Ok(Endpoint::new(uri)?)
}
