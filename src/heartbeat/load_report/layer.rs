//! The layer and the service that report a server's load: [`LoadReportLayer`],
//! [`LoadReportService`].

use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::future::LoadReportFuture;
use super::meter::LoadMeter;
use crate::clock::Clock;
use crate::heartbeat::in_flight::{InFlight, InFlightBody};
use crate::scheduler::ProbeReport;

/// Adds the load of this server to each response, for balancers with the scheduler
/// [`Prequal`](crate::scheduler::Prequal): the other requests in flight, and the time that a
/// request takes at present. Put it outside all other layers.
///
/// ```text
/// endpoint-load-metrics: TEXT named_metrics.rif=3,named_metrics.latency=0.012500000
/// ```
///
/// A balancer reads it with [`OrcaLayer::for_prequal`](crate::heartbeat::OrcaLayer::for_prequal).
/// It can also ask with a `HEAD` or `OPTIONS` request, whose response has a report, too. Such
/// requests are neither counted nor samples: they are short, and there may be more of them
/// than of all others. Do not probe with `GET`.
///
/// Other requests are counted as by [`InFlightLayer`](crate::heartbeat::InFlightLayer). A latency is
/// the time from the call to the head of the response. The report has the median of recent
/// latencies of requests that found about as many in flight as there are now. Samples count
/// for 100 ms ([`sample_lifetime`](Self::sample_lifetime)), so that an idle server does not
/// look slow. Responses with a status from 500 on are no samples: failing is quick.
///
/// Clones count together. If the application has set the header in text form, the metrics are
/// added to it. Of two layers around each other, the outer one reports.
///
/// # Examples
///
/// ```
/// use equipoise::heartbeat::LoadReportLayer;
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = ServiceBuilder::new()
///     .layer(LoadReportLayer::new())
///     .service(service_fn(|_: Request<()>| async {
///         Ok::<_, std::io::Error>(Response::new(String::from("hello")))
///     }));
/// let response = service.oneshot(Request::new(())).await?;
/// let report = response.headers()["endpoint-load-metrics"].to_str()?;
/// assert!(report.starts_with("TEXT named_metrics.rif=0,named_metrics.latency=0."));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LoadReportLayer {
    meter: LoadMeter,
}

impl LoadReportLayer {
    /// Creates a layer with counts of its own.
    pub fn new() -> Self {
        Self {
            meter: LoadMeter::new(),
        }
    }

    /// Uses a counter that other layers or senders share.
    pub fn in_flight(mut self, in_flight: &InFlight) -> Self {
        self.meter.in_flight = in_flight.clone();
        self
    }

    /// Sets how long a latency counts; 100 ms by default.
    pub fn sample_lifetime(self, lifetime: Duration) -> Self {
        Self {
            meter: self.meter.with_lifetime(lifetime),
        }
    }

    /// Sets the clock, for tests.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            meter: self.meter.with_clock(clock),
        }
    }

    /// Returns the present load, for a server that is asked in another way than by HTTP.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::LoadReportLayer;
    ///
    /// assert_eq!(LoadReportLayer::new().report().in_flight, 0);
    /// ```
    #[must_use]
    pub fn report(&self) -> ProbeReport {
        self.meter.report()
    }
}

impl Default for LoadReportLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for LoadReportLayer {
    type Service = LoadReportService<S>;

    fn layer(&self, inner: S) -> LoadReportService<S> {
        LoadReportService {
            inner,
            meter: self.meter.clone(),
        }
    }
}

/// A service whose responses have a report; created by [`LoadReportLayer`].
#[derive(Clone, Debug)]
pub struct LoadReportService<S> {
    inner: S,
    meter: LoadMeter,
}

impl<S, R, B> Service<Request<R>> for LoadReportService<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    B: http_body::Body,
{
    type Response = Response<InFlightBody<B>>;
    type Error = S::Error;
    type Future = LoadReportFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let is_probe = [Method::HEAD, Method::OPTIONS].contains(request.method());
        let guard = (!is_probe).then(|| self.meter.in_flight.begin());
        let arrival = (!is_probe).then(|| self.meter.arrive());
        LoadReportFuture::new(self.inner.call(request), guard, arrival, self.meter.clone())
    }
}
