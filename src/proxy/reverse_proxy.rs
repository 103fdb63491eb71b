//! The whole proxy as one service: [`ReverseProxy`].
//!
//! Not here: its parts, which are the edge, the balanced service and the
//! endpoints; and the server in front.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ConnectionFacts, EdgeBody, EdgeFuture, EdgeLayer, EdgeService, Endpoint, EndpointBody,
    EndpointError, Forwarding,
};
use crate::balancer::Balancer;
use crate::service::{
    BalanceError, BalanceFuture, BalanceLayer, BalanceService, BoxError, Counted, LeasedBody,
    PerMember, RequestBody, ResponseBody,
};

/// A reverse proxy over a [`Balancer`] of [`Endpoint`]s, as a tower service that never
/// fails: errors become responses.
///
/// It is an [`EdgeLayer`] around a [`BalanceLayer`], for members that have their own
/// connections. Put it behind a [`Server`](super::Server), behind a
/// [`Router`](super::Router), or into an axum app as a fallback. Clones are cheap, and
/// share everything.
///
/// Bodies are streamed in both directions without being buffered, with trailers, for every
/// combination of HTTP versions. An `Upgrade` to WebSocket, which clients request over
/// HTTP/1.1, opens a tunnel. `CONNECT` is rejected, also the extended one of RFC 8441.
/// Interim responses (1xx) of members are dropped, because hyper's server cannot send them.
/// Clients get only 100, from the server itself, and 101.
///
/// A request goes to another member if nothing of it was sent, because the name cannot be
/// resolved, the connection is refused, or TLS fails. For all other failures, see
/// [`Failover`](crate::service::Failover).
///
/// # Examples
///
/// ```no_run
/// use equipoise::Balancer;
/// use equipoise::net::{Listener, shutdown_signal};
/// use equipoise::proxy::{Endpoint, ReverseProxy, Server};
/// use http::Uri;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let balancer = Balancer::new([
///     ("a", Endpoint::new(Uri::from_static("http://10.0.0.1:8080"))?),
///     ("b", Endpoint::new(Uri::from_static("http://10.0.0.2:8080"))?),
/// ])?;
/// let listener = Listener::bind(([0, 0, 0, 0], 8080).into())?;
/// let stop = shutdown_signal()?;
/// Server::new().serve(listener, ReverseProxy::new(balancer), stop).await;
/// # Ok(())
/// # }
/// ```
///
/// In an axum app, for requests without a route of their own:
///
/// ```
/// use axum::{Router, routing::get};
/// use equipoise::Balancer;
/// use equipoise::proxy::{Endpoint, ReverseProxy};
/// use http::Uri;
///
/// let balancer = Balancer::new([("a", Endpoint::new(Uri::from_static("http://10.0.0.1:8080"))?)])?;
/// let app: Router = Router::new()
///     .route("/health", get(async || "fine"))
///     .fallback_service(ReverseProxy::new(balancer));
/// # let _ = app;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In that app, members get the client's address if a
/// [`ClientAddrLayer`](super::ClientAddrLayer) wraps it.
///
/// With all settings:
///
/// ```
/// use equipoise::proxy::{EdgeLayer, Endpoint, Forwarding, PathMap, ReverseMap, ReverseProxy};
/// use equipoise::service::Failover;
/// use equipoise::{BalanceLayer, Balancer, StickySession};
/// use http::{StatusCode, Uri};
///
/// let members = ["http://10.0.0.1:8080", "http://10.0.0.2:8080"];
/// let [one, two] = members.map(|uri| Endpoint::new(Uri::from_static(uri)));
/// let balancer = Balancer::new([("a", one?), ("b", two?)])?;
/// let proxy = ReverseProxy::from_parts(
///     BalanceLayer::new(balancer)
///         .sticky(StickySession::new("JSESSIONID|jsessionid")?)
///         .failover(Failover::new().with_retry_on_status([StatusCode::SERVICE_UNAVAILABLE])),
///     EdgeLayer::new(Forwarding::new().with_via("edge-1")?)
///         .path_map(PathMap::new().with_prefix("/app", "/")?)
///         .reverse_map(ReverseMap::new().with_members(members, "/app")?),
/// );
/// # let _ = proxy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReverseProxy<P = Counted> {
    inner: Inner<P>,
}

