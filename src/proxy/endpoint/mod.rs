//! A member that speaks HTTP, with its connections: [`Endpoint`].
//!
//! ```text
//! request ─► addressed to the member ─► idle connection, or a new one ─► head ─► EndpointBody
//!                                          ▲                                         │
//!                                          └─────────── with the last frame ─────────┘
//! ```
//!
//! Not here: the exchange itself (`sending` and `exchange` up to the head, `body`
//! afterwards), the choice of a member, and what happens when an exchange fails
//! (`service`).

mod body;
mod builder;
mod connect;
#[cfg(test)]
mod early_tests;
mod error;
mod exchange;
mod interim;
mod member_connection;
mod outgoing;
mod peer;
mod permit;
mod pool;
mod progress;
mod request_copy;
mod sending;
mod shared;
mod streams;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use tower_service::Service;

pub use body::EndpointBody;
pub use builder::EndpointBuilder;
pub use connect::HttpVersions;
pub use error::{EndpointError, EndpointUriError, TimeoutStage};

use crate::service::BoxError;
use outgoing::Outgoing;
use sending::ExchangeStage;
use shared::SharedEndpoint;

/// A member that speaks HTTP: its address, its connection pool, and its time limits.
///
/// It is a service for any request body. It addresses each request to the member: scheme,
/// authority and path prefix, version and `Host`. A [`ReverseProxy`](super::ReverseProxy)
/// balances over endpoints; an endpoint can also be used alone. Clones share the
/// connections. It needs a tokio runtime with I/O and time.
///
/// | limit | default | set by |
/// |---|---|---|
/// | opening a connection, with name resolution and TLS | 5 s | [`connect_timeout`](EndpointBuilder::connect_timeout) |
/// | the head of the response, since the last frame of the request | 60 s | [`head_timeout`](EndpointBuilder::head_timeout) |
/// | between two frames of the response | 60 s | [`frame_timeout`](EndpointBuilder::frame_timeout) |
/// | the whole exchange | none | [`request_timeout`](EndpointBuilder::request_timeout) |
/// | bytes of the response head | 64 KiB | [`max_head`](EndpointBuilder::max_head) |
/// | header lines of the response | 100 over HTTP/1.1, none over HTTP/2 | [`max_headers`](EndpointBuilder::max_headers) |
/// | idle connections | 256 | [`max_idle`](EndpointBuilder::max_idle) |
/// | lifetime of an idle connection | 15 s | [`idle_lifetime`](EndpointBuilder::idle_lifetime) |
/// | HTTP/2 connections | 8 | [`http2_max_connections`](EndpointBuilder::http2_max_connections) |
/// | concurrent requests per HTTP/2 connection | 100 | [`http2_max_concurrent_streams`](EndpointBuilder::http2_max_concurrent_streams) |
/// | unread bytes of a response over HTTP/2 | 256 KiB | [`http2_initial_stream_window_size`](EndpointBuilder::http2_initial_stream_window_size) |
///
/// A request that an HTTP/2 member reports as unprocessed (`GOAWAY`, `REFUSED_STREAM`) is
/// sent to it once more on another connection, whatever its method, if the first one had
/// been open before. Therefore up to 128 KiB of each upload over HTTP/2 are kept until its
/// response begins. A connection that ended after it had served others does not count as a
/// try: the request is then sent once more, on a connection of its own. After that,
/// a [`ReverseProxy`](super::ReverseProxy) sends it to another member; see
/// [`Counted`](crate::service::Counted) for its body.
///
/// A chunked response is cut off once its chunk extensions add up to 16 KiB over the whole
/// body. This is a limit of hyper that cannot be set.
///
/// The balancer limits how many requests a member gets at once: see
/// [`MemberSpec::with_max_in_flight`](crate::MemberSpec::with_max_in_flight). The member's
/// name is resolved for each new connection; a connection in use is not moved when the name
/// changes.
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
/// Without a balancer:
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
    shared: Arc<SharedEndpoint>,
}

impl Endpoint {
    /// Returns the URI that it was created from.
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

    /// Returns what opens connections to the member.
    #[cfg(feature = "health")]
    pub(crate) fn connector(&self) -> &crate::net::Connector {
        &self.shared.opener.connector
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
        let version = request.version();
        let request = request.map(|body| Outgoing::new(body, version));
        let stage = sending::begin(&self.shared, request);
        EndpointFuture { stage }
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

/// The response future of [`Endpoint`].
///
/// # Cancel safety
///
/// Dropping it cancels the request: the connection is closed, or the stream reset.
#[must_use = "a future does nothing unless it is awaited"]
pub struct EndpointFuture {
    stage: ExchangeStage,
}

impl Future for EndpointFuture {
    type Output = Result<Response<EndpointBody>, EndpointError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.stage.poll(context)
    }
}

impl fmt::Debug for EndpointFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointFuture").finish_non_exhaustive()
    }
}
