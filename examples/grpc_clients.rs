//! gRPC: members are channels of tonic, each to one server. A stream is in flight as long
//! as it is open, and no caller notices the server that stops.
//!
//! Run it with `cargo run --example grpc_clients`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use equipoise::service::{BalanceLayer, BoxError, CountedBody, ServedBy};
use equipoise::{Balancer, Flag, PickRequest};
use http::Request;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Error, Server};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let [a, b, c] = [backend()?, backend()?, backend()?];
    // A body that nobody has begun to read can go to the next member; channels want it
    // in their own type.
    let member = |channel: Channel| {
        channel.map_request(|request: Request<CountedBody<Body>>| request.map(Body::new))
    };
    let balancer = Balancer::new([
        ("a", member(a.channel)),
        ("b", member(b.channel)),
        ("c", member(c.channel)),
    ])?;
    // A refused connection is known without being told. That a call came upon a
    // connection which was just being closed means as well that it was not sent.
    let service = BalanceLayer::new(balancer.clone())
        .nothing_sent_if(hyper::Error::is_canceled)
        .over_members();
    let client = HealthClient::new(service);
    let check = async || {
        let answer = client.clone().check(HealthCheckRequest::default()).await?;
        told(&answer)
    };
    let in_flight = || -> u32 { balancer.members().iter().map(|it| it.in_flight()).sum() };

    for name in ["a", "b", "c", "a", "b", "c"] {
        assert_eq!(&*check().await?.member, name);
    }
    assert_eq!(in_flight(), 0);

    let answer = client.clone().watch(HealthCheckRequest::default()).await?;
    let mut stream = answer.into_inner();
    println!("a stream begins: {:?}", stream.message().await?);
    println!("  in flight while it is open: {}", in_flight());
    assert_eq!(in_flight(), 1);
    drop(stream);
    println!("  and after: {}", in_flight());
    assert_eq!(in_flight(), 0);

    drop(b.stop);
    b.served.await??;
    println!("b has stopped");
    for _ in 0..6 {
        assert_ne!(&*check().await?.member, "b");
    }
    println!("{}", balancer.explain(&PickRequest::new()));
    let b = balancer.member("b").ok_or("b is a member still")?;
    assert!(b.status().contains(Flag::InError));
    Ok(())
}

/// Prints an answer and who gave it: the extensions come along through tonic.
fn told(answer: &tonic::Response<HealthCheckResponse>) -> Result<ServedBy, BoxError> {
    let served = answer.extensions().get::<ServedBy>().cloned();
    let served = served.ok_or("nobody served")?;
    let status = answer.get_ref().status().as_str_name();
    println!(
        "{status}, says {} in attempt {}",
        served.member, served.attempts
    );
    Ok(served)
}

/// A server that can be stopped, and a channel to it.
struct Backend {
    channel: Channel,
    /// The server goes on as long as this lives.
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), Error>>,
}

fn backend() -> Result<Backend, BoxError> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let channel = Endpoint::try_from(format!("http://{}", incoming.local_addr()?))?.connect_lazy();
    let (stop, stopped) = oneshot::channel::<()>();
    let (_, health) = tonic_health::server::health_reporter();
    let serving = Server::builder().serve_with_incoming_shutdown(health, incoming, async {
        let _ = stopped.await;
    });
    let served = tokio::spawn(serving);
    Ok(Backend {
        channel,
        stop,
        served,
    })
}
