//! Requests that are not of the `http` crate: members are reqwest clients, each bound to
//! one backend, behind the balancer for requests of any type.
//!
//! Run it with `cargo run --example reqwest_clients`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::net::SocketAddr;

use axum::Router;
use equipoise::service::{BoxError, KeepRequest};
use equipoise::{Balancer, Flag, PickRequest};
use reqwest::{Client, Method, Request, Response};
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};

/// Keeps a copy of requests whose body can be copied, for another attempt.
#[derive(Clone, Copy)]
struct Copied;

impl KeepRequest<Request> for Copied {
    fn copy(&self, request: &Request) -> Option<Request> {
        request.try_clone()
    }

    fn is_idempotent(&self, request: &Request) -> bool {
        request.method().is_idempotent()
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let client = Client::new();
    // Nobody listens at the place of c, once the listener is dropped.
    let nowhere = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let balancer = Balancer::new([
        ("a", bound(&client, backend("a").await?)),
        ("b", bound(&client, backend("b").await?)),
        ("c", bound(&client, nowhere)),
    ])?;
    let service = balancer.clone().into_call_service().keep(Copied);

    for number in 1..=6 {
        let request = client
            .post("http://backends/order")
            .body(format!("order {number}"));
        let mut answer = service.clone().oneshot(request.build()?).await?;
        // In flight as long as `answer` lives, so that its body is part of it.
        while let Some(text) = answer.chunk().await? {
            println!("{}", String::from_utf8_lossy(&text));
        }
        assert!(answer.status().is_success());
    }

    println!("\n{}", balancer.explain(&PickRequest::new()));
    let gone = balancer.member("c").ok_or("c is a member still")?;
    assert!(gone.status().contains(Flag::InError));
    assert!(
        balancer
            .members()
            .iter()
            .all(|member| member.in_flight() == 0)
    );
    Ok(())
}

/// A client, wherever its requests were to go.
fn bound(
    client: &Client,
    address: SocketAddr,
) -> impl Service<Request, Response = Response, Error = reqwest::Error> + Clone {
    client.clone().map_request(move |mut request: Request| {
        let url = request.url_mut();
        let aimed = url
            .set_ip_host(address.ip())
            .and_then(|()| url.set_port(Some(address.port())));
        assert!(aimed.is_ok(), "what reqwest sends has a host");
        request
    })
}

/// A server that says its name, and what it got.
async fn backend(name: &'static str) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router =
        Router::new().fallback(move |body: String| async move { format!("{name} has got {body}") });
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}
