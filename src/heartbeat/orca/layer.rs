//! The layer and the service that read reports: [`OrcaLayer`], [`OrcaService`].

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::OrcaError;
use super::future::OrcaFuture;
use super::sink::Sink;
use crate::balancer::Balancer;
use crate::scheduler::{HeartbeatReadings, PrequalReports};

/// Passes the reports in the responses of members to the scheduler of their balancer,
/// through its readings. It removes the header from responses. Put it outside the
/// [`BalanceService`](crate::BalanceService), which records which member has responded.
///
/// The scheduler combines reports with its own counts: it subtracts the requests that were
/// sent since a report from the reported idle capacity. A report counts for 10 s
/// ([`Heartbeat::with_max_age`](crate::Heartbeat::with_max_age)). A member without requests
/// for that long counts as one without a report; while no other member has idle capacity,
/// the fallback picks. With few requests, let members send heartbeats, too.
///
/// If there are several headers, the last one in text form counts. An invalid header is
/// ignored, and passed to [`on_error`](Self::on_error).
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::OrcaLayer;
/// use equipoise::{BalanceService, Balancer, Heartbeat, HeartbeatReadings, MemberSpec};
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let member = service_fn(|_: Request<_>| async {
///     let response = Response::builder().header("endpoint-load-metrics", "TEXT cpu_utilization=0.9");
///     response.body(String::new())
/// });
/// let readings = HeartbeatReadings::new();
/// let balancer = Balancer::builder()
///     .scheduler(Heartbeat::new(&readings))
///     .member("a", member, MemberSpec::new())
///     .build()?;
/// let service = OrcaLayer::new(&balancer, &readings).layer(BalanceService::over(balancer.clone()));
///
/// let response = service.oneshot(Request::new(String::new())).await?;
/// assert!(response.headers().is_empty());
/// assert_eq!(balancer.standing("a"), Some(10)); // idle, of 100
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct OrcaLayer {
    sink: Sink,
}

impl OrcaLayer {
    /// Creates a layer for the members of a balancer that picks by `readings`.
    pub fn new<W>(balancer: &Balancer<W>, readings: &HeartbeatReadings) -> Self
    where
        W: Send + Sync + 'static,
    {
        Self {
            sink: Sink::new(balancer, readings),
        }
    }

    /// Creates a layer for the members of a balancer that picks by `reports`, with the
    /// scheduler [`Prequal`](crate::scheduler::Prequal). It uses the metrics
    /// `named_metrics.rif` (requests in flight) and `named_metrics.latency` (in seconds);
    /// [`OrcaReport::probe_report`](super::OrcaReport::probe_report) describes them. Servers
    /// on tower send them with [`LoadReportLayer`](crate::heartbeat::LoadReportLayer).
    ///
    /// [`capacity`](Self::capacity) and [`metric`](Self::metric) have no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::OrcaLayer;
    /// use equipoise::scheduler::{Prequal, PrequalReports};
    /// use equipoise::{BalanceService, Balancer, MemberSpec};
    /// use http::{Request, Response};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let member = service_fn(|_: Request<_>| async {
    ///     let report = "TEXT named_metrics.rif=4, named_metrics.latency=0.012";
    ///     Response::builder().header("endpoint-load-metrics", report).body(String::new())
    /// });
    /// let reports = PrequalReports::new();
    /// let balancer = Balancer::builder()
    ///     .scheduler(Prequal::by_responses(&reports))
    ///     .member("a", member, MemberSpec::new())
    ///     .build()?;
    /// let layer = OrcaLayer::for_prequal(&balancer, &reports);
    /// let service = layer.layer(BalanceService::over(balancer.clone()));
    ///
    /// service.oneshot(Request::new(String::new())).await?;
    /// assert_eq!(balancer.standing("a"), Some(4));
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_prequal<W>(balancer: &Balancer<W>, reports: &PrequalReports) -> Self
    where
        W: Send + Sync + 'static,
    {
        Self {
            sink: Sink::for_prequal(balancer, reports),
        }
    }

    /// Sets how many requests a member can serve at once, 100 by default; the utilization
    /// is a fraction of it. Members with other capacities report `named_metrics.ready` and
    /// `named_metrics.busy`.
    pub fn capacity(mut self, requests: u32) -> Self {
        self.sink.capacity = requests;
        self
    }

    /// Uses a metric as the utilization, by its full name; of several, the highest counts.
    /// For members that do not report it,
    /// [`OrcaReport::utilization`](super::OrcaReport::utilization) is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::OrcaLayer;
    /// use equipoise::{Balancer, HeartbeatReadings};
    ///
    /// # let (balancer, readings) = (Balancer::<()>::builder().build()?, HeartbeatReadings::new());
    /// let layer = OrcaLayer::new(&balancer, &readings)
    ///     .metric("named_metrics.kv_cache_utilization")
    ///     .metric("named_metrics.queue")
    ///     .on_error(|member, error| eprintln!("invalid load report of {member}: {error}"));
    /// # let _ = layer;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn metric(mut self, name: &str) -> Self {
        let mut metrics = self.sink.metrics.to_vec();
        metrics.push(name.to_owned());
        self.sink.metrics = metrics.into();
        self
    }

    /// Keeps the header in responses.
    pub fn keep_header(mut self) -> Self {
        self.sink.keeps_header = true;
        self
    }

    /// Sets a closure that is called for each invalid header, with the member's name.
    pub fn on_error(mut self, on_error: impl Fn(&str, &OrcaError) + Send + Sync + 'static) -> Self {
        self.sink.on_error = Some(Arc::new(on_error));
        self
    }
}

impl<S> Layer<S> for OrcaLayer {
    type Service = OrcaService<S>;

    fn layer(&self, inner: S) -> OrcaService<S> {
        OrcaService {
            inner,
            sink: self.sink.clone(),
        }
    }
}

impl fmt::Debug for OrcaLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrcaLayer")
            .field("capacity", &self.sink.capacity)
            .field("metrics", &self.sink.metrics)
            .finish_non_exhaustive()
    }
}

/// A service that reads the reports in responses; created by [`OrcaLayer`].
#[derive(Clone)]
pub struct OrcaService<S> {
    inner: S,
    sink: Sink,
}

impl<S, R, B> Service<Request<R>> for OrcaService<S>
where
    S: Service<Request<R>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = OrcaFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        OrcaFuture::new(self.inner.call(request), self.sink.clone())
    }
}

impl<S> fmt::Debug for OrcaService<S>
where
    S: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrcaService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
