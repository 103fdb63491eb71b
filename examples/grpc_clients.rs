//! gRPC: members are channels of tonic, one for each server. A stream is in flight for as
//! long as it is open, and no caller notices that a server stops.
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
    // A body that no channel has started to read can be sent to the next member; channels
    // need it as their own type.
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
        let response = client.clone().check(HealthCheckRequest::default()).await?;
        print_response(&response)
    };
    let in_flight = || -> u32 { balancer.members().iter().map(|it| it.in_flight()).sum() };

    for name in ["a", "b", "c", "a", "b", "c"] {
        assert_eq!(&*check().await?.member, name);
    }
    assert_eq!(in_flight(), 0);

    let response = client.clone().watch(HealthCheckRequest::default()).await?;
    let mut stream = response.into_inner();
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
    let b = balancer.member("b").ok_or("b is not a member any more")?;
    assert!(b.status().contains(Flag::InError));
    Ok(())
}

/// Classifies calls of which nothing was sent, which may be sent to another member: calls
/// that found no connection, and calls whose connection was just closed, which happens with
/// healthy servers, too.
fn fault(error: &(dyn Error + 'static)) -> Fault {
    match cause::<ConnectError>(error) {
        Some(_) => Fault::NOTHING_SENT,
        None if cause(error).is_some_and(hyper::Error::is_canceled) => {
            Fault::NOTHING_SENT.with_member_blameless()
        }
        None => Fault::of(error),
    }
}

/// Prints a response and its member: tonic passes the extensions on.
fn print_response(response: &tonic::Response<HealthCheckResponse>) -> Result<ServedBy, BoxError> {
    let by = response.extensions().get::<ServedBy>();
    let by = by.ok_or("the response has no member")?.clone();
    let status = response.get_ref().status().as_str_name();
    println!("{status} from {} in attempt {}", by.member, by.attempts);
    Ok(by)
}

/// A server that can be stopped, and a channel to it.
struct Backend {
    channel: Channel,
    /// The server runs until this is dropped.
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
