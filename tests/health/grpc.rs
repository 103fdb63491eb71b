//! gRPC probes against the health service of tonic, and against what is none.

use equipoise::health::{GrpcProbe, ProbeTarget};
use equipoise::net::Connector;
use http::Response;
use http_body_util::Full;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use crate::member::{Served, Served2, failure, probed};

#[tokio::test]
async fn only_a_service_that_serves_passes() {
    let (mut reporter, health) = tonic_health::server::health_reporter();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = tokio::spawn(Server::builder().serve_with_incoming(health, incoming));
    let target = ProbeTarget::new(Connector::tcp(address));
    let whole = GrpcProbe::new();
    probed(&whole, target.clone()).await.unwrap();
    reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let why = failure(&whole, target.clone()).await;
    assert_eq!(why, "gRPC health: the status is NOT_SERVING");

    for cart in [
        GrpcProbe::service("shop.Cart"),
        GrpcProbe::service("shop.Cart").with_keep_alive(),
    ] {
        let name = "gRPC health of \"shop.Cart\"";
        for (status, why) in [
            (None, Some("the server does not know the service")),
            (Some(ServingStatus::Serving), None),
            (
                Some(ServingStatus::NotServing),
                Some("the status is NOT_SERVING"),
            ),
            (Some(ServingStatus::Unknown), Some("the status is UNKNOWN")),
        ] {
            match status {
                Some(status) => reporter.set_service_status("shop.Cart", status).await,
                None => reporter.clear_service_status("shop.Cart").await,
            }
            let found = probed(&cart, target.clone()).await;
            let found = found.err().map(|error| error.cause().to_string());
            assert_eq!(found, why.map(|why| format!("{name}: {why}")));
        }
    }
    server.abort();
}

#[tokio::test]
async fn what_is_no_answer_of_the_health_service_fails_with_the_reason() {
    let serving: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
    for (status, code, body, why) in [
        (200, Some("0"), serving, None),
        (
            200,
            Some("12"),
            &[][..],
            Some("the server has no health service"),
        ),
        (
            200,
            Some("14"),
            serving,
            Some("failed with the gRPC status 14"),
        ),
        (200, None, serving, Some("the response has no gRPC status")),
        (200, Some("0"), &[], Some("the response has no message")),
        (
            200,
            Some("0"),
            &[1, 0, 0, 0, 2, 8, 1],
            Some("the response is compressed"),
        ),
        (
            200,
            Some("0"),
            b"<html></html>",
            Some("the response is not a gRPC message"),
        ),
        (503, Some("0"), serving, Some("answered 503")),
    ] {
        let member = Served2::by(move |request| {
            assert_eq!(request.headers()["content-type"], "application/grpc");
            assert_eq!(request.headers()["te"], "trailers");
            let answer = Response::builder().status(status);
            let answer = answer.header("content-type", "application/grpc");
            let answer = match code {
                Some(code) => answer.header("grpc-status", code),
                None => answer,
            };
            answer.body(Full::from(body.to_vec())).unwrap()
        });
        let found = probed(&GrpcProbe::new(), member.address.into()).await;
        let found = found.err().map(|error| error.cause().to_string());
        assert_eq!(found, why.map(|why| format!("gRPC health: {why}")));
    }
    let http1 = Served::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let why = failure(&GrpcProbe::new(), http1.target()).await;
    assert!(why.starts_with("gRPC health: "), "{why}");
}

#[tokio::test]
async fn an_answer_of_another_content_type_is_no_answer_of_the_health_service() {
    for (kind, passes) in [
        (Some("application/grpc"), true),
        (Some("application/grpc+proto"), true),
        (Some("Application/gRPC; charset=utf-8"), true),
        (Some("application/grpc-web"), false),
        (Some("text/html"), false),
        (None, false),
    ] {
        let member = Served2::by(move |_| {
            let answer = Response::builder().header("grpc-status", "0");
            let answer = match kind {
                Some(kind) => answer.header("content-type", kind),
                None => answer,
            };
            answer.body(Full::from(vec![0, 0, 0, 0, 2, 8, 1])).unwrap()
        });
        let found = probed(&GrpcProbe::new(), member.address.into()).await;
        let found = found.err().map(|error| error.cause().to_string());
        let why = (!passes)
            .then(|| "gRPC health: the content type of the response is not gRPC".to_owned());
        assert_eq!(found, why, "{kind:?}");
    }
}
