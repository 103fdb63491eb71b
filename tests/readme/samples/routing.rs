use equipoise::net::{Listener, shutdown_signal};
use equipoise::proxy::{EdgeLayer, Endpoint, Forwarding, PathMap, Redirect, ReverseProxy};
use equipoise::proxy::{Router, Rule, Server, StaticResponse};
use equipoise::{BalanceLayer, Balancer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = Endpoint::new("http://127.0.0.1:8081".parse()?)?;
    let b = Endpoint::new("http://127.0.0.1:8082".parse()?)?;
    let pages = ReverseProxy::new(Balancer::new([("a", a)])?);
    let strip =
        EdgeLayer::new(Forwarding::new()).path_map(PathMap::new().with_prefix("/api", "/")?);
    let api = ReverseProxy::from_parts(BalanceLayer::new(Balancer::new([("b", b)])?), strip);
    let router = Router::builder()
        .respond(Rule::new().path("/health"), StaticResponse::text("fine\n"))
        .service(Rule::new().path_prefix("/api"), api)
        .redirect(
            Rule::new().path_prefix("/old"),
            Redirect::permanent("/new{rest}{query}"),
        )
        .fallback(pages)
        .build()?;
    let listener = Listener::bind("127.0.0.1:8000".parse()?)?;
    Server::new()
        .serve(listener, router, shutdown_signal()?)
        .await;
    Ok(())
}
