//! A reverse proxy in an axum application: the first sample of the README.
//!
//! `cargo run --features proxy --example axum_proxy`

use axum::{Router, extract::ConnectInfo, routing::get};
use equipoise::Balancer;
use equipoise::proxy::{ClientAddrLayer, Endpoint, ReverseProxy};
use std::{error::Error, net::SocketAddr};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let balancer = Balancer::new([
        ("a", Endpoint::new("http://10.0.0.1:8080".parse()?)?),
        ("b", Endpoint::new("http://10.0.0.2:8080".parse()?)?),
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
    Ok(axum::serve(listener, app).await?)
}
