//! The proxy itself: a client for all backends, the balancer in front of it, and the
//! edge, which does to headers what a proxy has to. This is the file to copy from.
//!
//! What it does without: TLS, and upgrades such as WebSocket.

use std::convert::Infallible;
use std::time::Duration;

use equipoise::proxy::{EdgeLayer, Forwarding};
use equipoise::service::{AnswerBody, BalanceLayer, LeasedBody, RouteCookie, ServedBy, Timeouts};
use equipoise::timer::TokioTimer;
use equipoise::{Balancer, StickySession};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{self, TokioExecutor};
use tower::{Layer, Service, ServiceBuilder};

/// Headers of answers: which member gave it, and how many were asked for it.
pub(crate) const SERVED_BY: &str = "x-served-by";
pub(crate) const ATTEMPTS: &str = "x-attempts";

/// Who tells clients the route by which they come back.
#[derive(Debug)]
pub(crate) enum Sessions {
    /// Nobody: any request goes anywhere.
    None,
    /// The backends, in the cookies that they set.
    SetByBackends(StickySession),
    /// The proxy, in a cookie of its own.
    SetByProxy(StickySession),
}

/// Makes the service that answers requests by sending them to members.
pub(crate) fn service(
    balancer: Balancer<Uri>,
    sessions: Sessions,
) -> impl Service<
    Request<Incoming>,
    Response = Response<AnswerBody<AnswerBody<LeasedBody<Incoming>>>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ 'static {
    let timeouts = Timeouts::new()
        // When all are draining or at their cap, somebody may be free in a moment.
        .with_member(Duration::from_secs(2))
        .with_attempt(Duration::from_secs(30));
    let layer = BalanceLayer::new(balancer)
        .timeouts(TokioTimer::new(), timeouts)
        // What hyper could not even connect for may go to another member, be it a POST.
        .nothing_sent_if(legacy::Error::is_connect);
    let layer = match sessions {
        Sessions::None => layer,
        Sessions::SetByBackends(session) => layer.sticky(session),
        Sessions::SetByProxy(session) => layer.sticky_with_cookie(session, RouteCookie::new()),
    };
    ServiceBuilder::new()
        .map_response(|mut response: Response<_>| {
            show_who_served(&mut response);
            response
        })
        .layer(EdgeLayer::new(Forwarding::new()))
        .service(layer.layer(client()).into_infallible())
}

/// Makes a client that keeps connections open, and does not wait for dead hosts.
pub(crate) fn client<B>() -> Client<HttpConnector, B>
where
    B: Body<Data: Send> + Send,
{
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_secs(1)));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_timer(rt::TokioTimer::new())
        .build(connector)
}

/// So that `curl -i` tells. An answer that no member gave has no [`ServedBy`].
fn show_who_served<B>(response: &mut Response<B>) {
    let Some(served) = response.extensions().get::<ServedBy>() else {
        return;
    };
    let attempts = HeaderValue::from(served.attempts);
    let member = HeaderValue::from_str(&served.member);
    response.headers_mut().insert(ATTEMPTS, attempts);
    if let Ok(member) = member {
        response.headers_mut().insert(SERVED_BY, member);
    }
}
