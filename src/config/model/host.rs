//! What is served under a name: [`Host`], [`VirtualHost`], [`Location`].

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
    /// The local address; `None` for all of them.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// `http` or `https`, if it was said.
    #[cfg_attr(feature = "serde", serde(default))]
    pub protocol: Option<String>,
}

/// What is served under one name: the main server, or the inside of a virtual host.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Host {
    /// Its name, with scheme and port if they are said (Apache: `ServerName`).
    pub name: Option<String>,
    /// Other names; `*` and `?` stand for anything (Apache: `ServerAlias`).
    pub aliases: Vec<String>,
    /// The time limit of everything that has none of its own (Apache: `Timeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub timeout: Option<Duration>,
    /// The time limit of members that have none of their own (Apache: `ProxyTimeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub member_timeout: Option<Duration>,
    /// What becomes of `ViaPolicy` (Apache: `ProxyVia`).
    pub via: Option<ViaPolicy>,
    /// How many balancers may be added while it runs (Apache: `BalancerGrowth`), 0 to 1000.
    pub balancer_growth: Option<u16>,
    /// Whether a virtual host has the main server's balancers (Apache: `BalancerInherit`).
    pub inherit_balancers: Option<bool>,
    /// Whether a virtual host has the main server's mappings (Apache: `ProxyPassInherit`).
    pub inherit_mappings: Option<bool>,
    /// TLS towards clients.
    pub tls: TlsConfig,
    /// TLS towards members.
    pub member_tls: MemberTlsConfig,
    /// Its balancers.
    pub balancers: Vec<BalancerConfig>,
    /// What holds for all of its paths.
    pub settings: HostSettings,
    /// What holds for some of its paths (Apache: `<Location>`), in order.
    pub locations: Vec<Location>,
}

/// A host of its own, by address, port and name (Apache: `<VirtualHost>`).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct VirtualHost {
    /// The local addresses at which it answers.
    pub addresses: Vec<HostAddress>,
    /// What it serves.
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
    /// The address; `None` for any.
    pub ip: Option<IpAddr>,
    /// The port; `None` for any.
    pub port: Option<u16>,
}

/// What holds for some paths only (Apache: `<Location>`).
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Location {
    /// The path, of which whole segments match, or a regular expression.
    pub path: String,
    /// Whether it is a regular expression (Apache: `<Location ~ ...>`, `<LocationMatch>`).
    pub is_pattern: bool,
    /// What holds there.
    pub settings: HostSettings,
}

/// What can be said of a whole host as well as of some of its paths.
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct HostSettings {
    /// Where requests go, in order (Apache: `ProxyPass`, `ProxyPassMatch`). In a location
    /// there is one at most, and its path is the location's.
    pub mappings: Vec<Mapping>,
    /// How URLs in answers are mapped back (Apache: `ProxyPassReverse`).
    pub reverse: Vec<ReverseMapping>,
    /// How paths of cookies are mapped back (Apache: `ProxyPassReverseCookiePath`).
    pub cookie_paths: Vec<CookieMapping>,
    /// How domains of cookies are mapped back (Apache: `ProxyPassReverseCookieDomain`).
    pub cookie_domains: Vec<CookieMapping>,
    /// Whether members see the client's `Host` (Apache: `ProxyPreserveHost`).
    pub preserve_host: Option<bool>,
    /// Whether members are told who asks, by `X-Forwarded-*` (Apache: `ProxyAddHeaders`).
    pub forwarded_headers: Option<bool>,
    /// Which of members' answers are replaced by pages of our own (Apache:
    /// `ProxyErrorOverride`).
    pub error_override: Option<ErrorOverride>,
    /// What is done to the headers of requests (Apache: `RequestHeader`), in order.
    pub request_headers: Vec<HeaderRule>,
    /// What is done to the headers of answers (Apache: `Header`), in order.
    pub response_headers: Vec<HeaderRule>,
    /// Variables that rules of headers may ask for (Apache: `SetEnv`), in order. With
    /// `proxy-initial-not-pooled`, the first request of each client's connection goes to its
    /// member on a new connection.
    pub variables: Vec<(String, String)>,
    /// Who may ask (Apache: `Require`): whoever one of them lets in; all, if there are
    /// none.
    pub access: Vec<AccessRule>,
    /// Who answers, if no member does (Apache: `SetHandler`).
    pub handler: Option<Handler>,
}

/// Which of members' answers are replaced by pages of our own (Apache:
/// `ProxyErrorOverride`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ErrorOverride {
    /// None.
    Off,
    /// All with a status of 400 and above.
    On,
    /// Those with one of these statuses.
    Statuses(Vec<u16>),
}

/// What becomes of `ViaPolicy` (Apache: `ProxyVia`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum ViaPolicy {
    /// It is removed from requests.
    Block,
    /// As `On`, with the name and version of the program.
    Full,
    /// It stays as it is.
    Off,
    /// This proxy is added to it, both ways.
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

/// The variable by which the first request of a client's connection gets a new connection to
/// its member.
pub(in crate::config) const INITIAL_NOT_POOLED: &str = "proxy-initial-not-pooled";
