//! A member that speaks HTTP, with the connections to it: [`Endpoint`].
//!
//! ```text
//! request ─► pointed at the member ─► idle connection, or a new one ─► head ─► EndpointBody
//!                                         ▲                                        │
//!                                         └────────── with the last frame ─────────┘
//! ```
//!
//! What does not live here: the exchange itself (`exchange` up to the head, `body`
//! afterwards), which member a request goes to, and what is done when one
//! fails (`service`).

mod body;
mod builder;
mod connect;
mod copied;
mod error;
mod exchange;
mod interim;
mod line;
mod outgoing;
mod peer;
mod pool;
mod progress;
mod streams;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

pub use body::EndpointBody;
pub use builder::EndpointBuilder;
pub use connect::HttpVersions;
pub use error::{EndpointError, EndpointUriError, Stage};

use crate::service::{BoxError, HostKept, RequestError, causes, host_of, under};
use crate::timer::timeout_at;
use connect::Opener;
use exchange::Exchange;
use line::Line;
use outgoing::Outgoing;
use pool::{For, NoLine, Pool};

/// A member that speaks HTTP: its address, its own connections, and how long it may take.
///
/// It is a service for any request body, which points requests at itself: scheme,
/// authority and path prefix, version and `Host`. So it is what a
/// [`ReverseProxy`](super::ReverseProxy) balances over, and it can be used alone. Clones
/// share the connections. It needs a tokio runtime with I/O and time.
///
/// | limit | by default | set by |
/// |---|---|---|
/// | a connection, with names and TLS | 5 s | [`connect_timeout`](EndpointBuilder::connect_timeout) |
/// | the head of the answer, since the last of the request | 60 s | [`head_timeout`](EndpointBuilder::head_timeout) |
/// | between two frames of the answer | 60 s | [`frame_timeout`](EndpointBuilder::frame_timeout) |
/// | the whole of it | none | [`request_timeout`](EndpointBuilder::request_timeout) |
/// | bytes of the answer's head | 64 KiB | [`max_head`](EndpointBuilder::max_head) |
/// | header lines of the answer | 100 over HTTP/1.1, none over HTTP/2 | [`max_headers`](EndpointBuilder::max_headers) |
/// | idle connections | 256 | [`max_idle`](EndpointBuilder::max_idle) |
/// | a connection's idle life | 15 s | [`idle_lifetime`](EndpointBuilder::idle_lifetime) |
/// | connections of HTTP/2 | 8 | [`http2_max_connections`](EndpointBuilder::http2_max_connections) |
/// | requests at a time on one of HTTP/2 | 100 | [`http2_max_concurrent_streams`](EndpointBuilder::http2_max_concurrent_streams) |
/// | unread bytes of an answer by HTTP/2 | 256 KiB | [`http2_initial_stream_window_size`](EndpointBuilder::http2_initial_stream_window_size) |
///
/// What a member of HTTP/2 says that it did not process (`GOAWAY`, `REFUSED_STREAM`) is sent
/// to it once more on another connection, whatever the method: so up to 128 KiB of each
/// upload by HTTP/2 are kept until its answer begins. A connection that ended after it had served
/// others counts for nothing: then there is one more, on a connection of its own.
///
/// A chunked answer is cut once its chunk extensions add up to 16 KiB over the whole body: a
/// limit of hyper that cannot be set.
///
/// How many requests it gets at once is the balancer's affair: see
/// [`MemberSpec::with_max_in_flight`](crate::MemberSpec::with_max_in_flight). Its name is
/// resolved for each new connection; one that is used all the time stays where it is.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::proxy::{Endpoint, ReverseProxy};
/// use http::Uri;
/// use std::time::Duration;
///
/// let balancer = Balancer::new([
///     ("a", Endpoint::new(Uri::from_static("http://10.0.0.1:8080"))?),
///     (
///         "b",
///         Endpoint::builder(Uri::from_static("http://10.0.0.2:8080/app"))
///             .connect_timeout(Duration::from_secs(1))
///             .request_timeout(Duration::from_secs(300))
///             .build()?,
///     ),
/// ])?;
/// let proxy = ReverseProxy::new(balancer);
/// # let _ = proxy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Alone:
///
/// ```no_run
/// use equipoise::proxy::Endpoint;
/// use http::{Request, Uri};
/// use http_body_util::{BodyExt, Empty};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let member = Endpoint::new(Uri::from_static("http://10.0.0.1:8080"))?;
/// let request = Request::get("/health").body(Empty::<bytes::Bytes>::new())?;
/// let response = member.oneshot(request).await?;
/// println!("{:?}", response.into_body().collect().await?.to_bytes());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

