//! The proxy of this crate as it comes: all limits, failover and `X-Forwarded-*`.

use std::net::SocketAddr;

use equipoise::Balancer;
use equipoise::net::{Listener, shutdown_signal};
use equipoise::proxy::{Endpoint, HttpVersions, ReverseProxy, Server};
use equipoise::service::BoxError;

/// Serves `address` until somebody asks the process to stop.
pub(crate) async fn serve(
    address: SocketAddr,
    upstreams: &[SocketAddr],
    versions: HttpVersions,
) -> Result<(), BoxError> {
    let mut members = Vec::new();
    for upstream in upstreams {
        let uri = format!("http://{upstream}").parse()?;
        let member = Endpoint::builder(uri).versions(versions).build()?;
        members.push((upstream.to_string(), member));
    }
    let proxy = ReverseProxy::new(Balancer::new(members)?);
    let listener = Listener::bind(address)?;
    Server::new()
        .serve(listener, proxy, shutdown_signal()?)
        .await;
    Ok(())
}
