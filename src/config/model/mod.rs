//! The nouns of a configuration, under the crate's own names: [`Config`] and what it is
//! made of.
//!
//! What does not live here: Apache's words for them (`directive`, `print`), and what is
//! made of them (`assemble`).

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

/// A whole configuration: what is listened to, what is served where, and by whom.
///
/// It is read from Apache's words by [`parse`](super::parse), or from TOML, YAML or JSON
/// by its own names (feature `serde`); its `Display` writes it in Apache's words again.
/// What is not set is `None`, so that it can be inherited.
///
/// What it writes has its passwords and other secrets in it, as they are needed when it is
/// read again: do not log it. `Debug` shows stars in their place.
///
/// # Examples
///
/// ```
/// let (config, complaints) = equipoise::config::parse(
///     "Listen 8080\n\
///      ProxyPass /app balancer://c\n\
///      <Proxy balancer://c>\n  BalancerMember http://10.0.0.1 loadfactor=2\n</Proxy>\n",
/// );
/// assert!(complaints.is_empty());
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
    /// Where clients connect (Apache: `Listen`).
    pub listeners: Vec<ListenAddress>,
    /// What is served wherever no virtual host is, and what virtual hosts inherit.
    pub server: Host,
    /// Hosts of their own, by address, port and name.
    pub virtual_hosts: Vec<VirtualHost>,
    /// Named conditions on the answers to health checks (Apache: `ProxyHCExpr`).
    pub conditions: Vec<CheckCondition>,
    /// Named settings of health checks (Apache: `ProxyHCTemplate`).
    pub check_templates: Vec<CheckTemplate>,
    /// Where members' reports come from.
    pub heartbeats: HeartbeatConfig,
    /// There is less in it than the text said: it had errors.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) incomplete: bool,
}

impl Config {
    /// Makes relative names of files begin in a directory.
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

/// A named condition on the answer to a health check (Apache: `ProxyHCExpr`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct CheckCondition {
    /// Its name, at most 15 bytes; letter case does not count.
    pub name: String,
    /// The expression, as it was written, without braces.
    pub expression: String,
}

/// Named settings of a health check (Apache: `ProxyHCTemplate`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct CheckTemplate {
    /// Its name; letter case does not count.
    pub name: String,
    /// What it sets.
    pub check: CheckConfig,
}

/// Where members' reports of idle capacity come from, and where this server's own go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct HeartbeatConfig {
    /// The address, usually of multicast, on which they arrive (Apache:
    /// `HeartbeatListen`).
    pub listen: Option<SocketAddr>,
    /// The file that holds them (Apache: `HeartbeatStorage`). It is read, unless this server
    /// listens to reports itself; then it is written, if `max_members` is 0.
    pub storage: Option<String>,
    /// How many servers are remembered that report and are no members, 10 at least; 0 for the
    /// file (Apache: `HeartbeatMaxServers`).
    pub max_members: Option<u32>,
    /// Where this server reports its own capacity to, each second (Apache: `HeartbeatAddress`).
    pub send_to: Option<SocketAddr>,
    /// How many requests this server serves at once, 400 by default; what is not in flight is
    /// reported as idle (Apache: `MaxRequestWorkers`).
    pub capacity: Option<u32>,
}