/// What clones share.
#[derive(Debug)]
struct Shared {
    opener: Opener,
    pool: Pool,
    scheme: Scheme,
    /// What it is called in errors: its authority, or the path of its socket.
    to: Arc<str>,
    authority: Authority,
    /// `None` if the client's stays.
    host: Option<HeaderValue>,
    connect: Duration,
    idle_life: Duration,
    head: Option<Duration>,
    frame: Option<Duration>,
    whole: Option<Duration>,
}

impl Endpoint {
    /// Makes a member of `http://host[:port][/prefix]` or `https://…`, with the default
    /// limits. No connection is opened yet.
    ///
    /// # Errors
    ///
    /// If it is no such URI; for `https`, also if the feature `tls` is off or the system
    /// has no root certificates.
    ///
    /// # Examples
    ///
    /// See [`Endpoint`].
    pub fn new(uri: Uri) -> Result<Self, EndpointUriError> {
        Self::builder(uri).build()
    }

    /// Begins a member with limits of its own.
    ///
    /// # Examples
    ///
    /// See [`Endpoint`].
    pub fn builder(uri: Uri) -> EndpointBuilder {
        EndpointBuilder::new(uri)
    }

    /// Returns the URI that it was made of.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Endpoint;
    /// use http::Uri;
    ///
    /// let member = Endpoint::new(Uri::from_static("http://10.0.0.1:8080/app"))?;
    /// assert_eq!(member.uri().path(), "/app");
    /// # Ok::<(), equipoise::proxy::EndpointUriError>(())
    /// ```
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.shared.opener.uri
    }
}

impl<B> Service<Request<B>> for Endpoint
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<EndpointBody>;
    type Error = EndpointError;
    type Future = EndpointFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EndpointError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> EndpointFuture {
        let endpoint = &self.shared;
        let version = request.version();
        let request = request.map(|body| Outgoing::new(body, version));
        let exchange = match endpoint.aim(request) {
            Ok(request) => exchange::begin(endpoint.clone(), request),
            Err(source) => {
                let refused = EndpointError::Request { source };
                Box::pin(std::future::ready(Err(refused)))
            }
        };
        EndpointFuture { exchange }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Endpoint")
            .field("uri", &shared.opener.uri)
            .field("versions", &shared.opener.versions)
            .finish_non_exhaustive()
    }
}

/// A request on its way to an [`Endpoint`].
///
/// # Cancel safety
///
/// Dropped, it gives the request up: the connection is closed, or the stream reset.
///
/// # Examples
///
/// See [`Endpoint`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct EndpointFuture {
    exchange: Exchange,
}

impl Future for EndpointFuture {
    type Output = Result<Response<EndpointBody>, EndpointError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.exchange.as_mut().poll(context)
    }
}

impl fmt::Debug for EndpointFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointFuture").finish_non_exhaustive()
    }
}

