//! What a proxy does to each request and each answer on their ways: [`EdgeLayer`].
//!
//! ```text
//! request ─► path mapped ─► hop-by-hop headers out ─► client and way told ─► inner service
//! answer  ◄─ cookies, Location mapped back ◄─ Via ◄─ hop-by-hop headers out ◄─┘
//! ```
//!
//! What does not live here: which service a request goes to (`router`), and the member
//! (`service`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::mapping::is_sound;
use super::router::{ClientAddr, host_of};
use super::{CookieMap, Forwarding, Mapped, Origin, PathMap, ReverseMap, hop_by_hop};
use crate::service::AnswerBody;

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
/// It does not switch protocols: an `Upgrade` is passed on as a plain request, and a
/// member's 101 is answered with 502. Layers that add headers for members belong inside:
/// outside, a client could name theirs in its `Connection`.
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
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        let edge = Arc::new(self.edge.clone());
        EdgeService { edge, inner }
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
        let head_only = head.method == Method::HEAD;
        let course = match self.edge.receive(&mut head) {
            Ok(()) => {
                if !body.is_end_stream() && body.size_hint().exact().is_none() {
                    // Else hyper's client takes it that a GET has no body.
                    let chunked = HeaderValue::from_static("chunked");
                    head.headers.insert(TRANSFER_ENCODING, chunked);
                }
                Course::Sent {
                    inner: self.inner.call(Request::from_parts(head, body)),
                    edge: self.edge.clone(),
                }
            }
            Err(status) => Course::Refused { status, head_only },
        };
        EdgeFuture { course }
    }
}

impl Edge {
    /// Makes a member's request of a client's, or says with what status it is refused.
    fn receive(&self, head: &mut Parts) -> Result<(), StatusCode> {
        if head.method == Method::CONNECT {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !is_for_one_host(head) || !has_sound_path(head) {
            return Err(StatusCode::BAD_REQUEST);
        }
        count_down(head)?;
        if let Some(paths) = &self.paths {
            map(paths, head)?;
        }
        hop_by_hop::strip_request(&mut head.headers);
        let peer = head.extensions.get::<ClientAddr>().map(|peer| peer.0.ip());
        self.forwarding.apply(head, peer);
        Ok(())
    }

    /// Makes the client's answer of a member's.
    fn give_answer(&self, head: &mut http::response::Parts) {
        hop_by_hop::strip_response(&mut head.headers);
        self.forwarding.apply_to_response(head);
        if let Some(reverse) = &self.reverse {
            reverse.rewrite(&mut head.headers, self.seen_as.as_ref());
        }
        if let Some(cookies) = &self.cookies {
            cookies.rewrite(&mut head.headers);
        }
    }
}

/// A client that speaks HTTP/1.0 need not say for which host its request is.
fn is_for_one_host(head: &Parts) -> bool {
    let says = head.uri.authority().is_some() || head.headers.contains_key(HOST);
    !says || host_of(&head.uri, &head.headers).is_some()
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
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = CourseProjected]
    enum Course<F> {
        Refused { status: StatusCode, head_only: bool },
        Sent {
            #[pin]
            inner: F,
            edge: Arc<Edge>,
        },
    }
}

impl<F, RB, E> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<AnswerBody<RB>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().course.project() {
            CourseProjected::Refused { status, head_only } => {
                Poll::Ready(Ok(refusal(*status, *head_only)))
            }
            CourseProjected::Sent { inner, edge } => {
                let response = ready!(inner.poll(context))?;
                let (mut head, body) = response.into_parts();
                if head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok(refusal(StatusCode::BAD_GATEWAY, false)));
                }
                edge.give_answer(&mut head);
                let body = AnswerBody::inner(body);
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
        }
    }
}

fn refusal<B>(status: StatusCode, head_only: bool) -> Response<AnswerBody<B>> {
    let line = match status {
        StatusCode::BAD_REQUEST => "Bad Request: it cannot be passed on as it is.\n",
        StatusCode::BAD_GATEWAY => "Bad Gateway: the server switched to another protocol.\n",
        StatusCode::METHOD_NOT_ALLOWED => "Method Not Allowed: not by this proxy.\n",
        StatusCode::NOT_FOUND => "Not Found: nothing is served under this address.\n",
        StatusCode::URI_TOO_LONG => "URI Too Long: it would grow too long for the server.\n",
        _ => "",
    };
    let text = if head_only { "" } else { line };
    let text = Bytes::from_static(text.as_bytes());
    let mut response = Response::new(AnswerBody::text(text));
    *response.status_mut() = status;
    let headers: &mut HeaderMap = response.headers_mut();
    if !line.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110, 15.5.6: it has to be there.
        let allow = "GET, HEAD, OPTIONS, PATCH, POST, PUT, DELETE, TRACE";
        let allowed = HeaderValue::from_static(allow);
        headers.insert(HeaderName::from_static("allow"), allowed);
    }
    response
}
