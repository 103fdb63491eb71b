//! Ordered rules with their targets: [`StreamRouter`].
//!
//! Not here: when a rule matches (`rule`).

use std::pin::pin;
use std::sync::Arc;

use super::rule::{ConnectionAddresses, StreamRule};
use super::statistics::RouterStatistics;
use crate::forward::{Greeting, GreetingLimits, NameRoutes};
use crate::net::stream_target::{Serving, StreamTarget};
use crate::net::{Acceptor, Arrived, Listener, Stopped};

/// Passes each connection to the target of the first rule that matches and has a target for
/// it. For example, one port can pass some TLS server names through to members, and
/// terminate others.
///
/// Targets are forwarders, HTTP servers, and tasks: see [`StreamTarget`]. A connection
/// without a target is closed.
///
/// The first bytes of a client are only read if a rule with [names](Self::route_by_name) is
/// reached, and only once; the target still receives the connection from its first byte on.
///
/// | limit | default | set by | beyond it |
/// |---|---|---|---|
/// | connections, of all targets | 10 000, or as descriptors allow | [`Acceptor::max_connections`] | idle HTTP connections are closed, else clients wait |
/// | time for a PROXY header and TLS | 10 s | [`Acceptor::handshake_timeout`] | closed |
/// | bytes of a ClientHello | 16 KiB | [`GreetingLimits::with_bytes`] | closed |
/// | time for a ClientHello | 10 s | [`GreetingLimits::with_time`] | closed, or [silence](NameRoutes::silent) |
/// | time for open connections after the stop | 30 s | [`Acceptor::drain_timeout`] | cut |
///
/// Clones share their targets, including all limits of a [target](StreamTarget), and their
/// [statistics](Self::statistics). The number of connections and their end at the stop are
/// handled separately for each listener.
///
/// # Examples
///
/// ```
/// use equipoise::Balancer;
/// use equipoise::forward::{Address, NameRoutes, StreamRouter, StreamRule, StreamTarget};
/// use equipoise::net::{Connector, Listener};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Balancer::new([("db", Address::host("db.internal", Some(5432)))])?;
/// let web = Balancer::new([("web", Address::host("web.internal", Some(443)))])?;
/// let names = NameRoutes::new()
///     .name("db.example.org", StreamTarget::from(database))?
///     .name("*.example.org", web.into())?
///     .plaintext(StreamTarget::task(async |accepted| {
///         let _ = accepted.into_stream().write_all(b"TLS only\n").await;
///     }));
/// let router = StreamRouter::new().route_by_name(StreamRule::new(), names);
///
/// let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
/// let front = listener.local_addr().ok_or("no address")?;
/// tokio::spawn(router.serve(listener, std::future::pending()));
///
/// let mut stream = Connector::tcp(front).connect().await?;
/// stream.write_all(b"GET / HTTP/1.1\r\n").await?;
/// let mut response = [0; 8];
/// stream.read_exact(&mut response).await?;
/// assert_eq!(&response, b"TLS only");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StreamRouter {
    acceptor: Acceptor,
    limits: GreetingLimits,
    rules: Vec<(StreamRule, RuleTargets)>,
    statistics: RouterStatistics,
}

/// The targets of a rule.
#[derive(Clone, Debug)]
enum RuleTargets {
    Any(StreamTarget),
    ByName(NameRoutes<StreamTarget>),
}

impl StreamRouter {
    /// Creates a router without rules, with the default limits.
    pub fn new() -> Self {
        Self {
            acceptor: Acceptor::new(),
            limits: GreetingLimits::new(),
            rules: Vec::new(),
            statistics: RouterStatistics::default(),
        }
    }

