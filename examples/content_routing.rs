//! One address, three groups of servers: an API, pages, and a canary of the pages that a
//! tenth of the visitors get, and all who ask for it by a cookie. An old path is
//! redirected.
//!
//! Run it with `cargo run --features full --example content_routing`; with `-- --exit` it
//! asks itself and ends.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::convert::Infallible;
use std::net::SocketAddr;

use equipoise::proxy::{Answer, ClientAddr, Redirect, Router, Rule};
use equipoise::random::Random;
use equipoise::service::{AnswerBody, BalanceLayer, BoxError, LeasedBody};
use equipoise::{Balancer, MemberSpec};
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

type Group =
    BoxCloneSyncService<Request<Incoming>, Response<AnswerBody<LeasedBody<Incoming>>>, Infallible>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (api, pages) = (
        group(["api-1", "api-2"]).await?,
        group(["page-1", "page-2"]).await?,
    );
    let canary = group(["canary"]).await?;
    let asks_or_drawn = [
        Rule::new().cookie_is("canary", "yes"),
        Rule::new().percent(10.0),
    ];
    let router = Router::builder()
        .answer(Rule::new().path("/health"), Answer::text("fine\n"))
        .service(Rule::new().host("api.localhost"), api.clone())
        .service(Rule::new().path_prefix("/api"), api)
        .redirect(
            Rule::new().path_prefix("/old"),
            Redirect::permanent("/new{rest}{query}"),
        )
        .service(
            Rule::new()
                .client_in(["127.0.0.0/8".parse()?])
                .any_of(asks_or_drawn),
            canary,
        )
        .otherwise(pages)
        .random(Random::seeded(7))
        .build()?;

    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("--exit") {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let asking = ask_itself(listener.local_addr()?);
        tokio::spawn(serve(listener, router));
        return asking.await;
    }
    let listener = TcpListener::bind(argument.as_deref().unwrap_or("127.0.0.1:8082")).await?;
    let here = listener.local_addr()?;
    println!("Try:");
    println!("  curl http://{here}/api/users                   # the API, by its path");
    println!("  curl -H 'host: api.localhost' http://{here}/   # and by its host");
    println!("  curl http://{here}/cart                        # pages, one time in ten new");
    println!("  curl -b canary=yes http://{here}/cart          # the new ones");
    println!("  curl -i http://{here}/old/cart?id=7            # moved");
    tokio::select! {
        served = serve(listener, router) => served,
        stop = tokio::signal::ctrl_c() => Ok(stop?),
    }
}

/// A balancer over servers that say their names.
async fn group<const N: usize>(names: [&'static str; N]) -> Result<Group, BoxError> {
    let mut balancer = Balancer::<Uri>::builder();
    for name in names {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let uri = format!("http://{}", listener.local_addr()?).parse()?;
        let app = axum::Router::new().fallback(move || async move { format!("{name}\n") });
        tokio::spawn(axum::serve(listener, app).into_future());
        balancer = balancer.member(name, uri, MemberSpec::new());
    }
    let service = BalanceLayer::new(balancer.build()?)
        .nothing_sent_if(legacy::Error::is_connect)
        .layer(Client::builder(TokioExecutor::new()).build_http())
        .into_infallible();
    Ok(Group::new(service))
}

async fn serve(listener: TcpListener, router: Router<Group>) -> Result<(), BoxError> {
    loop {
        let (stream, peer) = listener.accept().await?;
        // For `client_in`.
        let service = router.clone().map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(ClientAddr(peer));
            request
        });
        tokio::spawn(async move {
            let service = TowerToHyperService::new(service);
            let server = auto::Builder::new(TokioExecutor::new());
            // A client that hangs up is no concern of the others.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn ask_itself(here: SocketAddr) -> Result<(), BoxError> {
    assert_eq!(ask(here, "/health", "").await?.body(), "fine\n");
    assert_eq!(ask(here, "/api/users", "").await?.body(), "api-1\n");
    assert_eq!(ask(here, "/api/users", "").await?.body(), "api-2\n");
    assert_eq!(ask(here, "/cart", "canary=yes").await?.body(), "canary\n");
    let moved = ask(here, "/old/cart?id=7", "").await?;
    assert_eq!(moved.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(moved.headers()[header::LOCATION], "/new/cart?id=7");
    let mut canaries = 0;
    for _ in 0..20 {
        let served = ask(here, "/cart", "").await?.into_body();
        canaries += usize::from(served == "canary\n");
    }
    println!("{canaries} of 20 visitors were drawn for the canary");
    assert!((1..=6).contains(&canaries));
    Ok(())
}

async fn ask(here: SocketAddr, path: &str, cookie: &str) -> Result<Response<String>, BoxError> {
    let request = Request::get(format!("http://{here}{path}"))
        .header(header::COOKIE, cookie)
        .body(Empty::<Bytes>::new())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await?.into_parts();
    let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    let moved = head.headers.get(header::LOCATION);
    let told = moved.map_or(Ok(text.trim_end()), |location| location.to_str())?;
    println!("GET {path:<16}{cookie:<11}-> {} {told}", head.status);
    Ok(Response::from_parts(head, text))
}