type Inner<P> = EdgeService<BalanceService<Endpoint, PerMember, P>>;

/// The body of a [`ReverseProxy`]'s responses.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::ProxyBody;
///
/// fn into_axum(response: http::Response<ProxyBody>) -> http::Response<axum::body::Body> {
///     response.map(axum::body::Body::new)
/// }
/// # let _ = into_axum;
/// ```
pub type ProxyBody = ResponseBody<EdgeBody<LeasedBody<EndpointBody>>>;

impl ReverseProxy {
    /// Creates a proxy that leaves paths unchanged, has no sessions, and adds the headers
    /// of the default [`Forwarding`].
    #[must_use]
    pub fn new(balancer: Balancer<Endpoint>) -> Self {
        let edge = EdgeLayer::new(Forwarding::new());
        Self::from_parts(BalanceLayer::new(balancer), edge)
    }
}

impl<P> ReverseProxy<P> {
    /// Creates a proxy from its two halves. The classification of an endpoint's errors is
    /// set automatically.
    pub fn from_parts(balance: BalanceLayer<Endpoint, P>, edge: EdgeLayer) -> Self {
        let balance = balance
            .nothing_sent_if(EndpointError::is_nothing_sent)
            .not_member_fault_if(EndpointError::is_idle_close)
            .stale_if(EndpointError::is_stale)
            .cause_by(EndpointError::cause)
            .without_extensions();
        Self {
            inner: edge.before(balance.over_members()),
        }
    }
}

impl<P, B> Service<Request<B>> for ReverseProxy<P>
where
    P: RequestBody<EdgeBody<B>>,
    P::Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    B: Body + 'static,
{
    type Response = Response<ProxyBody>;
    type Error = Infallible;
    type Future = ReverseProxyFuture<BalanceFuture<Endpoint, PerMember, P, EdgeBody<B>>>;

    /// Is always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Right behind a server, the extensions of the response are not read.
        let announces = ConnectionFacts::beside(request.body()).is_none();
        self.send(request, announces)
    }
}

impl<P> ReverseProxy<P> {
    /// Sends a request. If it `announces` its member, the response has a `ServedBy` in its
    /// extensions.
    #[inline]
    pub(crate) fn send<B>(
        &self,
        request: Request<B>,
        announces: bool,
    ) -> ReverseProxyFuture<BalanceFuture<Endpoint, PerMember, P, EdgeBody<B>>>
    where
        P: RequestBody<EdgeBody<B>>,
        P::Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        B: Body + 'static,
    {
        let request = if self.inner.inner().reads_extensions() {
            with_facts_in_extensions(request)
        } else {
            request
        };
        let edge = self.inner.send(request, |balance, request| {
            balance.send(request, (), announces)
        });
        ReverseProxyFuture { edge }
    }
}

/// Puts what is known beside a request into its extensions, where functions of the user
/// look for it.
fn with_facts_in_extensions<B: 'static>(request: Request<B>) -> Request<B> {
    let (mut head, body) = request.into_parts();
    if let Some(facts) = ConnectionFacts::beside(&body) {
        let tunnel = head.extensions.get::<OnUpgrade>().is_some();
        facts.insert_into(&mut head.extensions, tunnel);
    }
    Request::from_parts(head, body)
}

pin_project! {
    /// The response future of [`ReverseProxy`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the request, and decrements the member's in-flight count.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct ReverseProxyFuture<F> {
        #[pin]
        edge: EdgeFuture<F>,
    }
}

impl<F, RB> Future for ReverseProxyFuture<F>
where
    F: Future<Output = Result<Response<RB>, BalanceError>>,
{
    type Output = Result<Response<ResponseBody<EdgeBody<RB>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut edge = self.project().edge;
        Poll::Ready(Ok(match ready!(edge.as_mut().poll(context)) {
            Ok(response) => response,
            Err(error) => edge.answer_of(error),
        }))
    }
}

impl<P: Clone> Clone for ReverseProxy<P> {
    fn clone(&self) -> Self {
        let inner = self.inner.clone();
        Self { inner }
    }
}

impl<P> fmt::Debug for ReverseProxy<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReverseProxy").finish_non_exhaustive()
    }
}
