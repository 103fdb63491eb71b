//! An axum application with two remote backends: it serves some routes itself and balances
//! all others. It shows a table of the members and can drain one.
//!
//! Run it with `cargo run --features proxy --example axum_app`; with `-- --exit` it sends
//! requests to itself and ends.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::routing::{get, post};
use clap::Parser;
use equipoise::proxy::{ClientAddrLayer, EdgeLayer, Endpoint, Forwarding, ReverseProxy};
use equipoise::service::{BalanceLayer, BoxError, RouteCookie};
use equipoise::{Balancer, Flag, MemberSpec, PickRequest, StickySession};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

/// An application in front of two servers, which it can drain.
#[derive(Debug, Parser)]
struct Options {
    /// The address to listen on.
    #[arg(default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Sends requests to itself, and ends.
    #[arg(long)]
    exit: bool,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let balancer = Balancer::builder()
        .member("a", backend("a").await?, MemberSpec::new().with_route("a"))
        .member("b", backend("b").await?, MemberSpec::new().with_route("b"))
        .build()?;
    let backends = ReverseProxy::from_parts(
        BalanceLayer::new(balancer.clone())
            .sticky_with_cookie(StickySession::new("ROUTEID")?, RouteCookie::new()),
        EdgeLayer::new(Forwarding::new()),
    );
    let app = Router::new()
        .route("/health", get(async || "fine\n"))
        .route("/members", get(members))
        .route("/members/{name}/drain", post(drain))
        .route("/members/{name}/undrain", post(undrain))
        .fallback_service(backends)
        .with_state(balancer)
        .layer(ClientAddrLayer::new(|extensions| {
            Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0)
        }))
        .into_make_service_with_connect_info::<SocketAddr>();

    if options.exit {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let testing = test_itself(listener.local_addr()?);
        tokio::spawn(axum::serve(listener, app).into_future());
        return testing.await;
    }
    let listener = TcpListener::bind(options.listen).await?;
    let here = format!("http://{}", listener.local_addr()?);
    println!("Serving on {here} until Ctrl-C. Try:");
    println!("  curl -i {here}/cart                  # one of the two, and a cookie");
    println!("  curl -b ROUTEID=.a {here}/cart       # with the cookie: always a");
    println!("  curl -X POST {here}/members/a/drain  # no other requests to a");
    println!("  curl -X POST {here}/members/a/undrain");
    println!("  curl {here}/members");
    Ok(axum::serve(listener, app).await?)
}

type Members = State<Balancer<Endpoint>>;

/// Returns the table of members: their state, and which is picked next.
async fn members(State(balancer): Members) -> String {
    balancer.explain(&PickRequest::new()).to_string()
}

async fn drain(State(balancer): Members, Path(name): Path<String>) -> Result<String, StatusCode> {
    let drained = balancer.set_flag(&name, Flag::Draining);
    drained.or(Err(StatusCode::NOT_FOUND))?;
    Ok(members(State(balancer)).await)
}

async fn undrain(State(balancer): Members, Path(name): Path<String>) -> Result<String, StatusCode> {
    // The member has its original settings again.
    let cleared = balancer.clear_overrides(&name);
    cleared.ok_or(StatusCode::NOT_FOUND).map(drop)?;
    Ok(members(State(balancer)).await)
}

/// Starts a remote server that responds with its name.
async fn backend(name: &'static str) -> Result<Endpoint, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(move || async move { format!("served by {name}\n") });
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(Endpoint::new(format!("http://{address}").parse()?)?)
}

async fn test_itself(here: SocketAddr) -> Result<(), BoxError> {
    assert_eq!(send(here, "GET /health", "").await?.body(), "fine\n");
    let first = send(here, "GET /cart", "").await?;
    assert_eq!(first.body(), "served by a\n");
    let cookie = first.headers()[header::SET_COOKIE].to_str()?;
    let (cookie, _) = cookie.split_once(';').ok_or("a cookie with attributes")?;
    assert_eq!(send(here, "GET /cart", "").await?.body(), "served by b\n");

    let table = send(here, "POST /members/a/drain", "").await?.into_body();
    assert!(table.contains("draining"));
    for _ in 0..2 {
        assert_eq!(send(here, "GET /cart", "").await?.body(), "served by b\n");
        let again = send(here, "GET /cart", cookie).await?;
        assert_eq!(again.body(), "served by a\n");
    }
    let table = send(here, "POST /members/a/undrain", "").await?.into_body();
    assert!(!table.contains("draining"));
    Ok(())
}

async fn send(here: SocketAddr, what: &str, cookie: &str) -> Result<Response<String>, BoxError> {
    let (method, path) = what.split_once(' ').ok_or("a method and a path")?;
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{here}{path}"))
        .header(header::COOKIE, cookie)
        .body(Empty::<Bytes>::new())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await?.into_parts();
    let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    println!("{what} {cookie}\n{text}");
    Ok(Response::from_parts(head, text))
}
