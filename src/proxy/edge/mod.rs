//! What a proxy changes in each request and response: [`EdgeLayer`].
//!
//! ```text
//! request  ─► path mapped ─► hop-by-hop headers out ─► forwarding headers ─► inner service
//! response ◄─ cookies, Location mapped back ◄─ Via ◄─ hop-by-hop headers out ◄─┘
//! ```
//!
//! Not here: the choice of a service for a request (`router`), the choice of
//! a member (`service`), and the bytes after a protocol switch (`upgrade`).

mod body;
mod future;
mod heads;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

pub use body::EdgeBody;
pub use future::EdgeFuture;
#[cfg(feature = "config")]
pub(crate) use future::RejectedResponse;
#[cfg(feature = "config")]
pub(crate) use heads::OwnFields;

use super::upgrade::Upgrades;
use super::{ConnectionFacts, CookieMap, Forwarding, Origin, PathMap, ReverseMap};
use crate::service::{ErrorPage, Pages, PreferredFormat, ResponseBody};
use heads::{AcceptedRequest, Edge};

/// Turns a balanced service into a reverse proxy for untrusted clients.
///
/// * Hop-by-hop headers are removed in both directions, before the proxy adds its own.
/// * Members get the client's address ([`Forwarding`]). A [`Server`](super::Server)
///   provides the address; behind another server, use a
///   [`ClientAddrLayer`](super::ClientAddrLayer). Without the address, there is no
///   `X-Forwarded-For`, and no peer is trusted.
/// * The path is mapped to the member's ([`PathMap`]). A path without a mapping gets 404.
/// * `Location` and similar headers, and the attributes of cookies, are mapped back
///   ([`ReverseMap`], [`CookieMap`]).
/// * Ambiguous or unsafe requests are rejected with 400: a request without a host (except
///   by HTTP/1.0), with more than one host or an invalid one, with user and password before
///   the host, with a scheme other than `http` and `https`, with contradictory lengths,
///   with a path that has a segment `.` or `..` or broken escapes.
/// * Trailers follow the same rules as heads, in both directions ([`EdgeBody`]). A name
///   with underscores is treated as the name with hyphens, because many servers read it so.
/// * `CONNECT` is rejected with 405. `Max-Forwards` of `TRACE` and `OPTIONS` is
///   decremented; at 0, the proxy responds itself.
/// * An `Upgrade` to WebSocket, or to a protocol set by [`upgrades`](Self::upgrades), is
///   passed on. Once the member has switched, bytes are copied in both directions; the
///   lease is held and the bytes are counted until the tunnel ends. A request for any other
///   upgrade is passed on as a plain request: `h2c`, for example, would carry requests past
///   this layer. A 101 that was not requested becomes a 502.
/// * `Expect: 100-continue` is handled by the server and not passed on. Any other
///   expectation, and a list in one line, is rejected with 417.
/// * A response with 204 has no `Content-Length`. A member's response with
///   contradictory lengths becomes a 502.
///
/// Put layers that add headers for members inside this one: outside, a client could have
/// them removed by naming them in its `Connection` header. For upgrades, the server that
/// accepts connections must be a [`Server`](super::Server) or hyper's with upgrades.
///
/// # Examples
///
/// ```
/// use axum::extract::ConnectInfo;
/// use equipoise::proxy::{ClientAddrLayer, EdgeLayer, Forwarding, PathMap, ReverseMap};
/// use equipoise::{BalanceLayer, Balancer};
/// use http::Uri;
/// use hyper_util::client::legacy::{self, Client};
/// use hyper_util::rt::TokioExecutor;
/// use std::net::SocketAddr;
/// use tower::{Layer, ServiceBuilder};
///
/// let members = ["http://10.0.0.1:8080", "http://10.0.0.2:8080"];
/// let balancer = Balancer::new(members.map(|uri| (uri, Uri::from_static(uri))))?;
/// let client = Client::builder(TokioExecutor::new()).build_http();
/// let backends = BalanceLayer::new(balancer)
///     .nothing_sent_if(legacy::Error::is_connect)
///     .layer(client)
///     .into_infallible();
///
/// let proxy = ServiceBuilder::new()
///     .layer(ClientAddrLayer::new(|extensions| {
///         Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0)
///     }))
///     .layer(
///         EdgeLayer::new(Forwarding::new())
///             .path_map(PathMap::new().with_prefix("/app", "/")?)
///             .reverse_map(ReverseMap::new().with_members(members, "/app")?),
///     )
///     .service(backends);
/// # fn hold<S: tower_service::Service<http::Request<axum::body::Body>>>(_: S) {}
/// # hold(proxy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct EdgeLayer {
    edge: Edge,
}

impl EdgeLayer {
    /// Creates a layer that adds the headers of `forwarding` and leaves paths unchanged.
    pub fn new(forwarding: Forwarding) -> Self {
        let edge = Edge {
            forwarding,
            paths: None,
            reverse: None,
            cookies: None,
            public_origin: None,
            upgrades: Upgrades::default(),
            certified_only: false,
            pages: None,
        };
        Self { edge }
    }

    /// Maps the paths of requests to those of members.
    pub fn path_map(mut self, paths: PathMap) -> Self {
        self.edge.paths = Some(paths);
        self
    }

    /// Maps the URLs in response headers back to paths without a host, which clients
    /// resolve against their own URL. For whole URLs, see
    /// [`public_origin`](Self::public_origin).
    pub fn reverse_map(mut self, reverse: ReverseMap) -> Self {
        self.edge.reverse = Some(reverse);
        self
    }

