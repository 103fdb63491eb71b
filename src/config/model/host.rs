//! The configuration of a host: [`Host`], [`VirtualHost`], [`Location`].

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{
    AccessRule, BalancerConfig, CookieMapping, Handler, HeaderRule, Mapping, MemberTlsConfig,
    ReverseMapping, TlsConfig,
};

/// An address to listen on (Apache: `Listen`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct ListenAddress {
    /// The local address; `None` for all addresses.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// `http` or `https`, if it is written.
    #[cfg_attr(feature = "serde", serde(default))]
    pub protocol: Option<String>,
}

/// The main server, or the content of a virtual host.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Host {
    /// The name, with scheme and port if they are written (Apache: `ServerName`).
    pub name: Option<String>,
    /// Other names; `*` and `?` are wildcards (Apache: `ServerAlias`).
    pub aliases: Vec<String>,
    /// The time limit for everything that has no time limit of its own (Apache: `Timeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub timeout: Option<Duration>,
    /// The time limit of members that have no time limit of their own (Apache:
    /// `ProxyTimeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub member_timeout: Option<Duration>,
    /// What happens to the `Via` header (Apache: `ProxyVia`).
    pub via: Option<ViaPolicy>,
    /// How many balancers may be added at run time (Apache: `BalancerGrowth`), 0 to 1000.
    pub balancer_growth: Option<u16>,
    /// Whether a virtual host inherits the balancers of the main server (Apache:
    /// `BalancerInherit`).
    pub inherit_balancers: Option<bool>,
    /// Whether a virtual host inherits the mappings of the main server (Apache:
    /// `ProxyPassInherit`).
    pub inherit_mappings: Option<bool>,
    /// TLS for connections from clients.
    pub tls: TlsConfig,
    /// TLS for connections to members.
    pub member_tls: MemberTlsConfig,
    /// The balancers.
    pub balancers: Vec<BalancerConfig>,
    /// Settings for all paths.
    pub settings: HostSettings,
    /// Settings for some paths (Apache: `<Location>`), in order.
    pub locations: Vec<Location>,
}

/// A virtual host, selected by address, port and name (Apache: `<VirtualHost>`).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct VirtualHost {
    /// The local addresses that it serves.
    pub addresses: Vec<HostAddress>,
    /// The content of the virtual host.
    pub host: Host,
}

/// A local address of a virtual host: `*:443`, `10.0.0.1:80`, `[::1]`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct HostAddress {
    /// The address; `None` for any address.
    pub ip: Option<IpAddr>,
    /// The port; `None` for any port.
    pub port: Option<u16>,
}

/// Settings for some paths (Apache: `<Location>`).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Location {
    /// The path, compared by whole segments, or a regular expression.
    pub path: String,
    /// Whether `path` is a regular expression (Apache: `<Location ~ ...>`,
    /// `<LocationMatch>`).
    pub is_pattern: bool,
    /// The settings for these paths.
    pub settings: HostSettings,
}

/// Settings that a whole host can have, and also a location of it.
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct HostSettings {
    /// The mappings of paths to members, in order (Apache: `ProxyPass`, `ProxyPassMatch`).
    /// A location has at most one, and its path is the location's.
    pub mappings: Vec<Mapping>,
    /// How URLs in response headers are rewritten (Apache: `ProxyPassReverse`).
    pub reverse: Vec<ReverseMapping>,
    /// How the paths of cookies are rewritten (Apache: `ProxyPassReverseCookiePath`).
    pub cookie_paths: Vec<CookieMapping>,
    /// How the domains of cookies are rewritten (Apache: `ProxyPassReverseCookieDomain`).
    pub cookie_domains: Vec<CookieMapping>,
    /// Whether members receive the client's `Host` (Apache: `ProxyPreserveHost`).
    pub preserve_host: Option<bool>,
    /// Whether `X-Forwarded-*` headers are added to requests (Apache: `ProxyAddHeaders`).
    pub forwarded_headers: Option<bool>,
    /// Which responses of members are replaced by error pages of this server (Apache:
    /// `ProxyErrorOverride`).
    pub error_override: Option<ErrorOverride>,
    /// Changes to the headers of requests (Apache: `RequestHeader`), in order.
    pub request_headers: Vec<HeaderRule>,
    /// Changes to the headers of responses (Apache: `Header`), in order.
    pub response_headers: Vec<HeaderRule>,
    /// Variables that header rules may refer to (Apache: `SetEnv`), in order. With
    /// `proxy-initial-not-pooled`, the first request of each client connection uses a new
    /// connection to its member.
    pub variables: Vec<(String, String)>,
    /// Which clients have access (Apache: `Require`): those that match at least one rule.
    /// Without rules, all clients do.
    pub access: Vec<AccessRule>,
    /// The handler that responds in place of a member (Apache: `SetHandler`).
    pub handler: Option<Handler>,
}

/// Which responses of members are replaced by error pages of this server (Apache:
/// `ProxyErrorOverride`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ErrorOverride {
    /// No response.
    Off,
    /// Responses with a status of 400 or above.
    On,
    /// Responses with one of these statuses.
    Statuses(Vec<u16>),
}

/// What happens to the `Via` header (Apache: `ProxyVia`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ViaPolicy {
    /// Removes it from requests.
    Block,
    /// As `On`, with the name and version of the program.
    Full,
    /// Leaves it unchanged.
    Off,
    /// Adds this proxy to it, in requests and in responses.
    On,
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            None => f.write_str("*")?,
            Some(IpAddr::V4(ip)) => ip.fmt(f)?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            None => {}
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
        }
        self.port.fmt(f)?;
        match &self.protocol {
            Some(protocol) => write!(f, " {protocol}"),
            None => Ok(()),
        }
    }
}

/// The variable that makes the first request of a client connection use a new connection to
/// its member.
pub(in crate::config) const INITIAL_NOT_POOLED: &str = "proxy-initial-not-pooled";
