//! What a proxy does to each request and each answer on their ways: [`EdgeLayer`].
//!
//! ```text
//! request ─► path mapped ─► hop-by-hop headers out ─► client and way told ─► inner service
//! answer  ◄─ cookies, Location mapped back ◄─ Via ◄─ hop-by-hop headers out ◄─┘
//! ```
//!
//! What does not live here: which service a request goes to (`router`), the member
//! (`service`), and the bytes after a switch of protocols (`upgrade`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{EXPECT, HeaderMap, HeaderValue, MAX_FORWARDS, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::mapping::is_sound;
use super::router::is_for_one;
use super::upgrade::{Asked, Upgrades};
use super::{ClientAddr, CookieMap, Forwarding, Mapped, Origin, PathMap, ReverseMap, hop_by_hop};
use crate::service::{AnswerBody, BalanceError, Pages, Refusal, Wanted};

/// Makes a proxy of a balanced service: for the edge, where strangers come in.
///
/// * Headers that concern one connection are removed, on both ways, before ours are added.
/// * Members are told who asks ([`Forwarding`]). The server has to say it, by a
///   [`ClientAddr`] in the extensions of each request: without, there is no
///   `X-Forwarded-For`, and nobody is trusted.
/// * The path becomes the member's ([`PathMap`]); what is not mapped gets 404.
/// * `Location` and its like, and the attributes of cookies, are mapped back
///   ([`ReverseMap`], [`CookieMap`]).
/// * What no member should have to judge is refused with 400: more than one `Host`, one
///   that is no host, a path with a segment `.` or `..` or with broken escapes.
/// * `CONNECT` is refused with 405; `Max-Forwards` of `TRACE` and `OPTIONS` is counted
///   down, and answered for at 0.
///
/// * An `Upgrade` to WebSocket, or to what [`upgrades`](Self::upgrades) says, is passed on,
///   and once the member has switched, bytes go both ways as they come; the lease is held
///   and its bytes are counted until the tunnel ends. Any other is passed on as a plain
///   request: `h2c`, for one, would carry requests past all that is done here. A 101 that
///   nobody asked for is answered with 502.
/// * `Expect: 100-continue` is the server's affair, and stops here; any other expectation
///   is answered with 417.
///
/// Layers that add headers for members belong inside: outside, a client could name theirs
/// in its `Connection`. Where the server that accepts connections is not a
/// [`Server`](super::Server), it has to be hyper's, with upgrades, for them to work.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{ClientAddr, EdgeLayer, Forwarding, PathMap, ReverseMap};
/// use equipoise::{BalanceLayer, Balancer};
/// use http::Uri;
/// use hyper_util::client::legacy::{self, Client};
/// use hyper_util::rt::TokioExecutor;
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
///     // In earnest, what the server that accepted the connection knows.
///     .map_request(|mut request: http::Request<axum::body::Body>| {
///         let peer = std::net::SocketAddr::from(([203, 0, 113, 7], 5000));
///         request.extensions_mut().insert(ClientAddr(peer));
///         request
///     })
///     .layer(
///         EdgeLayer::new(Forwarding::new())
///             .paths(PathMap::new().with_prefix("/app", "/")?)
///             .reverse(ReverseMap::new().with_members(members, "/app")?),
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

#[derive(Clone, Debug)]
struct Edge {
    forwarding: Forwarding,
    paths: Option<PathMap>,
    reverse: Option<ReverseMap>,
    cookies: Option<CookieMap>,
    seen_as: Option<Origin>,
    upgrades: Upgrades,
    pages: Option<Pages>,
}

impl EdgeLayer {
    /// Makes a layer that tells members what `forwarding` says, and leaves paths as they
    /// are.
    ///
    /// # Examples
    ///
    /// See [`EdgeLayer`].
    pub fn new(forwarding: Forwarding) -> Self {
        let edge = Edge {
            forwarding,
            paths: None,
            reverse: None,
            cookies: None,
            seen_as: None,
            upgrades: Upgrades::default(),
            pages: None,
        };
        Self { edge }
    }

    /// Maps the paths of requests to those of members.
    ///
    /// # Examples
    ///
    /// See [`EdgeLayer`].
    pub fn paths(mut self, paths: PathMap) -> Self {
        self.edge.paths = Some(paths);
        self
    }

