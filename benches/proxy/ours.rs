//! The proxy of this crate as it comes: all limits, failover and `X-Forwarded-*`; alone,
//! behind a router, or with sessions.

use std::net::SocketAddr;

use equipoise::net::{Listener, shutdown_signal};
use equipoise::proxy::{
    EdgeLayer, Endpoint, Forwarding, HttpVersions, Redirect, ReverseProxy, Router, Rule, Server,
    StaticResponse,
};
use equipoise::service::{BalanceLayer, BoxError, RouteCookie};
use equipoise::{Balancer, MemberSpec, StickySession};

use crate::proxy::Proxy;

/// What stands around the members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Plain(HttpVersions),
    /// The last of a few rules, as in a small site.
    Router,
    Sticky,
}

/// Serves until the process is asked to stop.
pub(crate) async fn serve(place: &Proxy, kind: Kind) -> Result<(), BoxError> {
    let server = server(place)?;
    let listener = Listener::bind(place.listen)?;
    let stop = shutdown_signal()?;
    match kind {
        Kind::Plain(versions) => {
            let proxy = ReverseProxy::new(balancer(&place.upstreams, versions)?);
            server.serve(listener, proxy, stop).await;
        }
        Kind::Router => {
            let pages = ReverseProxy::new(balancer(&place.upstreams, HttpVersions::Any)?);
            let router = Router::builder()
                .respond(Rule::new().path("/health"), StaticResponse::text("fine\n"))
                .service(Rule::new().host("api.localhost"), pages.clone())
                .redirect(
                    Rule::new().path_prefix("/old"),
                    Redirect::permanent("/new{rest}{query}"),
                )
                .fallback(pages)
                .build()?;
            server.serve(listener, router, stop).await;
        }
        Kind::Sticky => {
            let balancer = balancer(&place.upstreams, HttpVersions::Any)?;
            let session = StickySession::new("ROUTEID")?;
            let balance =
                BalanceLayer::new(balancer).sticky_with_cookie(session, RouteCookie::new());
            let edge = EdgeLayer::new(Forwarding::new());
            let proxy = ReverseProxy::from_parts(balance, edge);
            server.serve(listener, proxy, stop).await;
        }
    }
    Ok(())
}

/// The members have the routes `r0`, `r1` and so on.
fn balancer(
    upstreams: &[SocketAddr],
    versions: HttpVersions,
) -> Result<Balancer<Endpoint>, BoxError> {
    let mut balancer = Balancer::builder();
    for (number, upstream) in upstreams.iter().enumerate() {
        let uri = format!("http://{upstream}").parse()?;
        let member = Endpoint::builder(uri).versions(versions).build()?;
        let spec = MemberSpec::new().with_route(format!("r{number}"));
        balancer = balancer.member(upstream.to_string(), member, spec);
    }
    Ok(balancer.build()?)
}

#[cfg(feature = "tls")]
fn server(place: &Proxy) -> Result<Server, BoxError> {
    use equipoise::net::{Identity, ServerTls};

    let Some(file) = &place.tls else {
        return Ok(Server::new());
    };
    let identity = Identity::from_pem_files(file, file)?;
    Ok(Server::new().tls(&ServerTls::new([identity])?))
}

#[cfg(not(feature = "tls"))]
fn server(_: &Proxy) -> Result<Server, BoxError> {
    Ok(Server::new())
}
