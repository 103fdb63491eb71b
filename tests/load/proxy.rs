//! The proxy as a process of its own.

use std::net::SocketAddr;

use equipoise::Balancer;
use equipoise::net::Listener;
use equipoise::proxy::{Endpoint, ReverseProxy, Server};

use crate::process::{Role, orders, say, told};

/// A proxy in front of the members whose addresses it is told; nothing unless it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_proxy() {
    let Some(told) = told() else {
        return;
    };
    let members = told.split(',').map(|address| {
        let uri = format!("http://{address}").parse().unwrap();
        (address, Endpoint::new(uri).unwrap())
    });
    let balancer = Balancer::new(members).unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    say("listens on ", listener.local_addr().unwrap());
    let parent_is_gone = async {
        let _ = orders().next_line().await;
    };
    let server = Server::new().idle_timeout(std::time::Duration::from_secs(300));
    server
        .serve(listener, ReverseProxy::new(balancer), parent_is_gone)
        .await;
}

/// Starts a proxy in front of these members.
pub(crate) fn proxy(members: &[SocketAddr]) -> (Role, SocketAddr) {
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    let mut proxy = Role::start("proxy::role_proxy", &members.join(","));
    let address = proxy.says("listens on ").parse().unwrap();
    (proxy, address)
}
