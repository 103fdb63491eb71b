//! Ends that are none: an answer, or an upload, whose stream was reset as if it were whole.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use equipoise::member::Cause;
use equipoise::proxy::{EdgeLayer, Endpoint, EndpointError, Forwarding, ProxyBody, ReverseProxy};
use equipoise::service::BufferUpTo;
use equipoise::{BalanceLayer, Balancer, Flag};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};

use super::framed::{
    CANCEL, DATA, END_HEADERS, END_STREAM, Framed, FramedMember, HEADERS, NO_ERROR, OK, POST,
    REFUSED_STREAM, RST_STREAM,
};
use super::line::within;
use super::member::Member;

/// What a member answers, frame by frame.
type Script = Vec<(u8, u8, Vec<u8>)>;

/// Asks a member that answers so.
async fn answered(script: Script) -> Result<Bytes, EndpointError> {
    let member = FramedMember::scripted(move |mut talk| {
        let script = script.clone();
        async move {
            talk.settings(None).await;
            let (stream, _) = talk.whole_request().await.unwrap();
            for (kind, flags, payload) in script {
                talk.say(kind, flags, stream, &payload).await;
            }
            talk.until_gone().await;
        }
    })
    .await;
    let endpoint = member.endpoint().build().unwrap();
    let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
    let answer = endpoint.oneshot(request).await?;
    Ok(answer.into_body().collect().await?.to_bytes())
}

fn head() -> (u8, u8, Vec<u8>) {
    (HEADERS, END_HEADERS, OK.to_vec())
}

fn data(flags: u8) -> (u8, u8, Vec<u8>) {
    (DATA, flags, b"abc".to_vec())
}

fn reset(code: u32) -> (u8, u8, Vec<u8>) {
    (RST_STREAM, 0, code.to_be_bytes().to_vec())
}

#[tokio::test]
async fn an_answer_whose_stream_is_reset_is_not_whole_whatever_the_code() {
    within(async {
        for code in [NO_ERROR, CANCEL] {
            for script in [
                vec![head(), reset(code)],
                vec![head(), data(0), reset(code)],
            ] {
                let error = answered(script).await.unwrap_err();
                assert!(!error.is_nothing_sent(), "{error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_reset_behind_the_head_has_its_code_and_no_source_that_a_server_could_pass_on() {
    within(async {
        let error = answered(vec![head(), data(0), reset(REFUSED_STREAM)]).await;
        let error = error.unwrap_err();
        assert!(matches!(error, EndpointError::Reset { code: 7 }), "{error}");
        assert!(std::error::Error::source(&error).is_none());
        assert!(!error.is_nothing_sent() && !error.is_idle_close());
        assert_eq!(error.cause(), Some(Cause::BrokenBody));
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_has_ended_stays_whole_though_its_stream_is_reset() {
    within(async {
        // As servers do that do not want the rest of an upload (RFC 9113, 8.1).
        let ended = vec![head(), data(END_STREAM), reset(NO_ERROR)];
        // A literal header: `a: b`.
        let fields = vec![0, 1, b'a', 1, b'b'];
        let trailers = (HEADERS, END_HEADERS | END_STREAM, fields);
        let trailed = vec![head(), data(0), trailers, reset(NO_ERROR)];
        for script in [ended, trailed] {
            assert_eq!(answered(script).await.unwrap(), "abc");
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_ends_an_upload_early_is_whole() {
    within(async {
        let member = FramedMember::scripted(|mut talk| async move {
            talk.settings(None).await;
            let head = talk.request().await.unwrap();
            talk.answer(head.stream).await;
            talk.reset(head.stream, NO_ERROR).await;
            talk.until_gone().await;
        })
        .await;
        let endpoint = member.endpoint().build().unwrap();
        let upload = Full::from(vec![b'x'; 1 << 20]);
        let request = Request::post("/").body(upload).unwrap();
        let answer = endpoint.oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "ok");
    })
    .await;
}

/// hyper's own server in front of a proxy, as users run it; clients speak HTTP/2 to it.
async fn hyper_in_front_of<P>(proxy: ReverseProxy<P>) -> SocketAddr
where
    ReverseProxy<P>: Service<Request<Incoming>, Response = Response<ProxyBody>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(proxy.clone());
            let server = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// What the member gets of an upload that is reset with this code after three bytes.
async fn uploaded<P>(layer: impl Fn(BalanceLayer<Endpoint>) -> BalanceLayer<Endpoint, P>, code: u32)
where
    ReverseProxy<P>: Service<Request<Incoming>, Response = Response<ProxyBody>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let (saw, mut seen) = mpsc::unbounded_channel();
    let member = Member::scripted(move |mut talk| {
        let saw = saw.clone();
        async move {
            talk.line.more().await;
            saw.send("begun").unwrap();
            if let Some(request) = talk.request().await {
                saw.send(if request.whole { "whole" } else { "broken" })
                    .unwrap();
            }
        }
    })
    .await;
    let balancer = Balancer::new([("a", member.quick().build().unwrap())]).unwrap();
    let layer = layer(BalanceLayer::new(balancer.clone()));
    let proxy = ReverseProxy::from_parts(layer, EdgeLayer::new(Forwarding::new()));
    let mut client = Framed::connect(hyper_in_front_of(proxy).await).await;
    client.say(HEADERS, END_HEADERS, 1, POST).await;
    client.say(DATA, 0, 1, b"abc").await;
    assert_eq!(seen.recv().await, Some("begun"));
    client.reset(1, code).await;
    assert_eq!(seen.recv().await, Some("broken"), "{code}");
    let state = balancer.member("a").unwrap();
    assert!(!state.status().contains(Flag::InError));
}

#[tokio::test]
async fn an_upload_whose_client_resets_it_is_never_completed_whatever_the_code() {
    within(async {
        for code in [NO_ERROR, CANCEL] {
            uploaded(|layer| layer, code).await;
            uploaded(|layer| layer.request_body(BufferUpTo(1024)), code).await;
        }
    })
    .await;
}