impl Shared {
    /// Points a request at the member; its form is the connection's affair.
    fn aim(&self, request: Request<Outgoing>) -> Result<Request<Outgoing>, RequestError> {
        let (mut head, body) = request.into_parts();
        length_of_the_body(&mut head.headers, &body)?;
        let path = self.path(&head)?;
        let kept = head.extensions.get::<HostKept>().is_some();
        let host = match self.host.as_ref().filter(|_| !kept) {
            Some(host) => Some(host.clone()),
            // RFC 9112, 3.2.2: a host in the request line comes before the header.
            None => head.uri.authority().and_then(host_of),
        };
        // A client of HTTP/1.0 need not say it; we have to.
        let silent = || !head.headers.contains_key(HOST);
        let host = host.or_else(|| silent().then(|| host_of(&self.authority))?);
        if let Some(host) = host {
            head.headers.insert(HOST, host);
        }
        head.uri = Uri::from(path);
        Ok(Request::from_parts(head, body))
    }

    fn path(&self, head: &Parts) -> Result<PathAndQuery, RequestError> {
        let prefix = self.opener.uri.path();
        match head.uri.path_and_query() {
            Some(path) if prefix == "/" || path.path() == "*" => Ok(path.clone()),
            Some(path) => under(prefix, path),
            None => Ok(PathAndQuery::from_static("/")),
        }
    }

    /// Whether a connection may turn out to be one of HTTP/2, unless it is asked not to.
    fn may_speak_2(&self) -> bool {
        self.opener.connector.is_secured() && self.opener.versions == HttpVersions::Any
    }

    /// A connection, in the time that there is for it.
    async fn open(&self, whom: For, until: Option<Instant>) -> Result<Line, EndpointError> {
        let connect = self.opener.connect(self.opener.versions);
        // The wait for one that is being opened counts: else they would add up.
        self.in_time(self.pool.open(connect, whom), until).await
    }

    /// A connection that can switch protocols, which HTTP/2 cannot, for one request.
    async fn open_for_upgrade(&self, until: Option<Instant>) -> Result<Line, EndpointError> {
        let connect = async {
            let connected = self.opener.connect(HttpVersions::Http1).await;
            connected.map_err(NoLine::Failed)
        };
        self.in_time(connect, until).await
    }

    async fn in_time(
        &self,
        opening: impl Future<Output = Result<Line, NoLine>>,
        until: Option<Instant>,
    ) -> Result<Line, EndpointError> {
        let limit = Instant::now() + self.connect;
        let limit = until.map_or(limit, |until| limit.min(until));
        match timeout_at(limit, opening).await {
            Ok(opened) => opened.map_err(|none| match none {
                NoLine::Failed(source) => self.unreachable(source),
                NoLine::Full(limit) => EndpointError::AtCapacity {
                    limit,
                    source: self.pool.capacity.exceeded(limit).into(),
                },
            }),
            Err(_) => {
                let late = io::Error::from(io::ErrorKind::TimedOut);
                Err(self.unreachable(late.into()))
            }
        }
    }

    fn is_refusal(&self, error: &hyper::Error) -> bool {
        causes(error).any(|cause| self.opener.connector.is_refusal(cause))
    }

    fn unreachable(&self, source: BoxError) -> EndpointError {
        EndpointError::Connect {
            to: self.to.clone(),
            source,
        }
    }
}

/// A length that is not the body's would make what follows on the connection a part of it,
/// or it a part of what follows.
fn length_of_the_body(headers: &mut HeaderMap, body: &Outgoing) -> Result<(), RequestError> {
    let Some(said) = headers.get(CONTENT_LENGTH) else {
        return Ok(());
    };
    let said: Option<u64> = said.to_str().ok().and_then(|said| said.parse().ok());
    match body.size_hint().exact() {
        Some(0) if said != Some(0) => {
            // Somebody has taken the body.
            headers.remove(CONTENT_LENGTH);
            Ok(())
        }
        Some(exact) if said != Some(exact) => {
            let wrong = "its length is not that of its body";
            Err(RequestError::new(StatusCode::BAD_REQUEST, wrong))
        }
        _ => Ok(()),
    }
}
