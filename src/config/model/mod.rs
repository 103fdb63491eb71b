//! The data types of a configuration, under the names of this crate: [`Config`] and its
//! parts.
//!
//! Not here: Apache's names for them (`directive`, `print`), and the services built from
//! them (`assemble`).

mod access;
mod balancer;
mod debug;
mod header;
mod host;
mod mapping;
mod member;
mod tls;

pub use access::{AccessRule, Handler};
pub use balancer::{BalancerConfig, SchedulerName, SessionConfig};
pub use header::{HeaderAction, HeaderRule, HeaderWhen};
pub(super) use host::INITIAL_NOT_POOLED;
pub use host::{
    ErrorOverride, Host, HostAddress, HostSettings, ListenAddress, Location, ViaPolicy, VirtualHost,
};
pub use mapping::{
    CookieMapping, Mapping, MappingKind, ProxyTarget, ProxyTargetError, ReverseMapping,
};
pub use member::{CheckConfig, CheckMethod, FlushPolicy, MemberConfig};
pub use tls::{MemberTlsConfig, TlsConfig};

use std::net::SocketAddr;
use std::path::Path;

/// A whole configuration: addresses to listen on, hosts, mappings and balancers.
///
/// [`parse`](super::parse) reads it from Apache's format. With the feature `serde` it can
/// also be read from TOML, YAML or JSON, under the names of its fields. `Display` writes it
/// in Apache's format. Settings that are not set are `None`, so that they can be inherited.
///
/// `Display` and `serde` write passwords and other secrets, because their output can be
/// read again: do not log it. `Debug` shows asterisks instead.
///
/// # Examples
///
/// ```
/// let (config, diagnostics) = equipoise::config::parse(
///     "Listen 8080\n\
///      ProxyPass /app balancer://c\n\
///      <Proxy balancer://c>\n  BalancerMember http://10.0.0.1 loadfactor=2\n</Proxy>\n",
/// );
/// assert!(diagnostics.is_empty());
/// assert_eq!(config.server.balancers[0].members[0].url, "http://10.0.0.1");
/// let (again, _) = equipoise::config::parse(&config.to_string());
/// assert_eq!(again, config);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to listen on (Apache: `Listen`).
    pub listeners: Vec<ListenAddress>,
    /// The main server: it serves requests that no virtual host serves, and virtual hosts
    /// inherit from it.
    pub server: Host,
    /// Virtual hosts, selected by address, port and name.
    pub virtual_hosts: Vec<VirtualHost>,
    /// Named conditions on the responses to health checks (Apache: `ProxyHCExpr`).
    pub conditions: Vec<CheckCondition>,
    /// Named settings for health checks (Apache: `ProxyHCTemplate`).
    pub check_templates: Vec<CheckTemplate>,
    /// Heartbeats of members and of this server.
    pub heartbeats: HeartbeatConfig,
    /// Whether the text had errors, so that the configuration is incomplete.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) incomplete: bool,
}

impl Config {
    /// Resolves relative file names against a directory.
    pub(super) fn files_begin_at(&mut self, base: &Path) {
        let hosts = self.virtual_hosts.iter_mut().map(|it| &mut it.host);
        for host in std::iter::once(&mut self.server).chain(hosts) {
            let (tls, roots) = (&mut host.tls, &mut host.member_tls.roots);
            let files = [&mut tls.certificate, &mut tls.key, roots];
            files
                .into_iter()
                .flatten()
                .for_each(|file| begin_at(base, file));
        }
        let storage = self.heartbeats.storage.as_mut();
        storage.into_iter().for_each(|file| begin_at(base, file));
    }
}

fn begin_at(base: &Path, file: &mut String) {
    *file = base.join(&*file).to_string_lossy().into_owned();
}

/// A named condition on the response to a health check (Apache: `ProxyHCExpr`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct CheckCondition {
    /// The name, at most 15 bytes; letter case is ignored.
    pub name: String,
    /// The expression as it is written, without braces.
    pub expression: String,
}

/// Named settings for a health check (Apache: `ProxyHCTemplate`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct CheckTemplate {
    /// The name; letter case is ignored.
    pub name: String,
    /// The settings.
    pub check: CheckConfig,
}

/// Where the heartbeats of members arrive, and where this server sends its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct HeartbeatConfig {
    /// The address that receives heartbeats, usually multicast (Apache: `HeartbeatListen`).
    pub listen: Option<SocketAddr>,
    /// The file that holds heartbeats (Apache: `HeartbeatStorage`). It is read, unless this
    /// server receives heartbeats itself. Then it is written if `max_members` is 0.
    pub storage: Option<String>,
    /// How many servers that are not members are remembered, at least 10; 0 to write the
    /// file (Apache: `HeartbeatMaxServers`).
    pub max_members: Option<u32>,
    /// Where this server sends a heartbeat each second (Apache: `HeartbeatAddress`).
    pub send_to: Option<SocketAddr>,
    /// How many requests this server can serve at once, 400 by default. Heartbeats report
    /// this number minus the requests in flight as idle (Apache: `MaxRequestWorkers`).
    pub capacity: Option<u32>,
}
