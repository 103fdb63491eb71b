use axum::{Router, extract::ConnectInfo, routing::get};
use equipoise::Balancer;
use equipoise::proxy::{ClientAddrLayer, Endpoint, ReverseProxy};
use std::{error::Error, net::SocketAddr};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let balancer = Balancer::new([
        ("a", Endpoint::new("http://127.0.0.1:8081".parse()?)?),
        ("b", Endpoint::new("http://127.0.0.1:8082".parse()?)?),
    ])?;
    // The client's address, for `X-Forwarded-For`.
    let client_address = ClientAddrLayer::new(|extensions| {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.0)
    });
    let app = Router::new()
        .route("/health", get(async || "fine"))
        .fallback_service(ReverseProxy::new(balancer))
        .layer(client_address)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, app).await?)
}
