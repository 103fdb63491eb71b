//! Client-side balancing: members are clients, each with a pool of its own and whatever
//! middleware it needs. One backend goes away in the middle, and nothing fails.
//!
//! Run it with `cargo run --example tower_clients`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use equipoise::service::{BalanceService, BoxError, CountedBody, ServedBy, Target};
use equipoise::{Balancer, Flag, PickRequest};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tower::{Service, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let [a, b, c] = [backend().await?, backend().await?, backend().await?];
    let balancer = Balancer::new([
        ("a", client_of(a.address)),
        ("b", client_of(b.address)),
        ("c", client_of(c.address)),
    ])?;
    let service = BalanceService::over(balancer.clone());

    println!("Twelve requests at once, in each of five rounds:");
    let (mut stop, mut detours) = (Some(b.stop), 0);
    for round in 1..=5 {
        let mut asked = JoinSet::new();
        for _ in 0..12 {
            let request = Request::get("/").body(Empty::<Bytes>::new())?;
            asked.spawn(service.clone().oneshot(request));
        }
        if round == 3 {
            println!("  b goes away while these are under way");
            drop(stop.take());
        }
        let mut served = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            let (head, body) = answer??.into_parts();
            assert_eq!(body.collect().await?.to_bytes(), "hello");
            let by = head.extensions.get::<ServedBy>().ok_or("who served?")?;
            *served.entry(by.member.clone()).or_insert(0) += 1;
            detours += by.attempts - 1;
        }
        println!("  round {round}: {served:?}");
    }
    b.served.await??;
    Ok(())
}

/// A client that sends whatever it gets to one address.
fn client_of(
    address: SocketAddr,
) -> impl Service<
    Request<CountedBody<Empty<Bytes>>>,
    Response = Response<Incoming>,
    Error = legacy::Error,
    Future: Send,
> + Clone {
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.map_request(move |request: Request<CountedBody<Empty<Bytes>>>| {
        let (mut head, body) = request.into_parts();
        address.aim(&mut head);
        Request::from_parts(head, body)
    })
}

/// A server that can be stopped.
struct Backend {
    address: SocketAddr,
    /// It goes on as long as this lives.
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn backend() -> Result<Backend, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().fallback(async || "hello");
    let serving = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    Ok(Backend {
        address,
        stop,
        served: tokio::spawn(serving.into_future()),
    })
}
