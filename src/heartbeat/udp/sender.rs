//! Sends heartbeats by UDP: [`HeartbeatSender`].

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::destination::HeartbeatDestination;
use super::reports::{Reports, SendErrorHook};
use super::sending::{HeartbeatSenderGuard, SendCounts};
use super::socket::Multicast;
use crate::heartbeat::HeartbeatKey;
use crate::heartbeat::in_flight::InFlight;
use crate::scheduler::HeartbeatReading;
use crate::timer::Deadline;

/// The shortest time between two reports.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Reports the idle capacity of this server by UDP, once a second, to a multicast group or
/// to single addresses. The receiver is a [`HeartbeatListener`](super::HeartbeatListener),
/// or Apache httpd with `mod_heartmonitor`.
///
/// A server on axum that announces how many of its 64 slots are idle:
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use equipoise::heartbeat::{HeartbeatSender, InFlight, InFlightLayer};
/// use equipoise::net::shutdown_signal;
/// use tokio::net::TcpListener;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let app: Router = Router::new().route("/", get(async || "hello"));
///     let listener = TcpListener::bind("0.0.0.0:8080").await?;
///
///     let in_flight = InFlight::new();
///     let app = app.layer(InFlightLayer::new(&in_flight)); // outside all other layers
///     let sending = HeartbeatSender::new("239.0.0.1:27999".parse()?) // or a balancer's address
///         .capacity(64)
///         .in_flight(&in_flight)
///         .port(8080)
///         .spawn();
///
///     let stop = shutdown_signal()?;
///     let stop = async move {
///         stop.await;
///         drop(sending); // balancers stop picking it; requests in flight may end
///     };
///     Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
/// }
/// ```
///
/// ```toml
/// [dependencies]
/// axum = "0.8"
/// equipoise = { version = "0.1", features = ["heartbeat"] }
/// tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
/// ```
///
/// Announce a server only when its port is open: the first report is sent at once. With
/// hyper, wrap the service of each connection in the layer, with one counter for all:
///
/// ```no_run
/// use std::convert::Infallible;
///
/// use equipoise::heartbeat::{HeartbeatSender, InFlight, InFlightLayer};
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::server::conn::http1;
/// use hyper::{Request, Response};
/// use hyper_util::rt::TokioIo;
/// use hyper_util::service::TowerToHyperService;
/// use tokio::net::TcpListener;
/// use tower::ServiceBuilder;
///
/// async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
///     Ok(Response::new(Full::new("hello".into())))
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let listener = TcpListener::bind("0.0.0.0:8080").await?;
///
///     let in_flight = InFlight::new();
///     let counted = ServiceBuilder::new().layer(InFlightLayer::new(&in_flight)).service_fn(hello);
///     let _sending = HeartbeatSender::new("239.0.0.1:27999".parse()?)
///         .capacity(64)
///         .in_flight(&in_flight)
///         .port(8080)
///         .spawn();
///
///     loop {
///         let (stream, _) = listener.accept().await?;
///         let service = TowerToHyperService::new(counted.clone());
///         let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
///         tokio::spawn(connection);
///     }
/// }
/// ```
///
/// ```toml
/// [dependencies]
/// equipoise = { version = "0.1", features = ["heartbeat"] }
/// http-body-util = "0.1"
/// hyper = { version = "1", features = ["http1", "server"] }
/// hyper-util = { version = "0.1", features = ["service", "tokio"] }
/// tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
/// tower = { version = "0.5", features = ["util"] }
/// ```
///
/// On an orderly end, it sends a last report without idle capacity. Balancers then stop
/// picking the server at once, without waiting until its last report is too old. A server
/// that crashes cannot do that: its last report counts for ten seconds
/// ([`Heartbeat::with_max_age`](crate::Heartbeat::with_max_age)), and requests that reach
/// it meanwhile fail over.
#[derive(Clone)]
#[must_use]
pub struct HeartbeatSender {
    targets: Vec<SocketAddr>,
    source: Arc<dyn Fn() -> HeartbeatReading + Send + Sync>,
    capacity: u32,
    in_flight: Option<InFlight>,
    port: Option<u16>,
    every: Duration,
    way: Multicast,
    key: Option<HeartbeatKey>,
    on_error: Option<Arc<SendErrorHook>>,
}

impl HeartbeatSender {
    /// Creates a sender to an address or a multicast group. By default it reports a
    /// capacity of 100 and no busy slots.
    ///
    /// The scope of an IPv6 group selects the interface (`[ff05::1%3]:27999`).
    pub fn new(target: SocketAddr) -> Self {
        Self {
            targets: vec![target],
            source: Arc::new(|| HeartbeatReading { ready: 0, busy: 0 }),
            capacity: 100,
            in_flight: None,
            port: None,
            every: Duration::from_secs(1),
            way: Multicast {
                interface: Ipv4Addr::UNSPECIFIED,
                hops: 1,
            },
            key: None,
            on_error: None,
        }
        .by_capacity()
    }

    /// Adds a destination, for networks without multicast.
    pub fn destination(mut self, target: SocketAddr) -> Self {
        self.targets.push(target);
        self
    }

    /// Sets how many requests this server can serve at once. Requests that are not in
    /// flight are idle capacity. It replaces a [`reading`](Self::reading).
    pub fn capacity(mut self, requests: u32) -> Self {
        self.capacity = requests;
        self.by_capacity()
    }

    /// Reports the count of a counter as busy. It replaces a [`reading`](Self::reading).
    pub fn in_flight(mut self, counter: &InFlight) -> Self {
        self.in_flight = Some(counter.clone());
        self.by_capacity()
    }

