//! Making a configuration run: [`RunningConfigBuilder`], [`build`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::handle::RunningConfig;
use super::state::{RunningState, SharedConfig, carry_out};
use crate::balancer::events::Observer;
use crate::config::Config;
use crate::config::assemble::{
    BuildEnvironment, ConfigError, Faults, Heart, Means, check_doors, open, prepare, sites,
};
use crate::sync::{Mutex, Published};

/// Creates a configuration run: opens what it listens on, reads its certificates, makes its
/// balancers, and begins to check members and to take in their heartbeats. Nothing is served
/// before [`RunningConfig::serve`].
///
/// # Errors
///
/// If any of it cannot be done; then nothing is.
pub fn build(config: Config) -> Result<RunningConfig, ConfigError> {
    RunningConfig::builder(config).build()
}

/// Creates a [`RunningConfig`].
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
    around: BuildEnvironment,
    observer: Option<Arc<dyn Observer>>,
}

impl RunningConfigBuilder {
    /// Sets the directory in which relative names of files begin, such as those of
    /// certificates; that of the process by default.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let config = equipoise::config::Config::default();
    /// let system = equipoise::config::RunningConfig::builder(config).base("/etc/apache2").build();
    /// # let _ = system;
    /// ```
    pub fn base(mut self, directory: impl Into<PathBuf>) -> Self {
        self.around.base = Some(directory.into());
        self
    }

    /// Adds an address to listen on if the configuration names none.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.around.listen.push(address);
        self
    }

    /// Says where the members of a host name are, instead of asking the DNS. With port 0
    /// the port is the one that the member's URL says.
    pub fn resolve(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        let host = host.into().to_ascii_lowercase();
        self.around.addresses.insert(host, address);
        self
    }

    /// Adds `observer` to all balancers. It is also told what is wrong with heartbeats
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

    /// Looks whether it could be built, without opening anything: members, mappings and
    /// certificates.
    ///
    /// # Errors
    ///
    /// As for [`build`], but for what the system says when sockets are opened.
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
        faults.look_at(&self.config);
        let (none, observer) = (BTreeMap::new(), self.observer.as_ref());
        let changes = prepare(&self.config, &none, &self.around, observer, &mut faults);
        let heart = Heart::new(&self.config.heartbeats, observer);
        sites(&self.config, &changes, &heart.monitor, &mut faults);
        check_doors(&self.config, &self.around, &mut faults);
        faults.into_result(())
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// As for [`build`]; and outside a tokio runtime with `enable_io`.
    pub fn build(self) -> Result<RunningConfig, ConfigError> {
        let mut faults = Faults::default();
        let (none, observer) = (BTreeMap::new(), self.observer.as_ref());
        let (config, around) = (self.config, self.around);
        faults.look_at(&config);
        let heart = Heart::new(&config.heartbeats, observer);
        let runtime = Handle::try_current().ok();
        let changes = prepare(&config, &none, &around, observer, &mut faults);
        let hosts = sites(&config, &changes, &heart.monitor, &mut faults);
        let doors = open(&config, &[], &around, &mut faults);
        let beats = heart.prepare(&config, &around, runtime.as_ref(), &mut faults);
        let made = (changes, hosts, doors, beats);
        let (changes, hosts, doors, beats) = faults.into_result(made)?;
        let mut open = Vec::new();
        doors.carry_out(&mut open);
        let means = Means {
            runtime: runtime.as_ref(),
            heart: &heart,
            around: &around,
        };
        let state = RunningState {
            config,
            balancers: carry_out(changes, means),
            heart,
            doors: open,
            ended: false,
        };
        let shared = Arc::new(SharedConfig {
            around,
            observer: self.observer,
            runtime,
            hosts: Arc::new(Published::new(hosts)),
            state: Mutex::new(state),
            opened: Notify::new(),
        });
        shared.beat(&mut shared.state.lock(), beats);
        Ok(RunningConfig { shared })
    }
}

impl RunningConfig {
    /// Begins with a configuration.
    pub fn builder(config: Config) -> RunningConfigBuilder {
        RunningConfigBuilder {
            config,
            around: BuildEnvironment::default(),
            observer: None,
        }
    }
}

impl fmt::Debug for RunningConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningConfigBuilder")
            .field("around", &self.around)
            .finish_non_exhaustive()
    }
}
