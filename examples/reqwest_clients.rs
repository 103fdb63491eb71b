//! Requests that are not of the `http` crate: members are reqwest clients, each bound to
//! one backend, behind the balancer for requests of any type.
//!
//! Run it with `cargo run --example reqwest_clients`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::net::SocketAddr;

use axum::Router;
use equipoise::service::BoxError;
use equipoise::{Balancer, Flag, PickRequest};
use reqwest::{Client, Request, Response};
use tokio::net::{TcpListener, TcpSocket};
use tower::{Service, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let client = Client::builder().no_proxy().build()?;
    // A port that is taken, and on which nobody listens.
    let deaf = TcpSocket::new_v4()?;
    deaf.bind("127.0.0.1:0".parse()?)?;
    let balancer = Balancer::new([
        ("a", bound(&client, backend().await?)),
        ("b", bound(&client, backend().await?)),
        ("c", bound(&client, deaf.local_addr()?)),
    ])?;
    // What can be copied is kept for another attempt, should nothing have been sent.
    let service = balancer.clone().into_call_service();
    let service = service.keep(Request::try_clone);

    for (number, name) in (1..).zip(["a", "b", "a", "b", "a", "b"]) {
        let order = format!("order {number}");
        let request = client.post("http://backends/").body(order).build()?;
        let mut answer = service.clone().oneshot(request).await?;
        let by = answer.member().ok_or("nobody served")?.name().to_owned();
        // It is in flight as long as its answer lives: while the body is read, too.
        let member = balancer.member(&by).ok_or("it is there")?;
        assert_eq!(member.in_flight(), 1);
        while let Some(chunk) = answer.chunk().await? {
            println!("{by}: {}", String::from_utf8_lossy(&chunk));
        }
        drop(answer);
        assert_eq!((by.as_str(), member.in_flight()), (name, 0));
    }

    println!("\nThe third went on from c to a:");
    println!("{}", balancer.explain(&PickRequest::new()));
    let c = balancer.member("c").ok_or("c is a member still")?;
    assert!(c.picked() == 1 && c.status().contains(Flag::InError));
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

async fn backend() -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(async |body: String| format!("{body} is taken"));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}