    /// Sets the origin under which clients reach this proxy, so that URLs are mapped back
    /// as whole URLs. It is not read from requests: a client could name any host, and a
    /// cache could store the response.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{EdgeLayer, Forwarding, Origin};
    /// use http::uri::{Authority, Scheme};
    ///
    /// let shop = Origin::new(Scheme::HTTPS, Authority::from_static("shop.example.com"));
    /// let layer = EdgeLayer::new(Forwarding::new()).public_origin(shop);
    /// # let _ = layer;
    /// ```
    pub fn public_origin(mut self, origin: Origin) -> Self {
        self.edge.public_origin = Some(origin);
        self
    }

    /// Maps the paths and domains of cookies back.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{CookieMap, EdgeLayer, Forwarding};
    ///
    /// let layer = EdgeLayer::new(Forwarding::new())
    ///     .cookie_map(CookieMap::new().with_path("/", "/app")?);
    /// # let _ = layer;
    /// # Ok::<(), equipoise::proxy::MapRuleError>(())
    /// ```
    pub fn cookie_map(mut self, cookies: CookieMap) -> Self {
        self.edge.cookies = Some(cookies);
        self
    }

    /// Sets the protocols to which clients and members may switch; only `websocket` by
    /// default. An empty list disables upgrades.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{EdgeLayer, Forwarding};
    ///
    /// let layer = EdgeLayer::new(Forwarding::new()).upgrades(["websocket", "spdy/3.1"]);
    /// # let _ = layer;
    /// ```
    pub fn upgrades<P: Into<String>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.edge.upgrades.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long a tunnel may be idle in both directions before it is closed; an hour
    /// by default. The tunnel is closed after one to two times this limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{EdgeLayer, Forwarding};
    /// use std::time::Duration;
    ///
    /// let layer = EdgeLayer::new(Forwarding::new()).tunnel_timeout(Duration::from_secs(300));
    /// # let _ = layer;
    /// ```
    pub fn tunnel_timeout(mut self, limit: Duration) -> Self {
        self.edge.upgrades.idle = limit;
        self
    }

    /// Rejects a request with 421 if it arrives over TLS and is for a host that the
    /// server's certificate is not valid for.
    ///
    /// The client must open another connection for that host, so a client that was admitted
    /// by the handshake for one name cannot reach the services of another. HTTP/2 clients
    /// may still use one connection for all hosts of its certificate. Requests without TLS,
    /// or whose TLS was terminated by another program, pass.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{EdgeLayer, Forwarding};
    ///
    /// let layer = EdgeLayer::new(Forwarding::new()).reject_misdirected();
    /// # let _ = layer;
    /// ```
    pub fn reject_misdirected(mut self) -> Self {
        self.edge.certified_only = true;
        self
    }

    /// Creates the responses to rejected requests with a function; see [`ErrorPage`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{EdgeLayer, Forwarding};
    /// use http::Response;
    ///
    /// let layer = EdgeLayer::new(Forwarding::new())
    ///     .error_page(|refusal| Response::new(format!("{}\n", refusal.status()).into()));
    /// # let _ = layer;
    /// ```
    pub fn error_page(
        mut self,
        page: impl Fn(&ErrorPage<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.edge.pages = Some(Pages::new(page));
        self
    }

    pub(super) fn before<S>(self, inner: S) -> EdgeService<S> {
        let edge = Arc::new(self.edge);
        EdgeService { edge, inner }
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        self.clone().before(inner)
    }
}

/// The service that [`EdgeLayer`] creates.
#[derive(Clone, Debug)]
pub struct EdgeService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S, B, RB> Service<Request<B>> for EdgeService<S>
where
    S: Service<Request<EdgeBody<B>>, Response = Response<RB>>,
    B: Body + 'static,
{
    type Response = Response<ResponseBody<EdgeBody<RB>>>;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = &mut self.inner;
        pass(&self.edge, request, |request| inner.call(request))
    }
}

impl<S> EdgeService<S> {
    pub(super) fn inner(&self) -> &S {
        &self.inner
    }

    /// Passes a request to the inner service as `call` sends it.
    #[inline]
    pub(super) fn send<B, F>(
        &self,
        request: Request<B>,
        call: impl FnOnce(&S, Request<EdgeBody<B>>) -> F,
    ) -> EdgeFuture<F>
    where
        B: Body + 'static,
    {
        pass(&self.edge, request, |request| call(&self.inner, request))
    }
}

/// Turns a client's request into one for a member and sends it, or rejects it.
#[inline]
fn pass<B, F>(
    edge: &Arc<Edge>,
    request: Request<B>,
    send: impl FnOnce(Request<EdgeBody<B>>) -> F,
) -> EdgeFuture<F>
where
    B: Body + 'static,
{
    let (mut head, body) = request.into_parts();
    let beside = ConnectionFacts::beside(&body);
    match edge.convert_request(&mut head, beside) {
        Ok(accepted) => {
            let AcceptedRequest {
                upgrade,
                removed,
                wanted,
            } = accepted;
            if !body.is_end_stream() && body.size_hint().exact().is_none() {
                // Otherwise hyper's client assumes that a GET has no body.
                let chunked = HeaderValue::from_static("chunked");
                head.headers.insert(TRANSFER_ENCODING, chunked);
            }
            let body = EdgeBody::new(body, removed);
            let inner = send(Request::from_parts(head, body));
            EdgeFuture::sent(inner, upgrade, wanted, edge.clone())
        }
        Err(status) => {
            let wanted = PreferredFormat::by(&head.method, &head.headers);
            EdgeFuture::refused(status, wanted, edge.clone())
        }
    }
}
