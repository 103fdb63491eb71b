//! One address, three groups of servers: an API, pages, and a canary of the pages. The
//! canary gets a tenth of the visitors, and those that ask for it with a cookie. An old
//! path is redirected.
//!
//! Run it with `cargo run --features full --example content_routing`; with `-- --exit` it
//! sends requests to itself and ends.

#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::convert::Infallible;
use std::net::SocketAddr;

use clap::Parser;
use equipoise::net::{Listener, shutdown_signal};
use equipoise::proxy::{Endpoint, Redirect, ReverseProxy, Router, Rule, Server, StaticResponse};
use equipoise::random::Random;
use equipoise::service::BoxError;
use equipoise::{Balancer, MemberSpec};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use tower::ServiceExt;

/// Routes requests at one address to groups of servers by their content.
#[derive(Debug, Parser)]
struct Options {
    /// The address to listen on.
    #[arg(default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// Sends requests to itself, and ends.
    #[arg(long)]
    exit: bool,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let (api, pages) = (
        group(["api-1", "api-2"]).await?,
        group(["page-1", "page-2"]).await?,
    );
    let canary = group(["canary"]).await?;
    let cookie_or_random = [
        Rule::new().cookie_is("canary", "yes"),
        Rule::new().percent(10.0),
    ];
    let router = Router::builder()
        .respond(Rule::new().path("/health"), StaticResponse::text("fine\n"))
        .service(Rule::new().host("api.localhost"), api.clone())
        .service(Rule::new().path_prefix("/api"), api)
        .redirect(
            Rule::new().path_prefix("/old"),
            Redirect::permanent("/new{rest}{query}"),
        )
        .service(
            Rule::new()
                .client_in(["127.0.0.0/8".parse()?])
                .any_of(cookie_or_random),
            canary,
        )
        .fallback(pages)
        .random(Random::seeded(7))
        .build()?;

    let listen = if options.exit {
        ANY_PORT.into()
    } else {
        options.listen
    };
    let listener = Listener::bind(listen)?;
    let here = listener
        .local_addr()
        .ok_or("the listener has no TCP address")?;
    if options.exit {
        return tokio::select! {
            _ = Server::new().serve(listener, router, std::future::pending()) => Ok(()),
            result = test_itself(here) => result,
        };
    }
    println!("Serving on http://{here} until Ctrl-C. Try:");
    println!("  curl http://{here}/api/users                   # the API, by its path");
    println!("  curl -H 'host: api.localhost' http://{here}/   # and by its host");
    println!("  curl http://{here}/cart                        # pages, one time in ten new");
    println!("  curl -b canary=yes http://{here}/cart          # the new ones");
    println!("  curl -i http://{here}/old/cart?id=7            # moved");
    Server::new()
        .serve(listener, router, shutdown_signal()?)
        .await;
    Ok(())
}

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Starts servers that respond with their names, and a proxy for them.
async fn group<const N: usize>(names: [&'static str; N]) -> Result<ReverseProxy, BoxError> {
    let mut balancer = Balancer::builder();
    for name in names {
        let listener = Listener::bind(ANY_PORT.into())?;
        let here = listener
            .local_addr()
            .ok_or("the listener has no TCP address")?;
        let member = Endpoint::new(format!("http://{here}").parse()?)?;
        balancer = balancer.member(name, member, MemberSpec::new());
        let hello = tower::service_fn(move |_| async move {
            Ok::<_, Infallible>(Response::new(format!("{name}\n")))
        });
        tokio::spawn(async move {
            let never = std::future::pending();
            Server::new().serve(listener, hello, never).await
        });
    }
    Ok(ReverseProxy::new(balancer.build()?))
}

async fn test_itself(here: SocketAddr) -> Result<(), BoxError> {
    assert_eq!(send(here, "/health", "").await?.body(), "fine\n");
    assert_eq!(send(here, "/api/users", "").await?.body(), "api-1\n");
    assert_eq!(send(here, "/api/users", "").await?.body(), "api-2\n");
    assert_eq!(send(here, "/cart", "canary=yes").await?.body(), "canary\n");
    let moved = send(here, "/old/cart?id=7", "").await?;
    assert_eq!(moved.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(moved.headers()[header::LOCATION], "/new/cart?id=7");
    let mut canaries = 0;
    for _ in 0..20 {
        let served = send(here, "/cart", "").await?.into_body();
        canaries += usize::from(served == "canary\n");
    }
    println!("{canaries} of 20 visitors got the canary");
    assert!((1..=6).contains(&canaries));
    Ok(())
}

async fn send(here: SocketAddr, path: &str, cookie: &str) -> Result<Response<String>, BoxError> {
    let server = Endpoint::new(format!("http://{here}").parse()?)?;
    let request = Request::get(path)
        .header(header::COOKIE, cookie)
        .body(Empty::<Bytes>::new())?;
    let (head, body) = server.oneshot(request).await?.into_parts();
    let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    let moved = head.headers.get(header::LOCATION);
    let shown = moved.map_or(Ok(text.trim_end()), |location| location.to_str())?;
    println!("GET {path:<16}{cookie:<11}-> {} {shown}", head.status);
    Ok(Response::from_parts(head, text))
}