    fn by_capacity(mut self) -> Self {
        let (capacity, counter) = (self.capacity, self.in_flight.clone());
        self.source = Arc::new(move || {
            let busy = counter.as_ref().map_or(0, InFlight::count);
            reading_of(capacity, busy)
        });
        self
    }

    /// Sets a closure that returns the reading, for capacity that is not a count of
    /// requests.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::HeartbeatSender;
    /// use equipoise::scheduler::HeartbeatReading;
    /// use std::sync::Arc;
    /// use tokio::sync::Semaphore;
    ///
    /// let workers = Arc::new(Semaphore::new(16));
    /// let counted = workers.clone();
    /// let sender = HeartbeatSender::new(([10, 0, 0, 9], 27_999).into()).reading(move || {
    ///     let ready = counted.available_permits().min(16) as u32;
    ///     HeartbeatReading { ready, busy: 16 - ready }
    /// });
    /// # let _ = sender;
    /// ```
    pub fn reading(
        mut self,
        reading: impl Fn() -> HeartbeatReading + Send + Sync + 'static,
    ) -> Self {
        self.source = Arc::new(reading);
        self
    }

    /// Sets the port at which this server accepts requests, which distinguishes several
    /// servers on one machine. httpd ignores it.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the time between two reports, at least 1 ms.
    pub fn interval(mut self, every: Duration) -> Self {
        self.every = every.max(MIN_INTERVAL);
        self
    }

    /// Sends to IPv4 groups through the interface with this address. By default the system
    /// selects it by its routes.
    pub fn interface(mut self, address: Ipv4Addr) -> Self {
        self.way.interface = address;
        self
    }

    /// Sets the TTL of a datagram to a group: 1, the default, is the local network, and 0
    /// is this machine.
    pub fn multicast_hops(mut self, hops: u8) -> Self {
        self.way.hops = hops;
        self
    }

    /// Signs the reports with a key.
    pub fn key(mut self, key: HeartbeatKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets a closure that is called if a report could not be sent to an address. The next
    /// report uses a new socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::HeartbeatSender;
    ///
    /// let sender = HeartbeatSender::new(([239, 0, 0, 1], 27_999).into())
    ///     .on_error(|target, error| eprintln!("no heartbeat to {target}: {error}"));
    /// # let _ = sender;
    /// ```
    pub fn on_error(
        mut self,
        on_error: impl Fn(SocketAddr, &io::Error) + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Arc::new(on_error));
        self
    }

    /// Sends reports in a task of its own until the handle is dropped or the runtime ends,
    /// and then a last report without idle capacity.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime with `enable_time`.
    pub fn spawn(self) -> HeartbeatSenderGuard {
        let mut reports = self.reports();
        reports.ends_when_dropped = true;
        let counts = reports.counts.clone();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(self.run(reports, async { drop(stopped.await) }));
        HeartbeatSenderGuard::new(stop, counts)
    }

    /// Sends reports until `stop` resolves, and then a last report without idle capacity.
    ///
    /// The first report is sent at once. A report that cannot be sent is skipped; the next
    /// one follows after the interval.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no last report is sent.
    ///
    /// # Panics
    ///
    /// If polled outside a tokio runtime with `enable_time`.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::heartbeat::{HeartbeatListener, HeartbeatMonitor, HeartbeatSender};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = HeartbeatListener::bind("127.0.0.1:0".parse()?)?;
    /// let sender = HeartbeatSender::new(listener.local_addr()?).capacity(64).port(8080);
    /// let monitor = HeartbeatMonitor::new();
    /// let listening = listener.spawn(&monitor);
    /// sender
    ///     .send_until(async {
    ///         while monitor.records().is_empty() {
    ///             tokio::task::yield_now().await;
    ///         }
    ///         assert_eq!(monitor.records()[0].reading().ready, 64);
    ///     })
    ///     .await;
    /// # drop(listening);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_until(self, stop: impl Future<Output = ()>) {
        let reports = self.reports();
        self.run(reports, stop).await;
    }

    fn reports(&self) -> Reports {
        let targets = self.targets.iter();
        let targets = targets.map(|&to| {
            (
                to,
                HeartbeatDestination::new(to, self.way, self.key.clone()),
            )
        });
        Reports {
            targets: targets.collect(),
            port: self.port,
            on_error: self.on_error.clone(),
            counts: SendCounts::default(),
            ends_when_dropped: false,
            busy: None,
        }
    }

    async fn run(self, mut reports: Reports, stop: impl Future<Output = ()>) {
        let always = async {
            loop {
                reports.send((self.source)());
                Deadline::after(self.every).await;
            }
        };
        tokio::select! {
            biased;
            () = stop => {}
            () = always => {}
        }
        reports.end((self.source)().busy);
    }
}

/// While no slot is busy, httpd counts a quarter of the idle slots, rounded down to zero
/// below four slots. A server with few slots reports one busy slot; otherwise it would
/// never be picked.
pub(crate) const fn reading_of(capacity: u32, busy: u32) -> HeartbeatReading {
    let ready = capacity.saturating_sub(busy);
    let busy = if busy == 0 && ready > 0 && ready < 4 {
        1
    } else {
        busy
    };
    HeartbeatReading { ready, busy }
}

impl fmt::Debug for HeartbeatSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatSender")
            .field("targets", &self.targets)
            .field("port", &self.port)
            .field("interval", &self.every)
            .field("is_signed", &self.key.is_some())
            .finish_non_exhaustive()
    }
}
