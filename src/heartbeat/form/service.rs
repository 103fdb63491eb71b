//! The service that receives heartbeats: [`HeartbeatService`].

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Extensions, Method, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::future::{HeartbeatServiceFuture, text_response};
use crate::heartbeat::HeartbeatMonitor;

/// A tower service that receives heartbeats as POST requests: `curl -d 'ready=30&busy=2'
/// …`.
///
/// A report belongs to the client's IP address, which a closure takes from the extensions
/// of the request, and to the port in the report. A client that can reach the service can
/// thus report for its own address only. Make the service reachable for your servers only,
/// or give the monitor a key. Behind another proxy, the address must be that of the server,
/// not that of the proxy.
///
/// | request | response |
/// |---|---|
/// | a report, by POST | 200 `OK` |
/// | another method | 405 |
/// | `ready` or `busy` is missing, or not a number | 400, with the error |
/// | a signature is required, and is missing, wrong or outdated | 403 |
/// | a body of more than 1000 bytes | 413 |
/// | a body that takes longer than [`body_timeout`](Self::body_timeout) | 408 |
/// | a server that is not a member, and there are too many | 503 |
/// | the closure finds no address | 500 |
///
/// # Examples
///
/// With axum, which must use `into_make_service_with_connect_info`:
///
/// ```no_run
/// use axum::{Router, extract::ConnectInfo};
/// use equipoise::heartbeat::{HeartbeatMonitor, HeartbeatService};
/// use std::net::SocketAddr;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let monitor = HeartbeatMonitor::new();
/// let heartbeats = HeartbeatService::new(&monitor, |extensions| {
///     Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip())
/// });
/// let app: Router = Router::new().route_service("/heartbeat", heartbeats);
/// let listener = tokio::net::TcpListener::bind("10.0.0.9:8081").await?;
/// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
/// # Ok(())
/// # }
/// ```
///
/// In a `Router` of this crate, behind its `Server` (feature `proxy`):
///
/// ```
/// # #[cfg(feature = "proxy")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use equipoise::heartbeat::{HeartbeatMonitor, HeartbeatService};
/// use equipoise::proxy::{ClientAddr, Router, Rule};
///
/// let monitor = HeartbeatMonitor::new();
/// let heartbeats = HeartbeatService::new(&monitor, |extensions| {
///     Some(extensions.get::<ClientAddr>()?.0.ip())
/// });
/// let router = Router::builder()
///     .service(Rule::new().path("/heartbeat"), heartbeats)
///     .build()?;
/// # let _ = router;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "proxy"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct HeartbeatService<F> {
    monitor: HeartbeatMonitor,
    client: F,
    body_timeout: Duration,
}

/// As good as no limit, and short enough that no time overflows.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl<F> HeartbeatService<F>
where
    F: Fn(&Extensions) -> Option<IpAddr>,
{
    /// Creates a service that passes reports to a monitor; `client` returns the address of
    /// the client from the extensions of a request.
    #[must_use]
    pub fn new(monitor: &HeartbeatMonitor, client: F) -> Self {
        Self {
            monitor: monitor.clone(),
            client,
            body_timeout: Duration::from_secs(10),
        }
    }
}

impl<F> HeartbeatService<F> {
    /// Sets the time limit of a body; 10 s by default.
    #[must_use]
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.body_timeout = limit.min(MAX_DURATION);
        self
    }
}

impl<F, B> Service<Request<B>> for HeartbeatService<F>
where
    F: Fn(&Extensions) -> Option<IpAddr>,
    B: Body,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = HeartbeatServiceFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// # Panics
    ///
    /// For a POST request outside a tokio runtime with `enable_time`.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.method() != Method::POST {
            let mut refused = text_response(StatusCode::METHOD_NOT_ALLOWED, "POST it\n");
            let post = http::HeaderValue::from_static("POST");
            refused.headers_mut().insert(http::header::ALLOW, post);
            return HeartbeatServiceFuture::with(refused);
        }
        match (self.client)(request.extensions()) {
            Some(from) => HeartbeatServiceFuture::of(
                request.into_body(),
                self.monitor.clone(),
                from,
                self.body_timeout,
            ),
            None => {
                let why = "the client's address is unknown: check the closure of the service\n";
                HeartbeatServiceFuture::with(text_response(StatusCode::INTERNAL_SERVER_ERROR, why))
            }
        }
    }
}

impl<F> fmt::Debug for HeartbeatService<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatService")
            .field("monitor", &self.monitor)
            .field("body_timeout", &self.body_timeout)
            .finish_non_exhaustive()
    }
}
