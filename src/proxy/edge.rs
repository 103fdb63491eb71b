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
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::router::ClientAddr;
use super::{CookieMap, Forwarding, Mapped, Origin, PathMap, ReverseMap, hop_by_hop};
use crate::service::AnswerBody;

/// Makes a proxy of a balanced service: for the edge, where strangers come in.
///
/// * Headers that concern one connection are removed, on both ways, before anything else.
/// * Members are told who asks ([`Forwarding`]; the peer is read from [`ClientAddr`]).
/// * The path becomes the member's ([`PathMap`]); what is not mapped gets 404.
/// * `Location` and its like, and the attributes of cookies, are mapped back
///   ([`ReverseMap`], [`CookieMap`]).
/// * `CONNECT` is refused with 405; `Max-Forwards` of `TRACE` and `OPTIONS` is counted
///   down, and answered for at 0.
///
/// It does not switch protocols: an `Upgrade` is passed on as a plain request.
///
/// # Examples
///
/// ```
/// use equipoise::proxy::{EdgeLayer, Forwarding, PathMap, ReverseMap};
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

    /// Maps the URLs in the headers of answers back.
    ///
    /// # Examples
    ///
    /// See [`EdgeLayer`].
    pub fn reverse(mut self, reverse: ReverseMap) -> Self {
        self.edge.reverse = Some(reverse);
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
            Ok(seen_as) => Course::Sent {
                inner: self.inner.call(Request::from_parts(head, body)),
                edge: self.edge.clone(),
                seen_as,
            },
            Err(status) => Course::Refused { status, head_only },
        };
        EdgeFuture { course }
    }
}

impl Edge {
    /// Makes a member's request of a client's; returns as what the client sees us, where
    /// that is wanted for the answer, or the status with which it is refused.
    fn receive(&self, head: &mut Parts) -> Result<Option<Origin>, StatusCode> {
        if head.method == Method::CONNECT {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        count_down(head)?;
        if let Some(paths) = &self.paths {
            map(paths, head)?;
        }
        hop_by_hop::strip_request(&mut head.headers);
        let seen_as = self.reverse.as_ref().and_then(|_| self.origin(head));
        let peer = head.extensions.get::<ClientAddr>().map(|peer| peer.0.ip());
        self.forwarding.apply(head, peer);
        Ok(seen_as)
    }

    fn origin(&self, head: &Parts) -> Option<Origin> {
        let authority: Authority = match head.uri.authority() {
            Some(authority) => authority.clone(),
            None => head.headers.get(HOST)?.to_str().ok()?.parse().ok()?,
        };
        Some(Origin::new(self.forwarding.scheme().clone(), authority))
    }

    /// Makes the client's answer of a member's.
    fn give_answer(&self, head: &mut http::response::Parts, seen_as: Option<&Origin>) {
        hop_by_hop::strip_response(&mut head.headers);
        self.forwarding.apply_to_response(head);
        if let Some(reverse) = &self.reverse {
            reverse.rewrite(&mut head.headers, seen_as);
        }
        if let Some(cookies) = &self.cookies {
            cookies.rewrite(&mut head.headers);
        }
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
    let left = left.to_str().ok().and_then(|left| left.parse::<u32>().ok());
    match left.ok_or(StatusCode::BAD_REQUEST)? {
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
            seen_as: Option<Origin>,
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
            CourseProjected::Sent {
                inner,
                edge,
                seen_as,
            } => {
                let response = ready!(inner.poll(context))?;
                let (mut head, body) = response.into_parts();
                edge.give_answer(&mut head, seen_as.as_ref());
                let body = AnswerBody::inner(body);
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
        }
    }
}

fn refusal<B>(status: StatusCode, head_only: bool) -> Response<AnswerBody<B>> {
    let line = match status {
        StatusCode::BAD_REQUEST => "Bad Request: it cannot be passed on as it is.\n",
        StatusCode::METHOD_NOT_ALLOWED => "Method Not Allowed: this proxy opens no tunnels.\n",
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
        let allow = "GET, HEAD, OPTIONS, PATCH, POST, PUT, DELETE";
        let allowed = HeaderValue::from_static(allow);
        headers.insert(HeaderName::from_static("allow"), allowed);
    }
    response
}
