//! gRPC: members are channels of tonic, each to one server. A stream is in flight as long
//! as it is open, and no caller notices the server that stops.
//!
//! Run it with `cargo run --example grpc_clients`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use equipoise::service::{BalanceLayer, BoxError, CountedBody, Fault, ServedBy, cause};
use equipoise::{Balancer, Flag, PickRequest};
use http::Request;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::ConnectError;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
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
    let service = BalanceLayer::new(balancer.clone())
        .classify(fault)
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
    for _ in 0..9 {
        assert_ne!(&*check().await?.member, "b");
    }
    println!("{}", balancer.explain(&PickRequest::new()));
    let b = balancer.member("b").ok_or("b is a member still")?;
    assert!(b.status().contains(Flag::InError));
    Ok(())
}

/// Says of which calls nothing was sent, so that another member may have them: those that
/// found no connection, and those that found one just as it was closed, which even a
/// healthy server does at times.
fn fault(error: &(dyn Error + 'static)) -> Fault {
    match cause::<ConnectError>(error) {
        Some(_) => Fault::NOTHING_SENT,
        None if cause(error).is_some_and(hyper::Error::is_canceled) => {
            Fault::NOTHING_SENT.with_member_blameless()
        }
        None => Fault::of(error),
    }
}

/// Prints an answer and who gave it: the extensions come along through tonic.
fn told(answer: &tonic::Response<HealthCheckResponse>) -> Result<ServedBy, BoxError> {
    let by = answer.extensions().get::<ServedBy>();
    let by = by.ok_or("nobody served")?.clone();
    let status = answer.get_ref().status().as_str_name();
    println!("{status}, says {} in attempt {}", by.member, by.attempts);
    Ok(by)
}

/// A server that can be stopped, and a channel to it.
struct Backend {
    channel: Channel,
    /// The server goes on as long as this lives.
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
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
