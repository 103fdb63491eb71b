//! A handle to a running configuration: [`RunningConfig`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::state::{SharedConfig, apply};
use crate::balancer::Balancer;
use crate::config::Config;
use crate::config::assemble::{
    ApplyContext, ConfigError, Faults, RunningBalancer, open, order, prepare, sites,
};
use crate::config::front::AddressService;
use crate::heartbeat::HeartbeatMonitor;
use crate::net::Stopped;
use crate::proxy::Endpoint;
use crate::scheduler::HeartbeatReadings;

/// A handle to a running configuration; clones refer to the same one.
///
/// # Examples
///
/// ```
/// use equipoise::config::{build, parse};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let (config, diagnostics) = parse(
///     "Listen 127.0.0.1:0\n\
///      <Proxy balancer://app>\n\
///        BalancerMember http://10.0.0.1:8080 route=one\n\
///      </Proxy>\n\
///      ProxyPass / balancer://app/ stickysession=JSESSIONID\n",
/// );
/// assert!(diagnostics.is_empty());
/// let system = build(config)?;
/// println!("listening on {}", system.local_addrs()[0]);
/// # let stop = async {};
/// let stopped = system.serve(stop).await;
/// assert_eq!(stopped.cut(), 0);
/// # Ok::<(), equipoise::config::ConfigError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RunningConfig {
    pub(super) shared: Arc<SharedConfig>,
}

