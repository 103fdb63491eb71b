//! Client-side balancing: members are clients, each with its own connection pool and
//! middleware. One backend stops in between, and no request fails.
//!
//! Run it with `cargo run --example tower_clients`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use equipoise::service::{BalanceService, BoxError, ServedBy, WithTarget};
use equipoise::{Balancer, Flag, PickRequest};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let [a, b, c] = [backend().await?, backend().await?, backend().await?];
    // Each client has its own pool, and could have its own layers.
    let client =
        |address| WithTarget::new(address, Client::builder(TokioExecutor::new()).build_http());
    let balancer = Balancer::new([
        ("a", client(a.address)),
        ("b", client(b.address)),
        ("c", client(c.address)),
    ])?;
    let service = BalanceService::over(balancer.clone());

    let twelve = || -> JoinSet<Result<ServedBy, BoxError>> {
        let send = || {
            let response = service.clone().oneshot(Request::new(Empty::<Bytes>::new()));
            async {
                let (head, body) = response.await?.into_parts();
                assert_eq!(body.collect().await?.to_bytes(), "hello");
                let served = head.extensions.get::<ServedBy>().cloned();
                served.ok_or_else(|| "the response has no member".into())
            }
        };
        std::iter::repeat_with(send).take(12).collect()
    };

    println!("twelve requests at once: {}", tally(twelve()).await?);
    let started = twelve();
    drop(b.stop);
    println!("b stops meanwhile:       {}", tally(started).await?);
    b.served.await??;
    println!("b has stopped:           {}", tally(twelve()).await?);
    println!("b is in error:           {}", tally(twelve()).await?);

    println!("\n{}", balancer.explain(&PickRequest::new()));
    let b = balancer.member("b").ok_or("b is not a member any more")?;
    assert!(b.status().contains(Flag::InError));
    for member in balancer.members() {
        assert_eq!(member.in_flight(), 0);
    }
    Ok(())
}

/// Counts requests by member, and requests that failed over.
async fn tally(mut requests: JoinSet<Result<ServedBy, BoxError>>) -> Result<String, BoxError> {
    let (mut by_member, mut failed_over) = (BTreeMap::new(), 0);
    while let Some(served) = requests.join_next().await {
        let served = served??;
        *by_member.entry(served.member).or_insert(0) += 1;
        failed_over += u32::from(served.attempts > 1);
    }
    let counts = by_member.iter().map(|(name, n)| format!("{name} {n}, "));
    let counts = counts.collect::<String>();
    Ok(format!("{counts}{failed_over} of them failed over"))
}

/// A server that can be stopped.
struct Backend {
    address: SocketAddr,
    /// The server runs until this is dropped.
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
