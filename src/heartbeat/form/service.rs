//! The service: [`HeartbeatService`].

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Extensions, Method, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::future::{HeartbeatServiceFuture, answer};
use crate::heartbeat::HeartbeatMonitor;

/// A tower service to which servers POST their heartbeats: `curl -d 'ready=30&busy=2' …`.
///
/// The report is of the client's IP address, which a closure finds in the extensions of the
/// request, and of the port that it names. So a client that can reach the service can report for
/// its own address only; put it where others than your servers cannot reach it, or give the
/// monitor a key. Behind another proxy, the address must be that of the server and not the
/// proxy's.
///
/// | request | answer |
/// |---|---|
/// | a report, by POST | 200 `OK` |
/// | another method | 405 |
/// | `ready` or `busy` is missing, or no number | 400, with what is wrong |
/// | a signature is asked for, and is missing, wrong or old | 403 |
/// | a body of more than 1000 bytes | 413 |
/// | a body that takes longer than [`body_timeout`](Self::body_timeout) | 408 |
/// | a server that is no member, and there are too many | 503 |
/// | the closure finds no address | 500 |
///
/// # Examples
///
/// In axum, which has to be served with `into_make_service_with_connect_info`:
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
/// In a `Router` of this crate's, behind its `Server` (feature `proxy`):
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

/// As good as without limit, and no time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl<F> HeartbeatService<F>
where
    F: Fn(&Extensions) -> Option<IpAddr>,
{
    /// Creates a service that gives reports to a monitor; `client` finds the address of the client
    /// in the extensions of a request.
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
    /// Sets how long a body may take; 10 s by default.
    #[must_use]
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.body_timeout = limit.min(LONGEST);
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
    /// For a POST outside a tokio runtime with `enable_time`.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.method() != Method::POST {
            let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, "POST it\n");
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
                let why = "the address of the client is not known here\n";
                HeartbeatServiceFuture::with(answer(StatusCode::INTERNAL_SERVER_ERROR, why))
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
