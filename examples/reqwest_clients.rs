//! Balancing of requests that are not `http` types: members are reqwest clients, each bound
//! to one backend, behind the balancer for any request type.
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
    // A port that is bound, but not listening.
    let closed = TcpSocket::new_v4()?;
    closed.bind("127.0.0.1:0".parse()?)?;
    let balancer = Balancer::new([
        ("a", bound(&client, backend().await?)),
        ("b", bound(&client, backend().await?)),
        ("c", bound(&client, closed.local_addr()?)),
    ])?;
    // A request that can be cloned is kept for a retry in case nothing was sent.
    let service = balancer.clone().into_call_service();
    let service = service.keep(Request::try_clone);

    for (number, name) in (1..).zip(["a", "b", "a", "b", "a", "b"]) {
        let order = format!("order {number}");
        let request = client.post("http://backends/").body(order).build()?;
        let mut response = service.clone().oneshot(request).await?;
        let by = response
            .member()
            .ok_or("the response has no member")?
            .name()
            .to_owned();
        // The request is in flight until its response is dropped, also while the body is read.
        let member = balancer.member(&by).ok_or("the member was removed")?;
        assert_eq!(member.in_flight(), 1);
        while let Some(chunk) = response.chunk().await? {
            println!("{by}: {}", String::from_utf8_lossy(&chunk));
        }
        drop(response);
        assert_eq!((by.as_str(), member.in_flight()), (name, 0));
    }

    println!("\nThe third request failed over from c to a:");
    println!("{}", balancer.explain(&PickRequest::new()));
    let c = balancer.member("c").ok_or("c is not a member any more")?;
    assert!(c.picked() == 1 && c.status().contains(Flag::InError));
    Ok(())
}

/// Returns a client that sends all requests to this address.
fn bound(
    client: &Client,
    address: SocketAddr,
) -> impl Service<Request, Response = Response, Error = reqwest::Error> + Clone {
    client.clone().map_request(move |mut request: Request| {
        let url = request.url_mut();
        let changed = url
            .set_ip_host(address.ip())
            .and_then(|()| url.set_port(Some(address.port())));
        assert!(changed.is_ok(), "URLs of reqwest have a host");
        request
    })
}

async fn backend() -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(async |body: String| format!("{body} is accepted"));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}