    /// Maps the URLs in the headers of answers back, to paths without a host: the client
    /// knows whom it asked. See [`seen_as`](Self::seen_as) for whole URLs.
    ///
    /// # Examples
    ///
    /// See [`EdgeLayer`].
    pub fn reverse(mut self, reverse: ReverseMap) -> Self {
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
    /// let layer = EdgeLayer::new(Forwarding::new()).seen_as(shop);
    /// # let _ = layer;
    /// ```
    pub fn seen_as(mut self, origin: Origin) -> Self {
        self.edge.seen_as = Some(origin);
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
    ///     .cookies(CookieMap::new().with_path("/", "/app")?);
    /// # let _ = layer;
    /// # Ok::<(), equipoise::proxy::MapRuleError>(())
    /// ```
    pub fn cookies(mut self, cookies: CookieMap) -> Self {
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

    /// Makes the answers to requests that are refused here by a function; see [`Refusal`].
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::{EdgeLayer, Forwarding};
    /// use http::Response;
    ///
    /// let layer = EdgeLayer::new(Forwarding::new())
    ///     .answers(|refusal| Response::new(format!("{}\n", refusal.status()).into()));
    /// # let _ = layer;
    /// ```
    pub fn answers(
        mut self,
        page: impl Fn(&Refusal<'_>) -> Response<Bytes> + Send + Sync + 'static,
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
///
/// # Examples
///
/// See [`EdgeLayer`].
#[derive(Clone, Debug)]
pub struct EdgeService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S, B, RB> Service<Request<B>> for EdgeService<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
    B: Body,
{
    type Response = Response<AnswerBody<RB>>;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let wanted = Wanted::by(&head.method, &head.headers);
        let course = match self.edge.receive(&mut head) {
            Ok(asked) => {
                if !body.is_end_stream() && body.size_hint().exact().is_none() {
                    // Else hyper's client takes it that a GET has no body.
                    let chunked = HeaderValue::from_static("chunked");
                    head.headers.insert(TRANSFER_ENCODING, chunked);
                }
                Course::Sent {
                    inner: self.inner.call(Request::from_parts(head, body)),
                    asked: asked.map(Box::new),
                }
            }
            Err(status) => Course::Refused { status },
        };
        EdgeFuture {
            course,
            wanted,
            edge: self.edge.clone(),
        }
    }
}

impl Edge {
    /// Makes a member's request of a client's, or says with what status it is refused.
    fn receive(&self, head: &mut Parts) -> Result<Option<Asked>, StatusCode> {
        if head.method == Method::CONNECT {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !is_for_one(&head.uri, &head.headers) || !has_sound_path(head) {
            return Err(StatusCode::BAD_REQUEST);
        }
        count_down(head)?;
        meet_expectation(&mut head.headers)?;
        if let Some(paths) = &self.paths {
            map(paths, head)?;
        }
        let asked = self.upgrades.asked(head);
        hop_by_hop::strip_request(&mut head.headers)
            .map_err(|hop_by_hop::Coded| StatusCode::NOT_IMPLEMENTED)?;
        let peer = head.extensions.get::<ClientAddr>().map(|peer| peer.0.ip());
        self.forwarding.apply(head, peer);
        if let Some(asked) = &asked {
            asked.pass_on(&mut head.headers);
        }
        Ok(asked)
    }

    /// Makes the client's answer of a member's.
    fn give_answer(&self, head: &mut http::response::Parts) -> Result<(), hop_by_hop::Coded> {
        hop_by_hop::strip_response(&mut head.headers)?;
        self.forwarding.apply_to_response(head);
        // What the member spoke is nothing to the client: hyper would repeat a 1.0.
        head.version = Version::HTTP_11;
        if let Some(reverse) = &self.reverse {
            reverse.rewrite(&mut head.headers, self.seen_as.as_ref());
        }
        if let Some(cookies) = &self.cookies {
            cookies.rewrite(&mut head.headers);
        }
        Ok(())
    }
}

fn has_sound_path(head: &Parts) -> bool {
    match head.uri.path_and_query().map(PathAndQuery::path) {
        Some("*") => head.method == Method::OPTIONS,
        Some(path) => is_sound(path),
        None => false,
    }
}

fn map(paths: &PathMap, head: &mut Parts) -> Result<(), StatusCode> {
    let Some(path) = head.uri.path_and_query() else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let path = match paths.map(path) {
        Ok(Mapped::To(path)) => path,
        Ok(Mapped::Excluded | Mapped::NotMapped) => return Err(StatusCode::NOT_FOUND),
        Err(error) => return Err(error.status()),
    };
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(())
}

/// `Expect` (RFC 9110, 10.1.1): the server says 100 once somebody reads the body, and the
/// member gets the body in any case.
fn meet_expectation(headers: &mut HeaderMap) -> Result<(), StatusCode> {
    match headers.remove(EXPECT) {
        Some(expected) if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(StatusCode::EXPECTATION_FAILED)
        }
        _ => Ok(()),
    }
}

/// `Max-Forwards` (RFC 9110, 7.6.2), for the methods that have it.
fn count_down(head: &mut Parts) -> Result<(), StatusCode> {
    if head.method != Method::TRACE && head.method != Method::OPTIONS {
        return Ok(());
    }
    let Some(left) = head.headers.get(MAX_FORWARDS) else {
        return Ok(());
    };
    let left = left.as_bytes();
    if left.is_empty() || !left.iter().all(u8::is_ascii_digit) {
        return Err(StatusCode::BAD_REQUEST);
    }
    // More than anybody needs is as good as any.
    let text = String::from_utf8_lossy(left);
    match text.parse::<u32>().unwrap_or(u32::MAX) {
        // We are the last, and have no options; what came is not shown to anybody.
        0 if head.method == Method::OPTIONS => Err(StatusCode::NO_CONTENT),
        0 => Err(StatusCode::METHOD_NOT_ALLOWED),
        left => {
            let less = HeaderValue::from(left - 1);
            head.headers.insert(MAX_FORWARDS, less);
            Ok(())
        }
    }
}

pin_project! {
    /// One request on its way through an [`EdgeService`].
    ///
    /// # Panics
    ///
    /// If it is polled again after it was ready, and the inner future does.
    ///
    /// # Examples
    ///
    /// See [`EdgeLayer`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct EdgeFuture<F> {
        #[pin]
        course: Course<F>,
        wanted: Wanted,
        edge: Arc<Edge>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = CourseProjected]
    enum Course<F> {
        Refused { status: StatusCode },
        Sent {
            #[pin]
            inner: F,
            // Most clients ask for nothing.
            asked: Option<Box<Asked>>,
        },
    }
}

impl<F, RB, E> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<AnswerBody<RB>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let refused = |status| {
            let refusal = Refusal::new(status, reason(status), *this.wanted);
            Poll::Ready(Ok(refusal.answer(this.edge.pages.as_ref())))
        };
        let (response, asked) = match this.course.project() {
            CourseProjected::Refused { status } => return refused(*status),
            CourseProjected::Sent { inner, asked } => (ready!(inner.poll(context))?, asked),
        };
        let (mut head, body) = response.into_parts();
        let mut switched = None;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some(asked) = asked.take() else {
                return refused(StatusCode::BAD_GATEWAY);
            };
            switched = Some(asked.protocol());
            if let Err(status) = asked.switch(&mut head) {
                return refused(status);
            }
        }
        if this.edge.give_answer(&mut head).is_err() {
            return refused(StatusCode::BAD_GATEWAY);
        }
        if let Some(protocol) = switched {
            Asked::confirm(&mut head.headers, protocol);
        }
        let body = AnswerBody::inner(body);
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

impl<F> EdgeFuture<F> {
    /// The answer to an error of the inner service.
    pub(super) fn answer_of<B>(&self, error: BalanceError) -> Response<AnswerBody<B>> {
        Refusal::answer_of(error, self.wanted, self.edge.pages.as_ref())
    }
}

/// What the client may know.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "it cannot be passed on as it is",
        StatusCode::BAD_GATEWAY => "what the server sent cannot be passed on",
        StatusCode::EXPECTATION_FAILED => "nothing but 100-continue can be expected",
        StatusCode::METHOD_NOT_ALLOWED => "not by this proxy",
        StatusCode::NOT_IMPLEMENTED => "it has another transfer coding than chunked",
        StatusCode::NOT_FOUND => "nothing is served under this address",
        StatusCode::URI_TOO_LONG => "it would grow too long for the server",
        _ => "",
    }
}