    /// Sets how connections are accepted: how many, from which peers a PROXY header is
    /// read, and how long they may continue after the stop. An acceptor that terminates TLS
    /// does so for all connections; [`route_by_name`](Self::route_by_name) then inspects the
    /// decrypted bytes, which contain no server name. To terminate TLS for some names only,
    /// give them a target that does so.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::StreamRouter;
    /// use equipoise::net::Acceptor;
    ///
    /// let acceptor = Acceptor::new()
    ///     .proxy_protocol(["10.0.0.0/8".parse()?])
    ///     .max_connections(5_000);
    /// let router = StreamRouter::new().acceptor(acceptor);
    /// # let _ = router;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn acceptor(mut self, acceptor: Acceptor) -> Self {
        self.acceptor = acceptor;
        self
    }

    /// Limits how many bytes of a client are read, and for how long, to find its server
    /// name.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::forward::{GreetingLimits, StreamRouter};
    /// use std::time::Duration;
    ///
    /// // Clients in whose protocol the server speaks first wait no longer than this.
    /// let limits = GreetingLimits::new().with_time(Duration::from_secs(2));
    /// let router = StreamRouter::new().greeting_limits(limits);
    /// # let _ = router;
    /// ```
    pub fn greeting_limits(mut self, limits: GreetingLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Passes the connections that match a rule to a target, whatever they send. Earlier
    /// rules with a target for a connection have precedence. Nothing is read from the
    /// connection for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Balancer;
    /// use equipoise::forward::{Address, StreamRouter, StreamRule};
    ///
    /// let smtp = Balancer::new([("mx", Address::host("mx.internal", None))])?;
    /// let router = StreamRouter::new().route(StreamRule::new().ports([25, 587]), smtp);
    /// # let _ = router;
    /// # Ok::<(), equipoise::BuildError>(())
    /// ```
    pub fn route(mut self, rule: StreamRule, target: impl Into<StreamTarget>) -> Self {
        self.rules.push((rule, RuleTargets::Any(target.into())));
        self
    }

    /// Passes the connections that match a rule to the target for their first bytes: the
    /// name (SNI) and the protocols (ALPN) of TLS, or something else. Earlier rules with a
    /// target for a connection have precedence. If the routes have no target, the following
    /// rules are tried.
    ///
    /// A ClientHello that is malformed, too long or too late closes the connection,
    /// whatever rules follow. Version 2 of the PROXY protocol passes the name and the
    /// protocol of TLS that passes through to the member, if its forwarder [sends
    /// it](crate::forward::TcpForwarder::proxy_protocol).
    pub fn route_by_name(mut self, rule: StreamRule, routes: NameRoutes<StreamTarget>) -> Self {
        self.rules.push((rule, RuleTargets::ByName(routes)));
        self
    }

    /// Returns the counters of this router and its clones.
    #[must_use]
    pub fn statistics(&self) -> RouterStatistics {
        self.statistics.clone()
    }

    /// Accepts connections and passes them to their targets until `stop` resolves. After
    /// that it accepts the connections in the system's queue, closes the listener, lets
    /// connections end in the way of their target, and cuts those that remain after the
    /// acceptor's [`drain_timeout`](Acceptor::drain_timeout).
    ///
    /// A client that has not sent enough to be routed has one more second after the stop.
    ///
    /// It serves one listener; for several, call it on clones and join the futures.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts all of its connections at once.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with `enable_io` and `enable_time`.
    pub async fn serve(self, listener: Listener, stop: impl Future<Output = ()>) -> Stopped {
        let accepting = self.acceptor.accepting();
        let needs_local = self.rules.iter().any(|(rule, _)| rule.needs_local_addr());
        let router = Arc::new(self);
        let serve = move |arrived| router.clone().serve_arrived(arrived, needs_local);
        accepting.serve(listener, serve, stop).await
    }

    /// Serves one connection until it ends. Everything before its target is boxed, so that
    /// it uses no memory afterwards.
    fn serve_arrived(
        self: Arc<Self>,
        arrived: Arrived,
        needs_local: bool,
    ) -> impl Future<Output = ()> + Send {
        let routed = Box::pin(async move { self.routed(arrived, needs_local).await });
        async move {
            if let Some(serving) = routed.await {
                serving.await;
            }
        }
    }

    /// Finds the target of a connection; `None` if it should be closed.
    async fn routed(&self, arrived: Arrived, needs_local: bool) -> Option<Serving> {
        let Arrived {
            accepted,
            place,
            stopping,
            idle,
        } = arrived;
        let mut accepted = self.acceptor.open(accepted, &stopping).await?;
        let addresses = ConnectionAddresses {
            client: accepted.client_addr(),
            local: needs_local.then(|| accepted.local_addr()).flatten(),
        };
        let mut greeting = None;
        let mut found = None;
        for (_, targets) in self.rules.iter().filter(|(rule, _)| rule.holds(&addresses)) {
            found = match targets {
                RuleTargets::Any(target) => Some(target),
                RuleTargets::ByName(routes) => {
                    let greeting = match &greeting {
                        Some(greeting) => greeting,
                        None => {
                            let read = pin!(Greeting::read(accepted.stream, &self.limits));
                            let read = stopping.opened(read).await?;
                            let failed = |error| self.statistics.count_unread(&error);
                            let (read, replayed) = read.map_err(failed).ok()?;
                            accepted.stream = replayed.into();
                            greeting.insert(read)
                        }
                    };
                    routes.find(greeting)
                }
            };
            if found.is_some() {
                break;
            }
        }
        self.statistics.count_found(found.is_some());
        if let Some(Greeting::ClientHello(hello)) = &greeting {
            accepted.set_next_proxy_header(hello.add_to(accepted.next_proxy_header()));
        }
        let arrived = Arrived {
            accepted,
            place,
            stopping,
            idle,
        };
        found.map(|target| target.serve(arrived))
    }
}

impl Default for StreamRouter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::StreamRouter;
    use crate::balancer::Balancer;
    use crate::forward::{NameRoutes, StreamRule};
    use crate::net::{Arrived, Stream};
    use std::sync::Arc;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_routed_connection_costs_little_memory() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        client.unwrap().try_write(b"hello").unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let balancer = Balancer::builder().build().unwrap();
        let routes = NameRoutes::new().plaintext(balancer.into());
        let router = Arc::new(StreamRouter::new().route_by_name(StreamRule::new(), routes));
        let arrived = Arrived::alone(Stream::from(stream)).unwrap();
        let serving = router.routed(arrived, false).await.unwrap();
        let task = size_of_val(&*serving);
        assert!(task <= 4_096, "{task} bytes");

        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let arrived = Arrived::alone(Stream::from(stream.unwrap())).unwrap();
        let task = size_of_val(&router.serve_arrived(arrived, false));
        assert!(task <= 64, "{task} bytes");
    }
}