impl RunningConfig {
    /// Returns the addresses it listens on, in the order of the configuration.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let state = self.shared.state.lock();
        state.listeners.iter().map(|opened| opened.local).collect()
    }

    /// Returns a balancer by its name, or a single member by its URL. The main server is
    /// searched first, then the virtual hosts in order. Use it to inspect members and to
    /// change them at run time.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Flag;
    /// use equipoise::config::{build, parse};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let text = "Listen 127.0.0.1:0\nBalancerMember balancer://app http://10.0.0.1\n";
    /// let system = build(parse(text).0)?;
    /// let app = system.balancer("app").unwrap();
    /// app.set_flag("http://10.0.0.1", Flag::Draining)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn balancer(&self, name: &str) -> Option<Balancer<Endpoint>> {
        self.running(name, |running| running.balancer.clone())
    }

    /// Returns the handle that accepts heartbeats for a balancer's members, if the balancer
    /// picks by heartbeats. Heartbeats from `HeartbeatListen` and `HeartbeatStorage` are
    /// added without it.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{build, parse};
    /// use equipoise::scheduler::HeartbeatReading;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let text = "Listen 127.0.0.1:0\n\
    ///             <Proxy balancer://app>\n\
    ///               BalancerMember http://10.0.0.1\n\
    ///               ProxySet lbmethod=heartbeat\n\
    ///             </Proxy>\n";
    /// let system = build(parse(text).0)?;
    /// let (readings, app) = (system.heartbeat_readings("app"), system.balancer("app"));
    /// let reading = HeartbeatReading { ready: 10, busy: 1 };
    /// readings.unwrap().report("http://10.0.0.1", reading, app.unwrap().now())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn heartbeat_readings(&self, name: &str) -> Option<HeartbeatReadings> {
        self.running(name, |running| running.readings.clone())
    }

    /// Returns the monitor that receives heartbeats. Use it to inspect received and dropped
    /// heartbeats, and to add heartbeats that arrive in another way.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{build, parse};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let text = "Listen 127.0.0.1:0\nHeartbeatListen 127.0.0.1:0\n";
    /// let system = build(parse(text).0)?;
    /// system.heartbeats().receive([10, 0, 0, 1].into(), b"v=1&ready=30&busy=2")?;
    /// assert_eq!(system.heartbeats().records().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn heartbeats(&self) -> HeartbeatMonitor {
        self.shared.state.lock().heartbeat_tasks.monitor.clone()
    }

    /// Returns all balancers with their names, those of the main server first. Names can
    /// occur several times, once per virtual host.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{build, parse};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let text = "Listen 127.0.0.1:0\nBalancerMember balancer://app http://10.0.0.1\n";
    /// for (name, balancer) in build(parse(text).0)?.balancers() {
    ///     assert_eq!((name.as_str(), balancer.len()), ("app", 1));
    /// }
    /// # Ok::<(), equipoise::config::ConfigError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn balancers(&self) -> Vec<(String, Balancer<Endpoint>)> {
        let state = self.shared.state.lock();
        let all = state.balancers.iter();
        all.map(|(key, running)| (key.name.clone(), running.balancer.clone()))
            .collect()
    }

    fn running<T>(&self, name: &str, of: impl Fn(&RunningBalancer) -> T) -> Option<T> {
        let state = self.shared.state.lock();
        let named = state.balancers.iter().filter(|(key, _)| key.name == name);
        let order = order(&state.config);
        let place = |scope: &String| order.iter().position(|known| known == scope);
        let first = named.min_by_key(|(key, _)| place(&key.scope));
        first.map(|(_, running)| of(running))
    }

    /// Returns the running configuration.
    #[must_use]
    pub fn config(&self) -> Config {
        self.shared.state.lock().config.clone()
    }

    /// Replaces the running configuration with another one, completely or not at all.
    ///
    /// Requests in flight are not affected. Members that stay keep their counters, sessions
    /// and connections. Listeners that stay are not closed. A new `Timeout` applies to
    /// listeners that are opened from now on. [Overrides](Balancer::override_member) stay
    /// until they are cleared. Changes by [`Balancer::update`] stay until the file changes
    /// something about that member. Health changes where the file starts or stops setting
    /// it.
    ///
    /// # Errors
    ///
    /// As [`build`](super::build). Also if a listener would change between TLS and plain
    /// HTTP, or from one address to all addresses, and if serving has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{build, parse};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let system = build(parse("Listen 127.0.0.1:0\nProxyPass / http://10.0.0.1/\n").0)?;
    /// let mut config = system.config();
    /// config.server.settings.mappings[0].path = "/app".to_owned();
    /// system.reload(config)?;
    /// assert!(system.config().to_string().contains("ProxyPass /app "));
    /// # Ok::<(), equipoise::config::ConfigError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self, config: Config) -> Result<(), ConfigError> {
        let shared = &self.shared;
        let observer = shared.observer.as_ref();
        let mut faults = Faults::default();
        faults.check(&config);
        // The lock is held to the end, so that two reloads do not interleave.
        let mut state = shared.state.lock();
        if state.ended {
            faults.add("serving has ended", "build the configuration again");
        }
        let changes = prepare(
            &config,
            &state.balancers,
            &shared.environment,
            observer,
            &mut faults,
        );
        let monitor = state.heartbeat_tasks.monitor.clone();
        let hosts = sites(&config, &changes, &monitor, &mut faults);
        let listeners = open(&config, &state.listeners, &shared.environment, &mut faults);
        let runtime = shared.runtime.as_ref();
        let heartbeat_change =
            state
                .heartbeat_tasks
                .prepare(&config, &shared.environment, runtime, &mut faults);
        let made = (changes, hosts, listeners, heartbeat_change);
        let (changes, hosts, listeners, heartbeat_change) = faults.into_result(made)?;
        let context = ApplyContext {
            runtime,
            heartbeat_tasks: &state.heartbeat_tasks,
            environment: &shared.environment,
        };
        state.balancers = apply(changes, context);
        shared.apply_heartbeats(&mut state, heartbeat_change);
        let before = shared.hosts.swap(hosts);
        listeners.apply(&mut state.listeners);
        state.config = config;
        drop(state);
        drop(before);
        shared.opened.notify_one();
        Ok(())
    }

    /// Serves until `stop` resolves; then it shuts down as [`Server::serve`] does, at all
    /// listeners at once, which are closed.
    ///
    /// Call it once. After it has ended, a reload is an error.
    ///
    /// [`Server::serve`]: crate::proxy::Server::serve
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all connections are closed at once.
    pub async fn serve(&self, stop: impl Future<Output = ()>) -> Stopped {
        let mut stop = std::pin::pin!(stop);
        let mut tasks = JoinSet::new();
        let mut cut = 0;
        loop {
            self.serve_listeners(&mut tasks);
            tokio::select! {
                () = &mut stop => break,
                () = self.shared.opened.notified() => {}
                Some(Ok(stopped)) = tasks.join_next() => cut += stopped.cut(),
            }
        }
        self.shared.state.lock().end();
        while let Some(ended) = tasks.join_next().await {
            cut += ended.map_or(0, |stopped| stopped.cut());
        }
        Stopped::after(cut)
    }

    fn serve_listeners(&self, tasks: &mut JoinSet<Stopped>) {
        for opened in &mut self.shared.state.lock().listeners {
            if let Some((server, listener)) = opened.unserved.take() {
                let front = AddressService::new(self.shared.hosts.clone(), opened.local);
                let closed = closed(opened.close.subscribe());
                tasks.spawn(server.serve(listener, front, closed));
            }
        }
    }
}

impl fmt::Debug for RunningConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.local_addrs();
        f.debug_struct("RunningConfig")
            .field("local_addrs", &addresses)
            .finish_non_exhaustive()
    }
}

async fn closed(mut close: watch::Receiver<bool>) {
    // If the sender is gone, the listener closes as well.
    drop(close.wait_for(|closed| *closed).await);
}
