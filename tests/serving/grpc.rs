//! gRPC through the proxy: tonic on both ends, one answer or a stream of them.

use std::net::SocketAddr;

use equipoise::proxy::{HttpVersions, ReverseProxy, Server};
use tonic::Code;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Told;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;

use super::front::Front;
use super::member::{balancer, endpoint};
use super::{eventually, within};

/// A server, and what it says of itself.
fn member() -> (SocketAddr, HealthReporter) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let (reporter, health) = tonic_health::server::health_reporter();
    let serving = tonic::transport::Server::builder().serve_with_incoming(health, incoming);
    tokio::spawn(serving);
    (address, reporter)
}

async fn client(front: &Front) -> HealthClient<Channel> {
    let channel = Endpoint::try_from(format!("http://{}", front.address)).unwrap();
    HealthClient::new(channel.connect().await.unwrap())
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn one_answer_and_a_refusal_come_with_their_trailers() {
    within(async {
        let (members, _reporters): (Vec<_>, Vec<_>) = (0..2).map(|_| member()).unzip();
        let members = members
            .into_iter()
            .map(|address| endpoint(address).versions(HttpVersions::Http2));
        let balancer = balancer(members);
        let front = Front::start(Server::new(), ReverseProxy::new(balancer.clone()));
        let mut client = client(&front).await;
        for _ in 0..10 {
            let answer = client.check(of("")).await.unwrap();
            assert_eq!(answer.get_ref().status(), Told::Serving);
            // It has no body: what is said is said in the head.
            let refused = client.check(of("unknown")).await.unwrap_err();
            assert_eq!(refused.code(), Code::NotFound);
            assert_eq!(refused.message(), "service not registered");
        }
        for member in balancer.members() {
            assert_eq!(member.picked(), 10);
            eventually(|| member.in_flight() == 0).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_in_flight_until_its_client_has_enough() {
    within(async {
        let (address, reporter) = member();
        let balancer = balancer([endpoint(address).versions(HttpVersions::Http2)]);
        let front = Front::start(Server::new(), ReverseProxy::new(balancer.clone()));
        let mut client = client(&front).await;
        let mut stream = client.watch(of("")).await.unwrap().into_inner();
        let state = balancer.member("a").unwrap();
        let mut expected = (ServingStatus::NotServing, Told::NotServing);
        let mut next = (ServingStatus::Serving, Told::Serving);
        let first = stream.message().await.unwrap().unwrap();
        assert_eq!(first.status(), Told::Serving);
        for _ in 0..5 {
            reporter.set_service_status("", expected.0).await;
            let message = stream.message().await.unwrap().unwrap();
            assert_eq!(message.status(), expected.1);
            assert_eq!(state.in_flight(), 1);
            std::mem::swap(&mut expected, &mut next);
        }
        drop(stream);
        eventually(|| state.in_flight() == 0).await;
        // The connection lives on.
        let answer = client.check(of("")).await.unwrap();
        assert_eq!(answer.get_ref().status(), Told::NotServing);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_with_an_error() {
    within(async {
        let (address, _reporter) = member();
        let balancer = balancer([endpoint(address).versions(HttpVersions::Http2)]);
        let server = Server::new().drain_timeout(std::time::Duration::from_millis(100));
        let front = Front::start(server, ReverseProxy::new(balancer.clone()));
        let mut client = client(&front).await;
        let mut stream = client.watch(of("")).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        assert_eq!(front.stop().await.cut(), 1);
        stream.message().await.unwrap_err();
        let state = balancer.member("a").unwrap();
        eventually(|| state.in_flight() == 0).await;
    })
    .await;
}
