//! Builds a running configuration: [`RunningConfigBuilder`], [`build`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::handle::RunningConfig;
use super::state::{RunningState, SharedConfig, apply};
use crate::balancer::events::Observer;
use crate::config::Config;
use crate::config::assemble::{
    ApplyContext, BuildEnvironment, ConfigError, Faults, HeartbeatTasks, check_listeners, open,
    prepare, sites,
};
use crate::sync::{Mutex, Published};

/// Builds a running configuration: binds its listeners, reads its certificates, creates its
/// balancers, and starts health checks and heartbeats. Nothing is served before
/// [`RunningConfig::serve`].
///
/// # Errors
///
/// If any part of it fails. Then nothing is started.
pub fn build(config: Config) -> Result<RunningConfig, ConfigError> {
    RunningConfig::builder(config).build()
}

/// Builds a [`RunningConfig`].
///
/// # Examples
///
/// ```
/// use equipoise::config::{RunningConfig, parse};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let (config, _) = parse("ProxyPass / http://server1.example.com/\n");
/// let system = RunningConfig::builder(config)
///     .listen(([127, 0, 0, 1], 0).into())
///     .resolve("server1.example.com", ([127, 0, 0, 1], 8080).into())
///     .build()?;
/// # let _ = system;
/// # Ok::<(), equipoise::config::ConfigError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct RunningConfigBuilder {
    config: Config,
    environment: BuildEnvironment,
    observer: Option<Arc<dyn Observer>>,
}

impl RunningConfigBuilder {
    /// Sets the directory for relative file names, such as those of certificates; the
    /// current directory by default.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let config = equipoise::config::Config::default();
    /// let system = equipoise::config::RunningConfig::builder(config).base("/etc/apache2").build();
    /// # let _ = system;
    /// ```
    pub fn base(mut self, directory: impl Into<PathBuf>) -> Self {
        self.environment.base = Some(directory.into());
        self
    }

    /// Adds an address to listen on if the configuration contains no `Listen`.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.environment.listen.push(address);
        self
    }

    /// Sets the address of a host name of members, in place of DNS. With port 0, the port
    /// of the member's URL is used.
    pub fn resolve(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        let host = host.into().to_ascii_lowercase();
        self.environment.addresses.insert(host, address);
        self
    }

    /// Adds `observer` to all balancers. It also receives problems with heartbeats
    /// ([`HeartbeatFault`](crate::balancer::events::EventKind::HeartbeatFault)).
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::Event;
    /// use equipoise::config::{RunningConfig, parse};
    ///
    /// let (config, _) = parse("Listen 127.0.0.1:0\n");
    /// let builder = RunningConfig::builder(config).observer(|event: &Event<'_>| eprintln!("{event}"));
    /// # let _ = builder;
    /// ```
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Checks whether it can be built, without opening sockets: members, mappings and
    /// certificates.
    ///
    /// # Errors
    ///
    /// As [`build`], except for errors of the operating system when sockets are opened.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::config::{RunningConfig, parse};
    ///
    /// let (config, _) = parse("Listen 80\nProxyPass / http://10.0.0.1/\n");
    /// assert!(RunningConfig::builder(config).check().is_ok());
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut faults = Faults::default();
        faults.check(&self.config);
        let (none, observer) = (BTreeMap::new(), self.observer.as_ref());
        let changes = prepare(
            &self.config,
            &none,
            &self.environment,
            observer,
            &mut faults,
        );
        let heartbeat_tasks = HeartbeatTasks::new(&self.config.heartbeats, observer);
        sites(
            &self.config,
            &changes,
            &heartbeat_tasks.monitor,
            &mut faults,
        );
        check_listeners(&self.config, &self.environment, &mut faults);
        faults.into_result(())
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// As [`build`]; also outside of a tokio runtime with `enable_io`.
    pub fn build(self) -> Result<RunningConfig, ConfigError> {
        let mut faults = Faults::default();
        let (none, observer) = (BTreeMap::new(), self.observer.as_ref());
        let (config, environment) = (self.config, self.environment);
        faults.check(&config);
        let heartbeat_tasks = HeartbeatTasks::new(&config.heartbeats, observer);
        let runtime = Handle::try_current().ok();
        let changes = prepare(&config, &none, &environment, observer, &mut faults);
        let hosts = sites(&config, &changes, &heartbeat_tasks.monitor, &mut faults);
        let listeners = open(&config, &[], &environment, &mut faults);
        let heartbeat_change =
            heartbeat_tasks.prepare(&config, &environment, runtime.as_ref(), &mut faults);
        let made = (changes, hosts, listeners, heartbeat_change);
        let (changes, hosts, listeners, heartbeat_change) = faults.into_result(made)?;
        let mut open = Vec::new();
        listeners.apply(&mut open);
        let context = ApplyContext {
            runtime: runtime.as_ref(),
            heartbeat_tasks: &heartbeat_tasks,
            environment: &environment,
        };
        let state = RunningState {
            config,
            balancers: apply(changes, context),
            heartbeat_tasks,
            listeners: open,
            ended: false,
        };
        let shared = Arc::new(SharedConfig {
            environment,
            observer: self.observer,
            runtime,
            hosts: Arc::new(Published::new(hosts)),
            state: Mutex::new(state),
            opened: Notify::new(),
        });
        shared.apply_heartbeats(&mut shared.state.lock(), heartbeat_change);
        Ok(RunningConfig { shared })
    }
}

impl RunningConfig {
    /// Returns a builder for a configuration.
    pub fn builder(config: Config) -> RunningConfigBuilder {
        RunningConfigBuilder {
            config,
            environment: BuildEnvironment::default(),
            observer: None,
        }
    }
}

impl fmt::Debug for RunningConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningConfigBuilder")
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}
