//! A reverse proxy in an axum application: the first sample of the README. It has no
//! options. Start two backends first, such as `python3 -m http.server 8081`.
//!
//! `cargo run --features proxy --example axum_proxy`
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use axum::{Router, extract::ConnectInfo, routing::get};
use equipoise::Balancer;
use equipoise::proxy::{ClientAddrLayer, Endpoint, ReverseProxy};
use std::{error::Error, net::SocketAddr};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let balancer = Balancer::new([
        ("a", Endpoint::new("http://127.0.0.1:8081".parse()?)?),
        ("b", Endpoint::new("http://127.0.0.1:8082".parse()?)?),
    ])?;
    // The client's address, for `X-Forwarded-For`.
    let client = ClientAddrLayer::new(|extensions| {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.0)
    });
    let app = Router::new()
        .route("/health", get(async || "fine"))
        .fallback_service(ReverseProxy::new(balancer))
        .layer(client)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    let here = listener.local_addr()?;
    println!("Listening. Try: curl http://{here}/health; curl http://{here}/");
    Ok(axum::serve(listener, app).await?)
}
