//! The proxy itself: endpoints with their own connections, the balancer in front of them,
//! and the edge, which handles the headers as a proxy must. This is the file to copy from;
//! `tls_proxy` shows TLS.

use std::convert::Infallible;
use std::time::Duration;

use equipoise::proxy::{
    ClientBody, EdgeLayer, Endpoint, EndpointUriError, Forwarding, ProxyBody, ReverseProxy,
};
use equipoise::service::{BalanceLayer, RouteCookie, ServedBy, Timeouts};
use equipoise::timer::TokioTimer;
use equipoise::{Balancer, StickySession};
use http::{HeaderValue, Request, Response, Uri};
use tower::{Service, ServiceExt};

/// Response headers: the member that responded, and the number of attempts.
pub(crate) const SERVED_BY: &str = "x-served-by";
pub(crate) const ATTEMPTS: &str = "x-attempts";

/// What sets the route of a session for clients.
#[derive(Debug)]
pub(crate) enum Sessions {
    /// Nothing: each request may go to any member.
    None,
    /// The backends, in their own cookies.
    SetByBackends(StickySession),
    /// The proxy, in a cookie of its own.
    SetByProxy(StickySession),
}

/// Returns a member that keeps connections open and has short time limits.
pub(crate) fn member(uri: Uri) -> Result<Endpoint, EndpointUriError> {
    Endpoint::builder(uri)
        .connect_timeout(Duration::from_secs(1))
        .head_timeout(Duration::from_secs(30))
        .build()
}

/// Returns the service that sends requests to members.
pub(crate) fn service(
    balancer: Balancer<Endpoint>,
    sessions: Sessions,
) -> impl Service<Request<ClientBody>, Response = Response<ProxyBody>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    // If all members are draining or at their caps, one may be free in a moment.
    let timeouts = Timeouts::new().with_pick_timeout(Duration::from_secs(2));
    let balance = BalanceLayer::new(balancer).timeouts(TokioTimer::new(), timeouts);
    let balance = match sessions {
        Sessions::None => balance,
        Sessions::SetByBackends(session) => balance.sticky(session),
        Sessions::SetByProxy(session) => balance.sticky_with_cookie(session, RouteCookie::new()),
    };
    let edge = EdgeLayer::new(Forwarding::new());
    let proxy = ReverseProxy::from_parts(balance, edge);
    ServiceExt::<Request<ClientBody>>::map_response(proxy, |mut response: Response<_>| {
        show_who_served(&mut response);
        response
    })
}

/// Shows the member in the response headers. A response without a member has no
/// [`ServedBy`].
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
