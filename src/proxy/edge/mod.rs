//! What a proxy does to each request and each answer on their ways: [`EdgeLayer`].
//!
//! ```text
//! request ─► path mapped ─► hop-by-hop headers out ─► client and way told ─► inner service
//! answer  ◄─ cookies, Location mapped back ◄─ Via ◄─ hop-by-hop headers out ◄─┘
//! ```
//!
//! What does not live here: which service a request goes to (`router`), the member
//! (`service`), and the bytes after a switch of protocols (`upgrade`).

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
#[cfg(feature = "config")]
pub(crate) use future::AnsweredBadly;
pub use future::EdgeFuture;
#[cfg(feature = "config")]
pub(crate) use heads::OwnFields;

use super::upgrade::Upgrades;
use super::{CookieMap, Forwarding, Origin, PathMap, ReverseMap};
use crate::service::{ErrorPage, Pages, PreferredFormat, ResponseBody};
use heads::{Edge, Received};

/// Creates a proxy of a balanced service: for the edge, where strangers come in.
///
/// * Headers that concern one connection are removed, on both ways, before ours are added.
/// * Members get the client's address ([`Forwarding`]). A [`Server`](super::Server) knows it;
///   behind another one, a [`ClientAddrLayer`](super::ClientAddrLayer) does: without, there is no
///   `X-Forwarded-For`, and no peer is trusted.
/// * The path becomes the member's ([`PathMap`]); what is not mapped gets 404.
/// * `Location` and its like, and the attributes of cookies, are mapped back
///   ([`ReverseMap`], [`CookieMap`]).
/// * What no member should have to judge is refused with 400: a request without a host
///   (but for HTTP/1.0), with more than one or with one that is no host, with user and
///   password before the host, with a scheme other than `http` and `https`, with lengths
///   that differ, with a path that has a segment `.` or `..` or broken escapes.
/// * Trailers are held to the same rules as heads, on both ways ([`EdgeBody`]), and a name
///   with underscores to those for the name with hyphens, as many servers read it.
/// * `CONNECT` is refused with 405; `Max-Forwards` of `TRACE` and `OPTIONS` is counted
///   down, and answered for at 0.
///
/// * An `Upgrade` to WebSocket, or to what [`upgrades`](Self::upgrades) says, is passed on,
///   and once the member has switched, bytes go both ways as they come; the lease is held
///   and its bytes are counted until the tunnel ends. Any other is passed on as a plain
///   request: `h2c`, for one, would carry requests past all that is done here. A 101 that
///   nobody asked for is answered with 502.
/// * `Expect: 100-continue` is the server's affair, and stops here; any other expectation,
///   and a list in one line, is answered with 417.
/// * An answer with 204 has no `Content-Length`; a member's with lengths that differ is
///   answered with 502.
///
/// Layers that add headers for members belong inside: outside, a client could name theirs
/// in its `Connection`. Where the server that accepts connections is not a
/// [`Server`](super::Server), it has to be hyper's, with upgrades, for them to work.
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
    /// Creates a layer that tells members what `forwarding` says, and leaves paths as they
    /// are.
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

    /// Maps the URLs in the headers of answers back, to paths without a host: the client
    /// knows whom it asked. See [`public_origin`](Self::public_origin) for whole URLs.
    pub fn reverse_map(mut self, reverse: ReverseMap) -> Self {
        self.edge.reverse = Some(reverse);
        self
    }

    /// Says as what clients see this proxy, so that URLs are mapped back whole. It is not
    /// read from requests: a client could name any host, and a cache keep the answer.
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

    /// Says to which protocols clients and members may switch; `websocket` unless this
    /// says otherwise. None at all is possible, too.
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

    /// Sets how long nothing may move in a tunnel, either way, before it is closed, give
    /// or take as much again; an hour by default.
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

    /// Answers with 421 what comes by TLS for a host that the server's certificate is not
    /// for: a client has to open a connection for it. So a client that the handshake of
    /// one name let in does not reach the services of another; clients of HTTP/2 may still
    /// use a connection for all hosts of its certificate. What comes without TLS, or by
    /// TLS that another program has terminated, passes.
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

    /// Creates the answers to requests that are refused here by a function; see [`ErrorPage`].
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
    pub fn answers(
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

/// A service with an [`EdgeLayer`] before it.
#[derive(Clone, Debug)]
pub struct EdgeService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S, B, RB> Service<Request<B>> for EdgeService<S>
where
    S: Service<Request<EdgeBody<B>>, Response = Response<RB>>,
    B: Body,
{
    type Response = Response<ResponseBody<EdgeBody<RB>>>;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let wanted = PreferredFormat::by(&head.method, &head.headers);
        match self.edge.receive(&mut head) {
            Ok(Received { asked, removed }) => {
                if !body.is_end_stream() && body.size_hint().exact().is_none() {
                    // Else hyper's client takes it that a GET has no body.
                    let chunked = HeaderValue::from_static("chunked");
                    head.headers.insert(TRANSFER_ENCODING, chunked);
                }
                let body = EdgeBody::new(body, removed);
                let inner = self.inner.call(Request::from_parts(head, body));
                EdgeFuture::sent(inner, asked, wanted, self.edge.clone())
            }
            Err(status) => EdgeFuture::refused(status, wanted, self.edge.clone()),
        }
    }
}
