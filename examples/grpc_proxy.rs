//! gRPC through the proxy: each call, and each stream, is balanced separately, whatever its
//! connection; trailers, which hold the status of gRPC, pass through.
//!
//! Run it with `cargo run --features full --example grpc_proxy`.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use equipoise::Balancer;
use equipoise::net::Listener;
use equipoise::proxy::{Endpoint, HttpVersions, ReverseProxy, Server};
use equipoise::service::BoxError;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let members = [("a", backend().await?), ("b", backend().await?)];
    let balancer = Balancer::new(members)?;
    let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
    let here = listener
        .local_addr()
        .ok_or("the listener has no TCP address")?;
    let proxy = ReverseProxy::new(balancer.clone());
    tokio::spawn(Server::new().serve(listener, proxy, std::future::pending()));

    // One connection; its calls go to both members.
    let channel = Channel::from_shared(format!("http://{here}"))?
        .connect()
        .await?;
    let mut client = HealthClient::new(channel);
    for _ in 0..4 {
        let response = client.check(HealthCheckRequest::default()).await?;
        println!("a call: {}", response.into_inner().status().as_str_name());
    }
    let unknown = HealthCheckRequest {
        service: "unknown".to_owned(),
    };
    let error = client
        .check(unknown)
        .await
        .err()
        .ok_or("the service is known")?;
    println!("a status in trailers: {:?}", error.code());
    assert_eq!(error.code(), tonic::Code::NotFound);

    let watch = client.watch(HealthCheckRequest::default()).await?;
    let mut stream = watch.into_inner();
    println!("a stream: {:?}", stream.message().await?);
    let picked: Vec<u64> = balancer.members().iter().map(|it| it.picked()).collect();
    let open: u32 = balancer.members().iter().map(|it| it.in_flight()).sum();
    println!("picked {picked:?} times, {open} in flight");
    assert_eq!((picked, open), (vec![3, 3], 1));
    Ok(())
}

async fn backend() -> Result<Endpoint, BoxError> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let uri = format!("http://{}", incoming.local_addr()?).parse()?;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    let server = tonic::transport::Server::builder();
    tokio::spawn(server.serve_with_incoming(health, incoming));
    // Without TLS there is no negotiation: the member must be known to support HTTP/2.
    let member = Endpoint::builder(uri).versions(HttpVersions::Http2);
    Ok(member.build()?)
}
