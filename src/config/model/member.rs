//! The configuration of a member of a balancer: [`MemberConfig`].

use std::time::Duration;

use crate::member::{Flag, Weight};

/// A member (Apache: `BalancerMember`, or the target of a `ProxyPass`).
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct MemberConfig {
    /// The normalised URL: `http://10.0.0.1:8080/app`, or `unix:/run/app.sock|http://app`.
    /// It is the member's name.
    pub url: String,
    /// The weight, 1 to 100, 1 by default (Apache: `loadfactor`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::weight"))]
    pub weight: Option<Weight>,
    /// The tier, 0 to 99, 0 by default (Apache: `lbset`).
    pub tier: Option<u16>,
    /// The route of its sessions.
    pub route: Option<String>,
    /// The route that its sessions use while it is not available (Apache: `redirect`).
    pub redirect_route: Option<String>,
    /// The initial flags, without duplicates, in the order of [`Flag`] (Apache: `status`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::flags"))]
    pub flags: Vec<Flag>,
    /// How long a member in error gets no requests before it is tried again (Apache:
    /// `retry`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub recovery_delay: Option<Duration>,
    /// The time limit for its response, and for each pause within the response (Apache:
    /// `timeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub timeout: Option<Duration>,
    /// The time limit for connecting (Apache: `connectiontimeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub connect_timeout: Option<Duration>,
    /// How long to wait for `100 Continue` (Apache: `ping`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub continue_timeout: Option<Duration>,
    /// How long to wait for a connection when all of them are in use (Apache: `acquire`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub acquire_timeout: Option<Duration>,
    /// How many connections to open in advance (Apache: `min`).
    pub min_connections: Option<u32>,
    /// How many requests may be in flight at the member; 0 for no limit (Apache: `max`).
    pub max_in_flight: Option<u32>,
    /// How many idle connections are kept open (Apache: `smax`).
    pub max_idle: Option<u32>,
    /// How long an idle connection is kept open (Apache: `ttl`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub idle_lifetime: Option<Duration>,
    /// Whether TCP keep-alive is enabled (Apache: `keepalive`).
    pub tcp_keepalive: Option<bool>,
    /// Whether connections are reused (Apache: `enablereuse`, `disablereuse`).
    pub reuse: Option<bool>,
    /// For how many seconds the resolved address is cached; -1 for ever (Apache:
    /// `addressttl`).
    pub address_lifetime: Option<i64>,
    /// When parts of a response body are passed on (Apache: `flushpackets`).
    pub flush: Option<FlushPolicy>,
    /// How long to wait for more data before a part is passed on (Apache: `flushwait`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub flush_wait: Option<Duration>,
    /// The size of the I/O buffer in bytes (Apache: `iobuffersize`).
    pub io_buffer: Option<u32>,
    /// The size of the socket's receive buffer in bytes (Apache: `receivebuffersize`).
    pub receive_buffer: Option<u32>,
    /// The longest line in the head of a response, in bytes (Apache: `responsefieldsize`).
    pub response_field_size: Option<u32>,
    /// The AJP secret (Apache: `secret`).
    pub secret: Option<String>,
    /// The protocol that a connection may be upgraded to; `*` for any (Apache: `upgrade`).
    pub upgrade: Option<String>,
    /// The provider that passes file descriptors (Apache: `flusher`).
    pub flusher: Option<String>,
    /// How the health of the member is checked (Apache: `hcmethod` and the other `hc..`
    /// parameters).
    pub check: CheckConfig,
}

/// When parts of a response body are passed on (Apache: `flushpackets`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum FlushPolicy {
    /// When no more data arrives for some time.
    Auto,
    /// When a buffer is full.
    Off,
    /// At once.
    On,
}

/// How the health of a member is checked.
#[derive(Clone, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct CheckConfig {
    /// The request of the check (Apache: `hcmethod`).
    pub method: Option<CheckMethod>,
    /// The interval between checks, at least 100 ms (Apache: `hcinterval`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub interval: Option<Duration>,
    /// How many successful checks make the member available again (Apache: `hcpasses`).
    pub passes: Option<u32>,
    /// How many failed checks make the member unavailable (Apache: `hcfails`).
    pub fails: Option<u32>,
    /// The request path of the check (Apache: `hcuri`).
    pub uri: Option<String>,
    /// The name of the condition that a response must meet (Apache: `hcexpr`).
    pub condition: Option<String>,
    /// The name of the template whose settings are the defaults (Apache: `hctemplate`).
    pub template: Option<String>,
}

/// The request of a health check (Apache: `hcmethod`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CheckMethod {
    /// `GET` over HTTP/1.0.
    Get,
    /// `GET` over HTTP/1.1.
    Get11,
    /// `HEAD` over HTTP/1.0.
    Head,
    /// `HEAD` over HTTP/1.1.
    Head11,
    /// No check.
    None,
    /// `OPTIONS *` over HTTP/1.0.
    Options,
    /// `OPTIONS *` over HTTP/1.1.
    Options11,
    /// Only connects.
    Tcp,
}
