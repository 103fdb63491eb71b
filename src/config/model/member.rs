//! A member of a balancer, as it is configured: [`MemberConfig`].

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
    /// Its URL, normalised: `http://10.0.0.1:8080/app`, or `unix:/run/app.sock|http://app`.
    /// It is the member's name.
    pub url: String,
    /// Its weight, 1 to 100, 1 by default (Apache: `loadfactor`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::weight"))]
    pub weight: Option<Weight>,
    /// Its tier, 0 to 99, 0 by default (Apache: `lbset`).
    pub tier: Option<u16>,
    /// The route of its sessions.
    pub route: Option<String>,
    /// Where its sessions go while it cannot serve (Apache: `redirect`).
    pub redirect_route: Option<String>,
    /// The flags it has from the start, without repetition, in the order of [`Flag`]
    /// (Apache: `status`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::flags"))]
    pub flags: Vec<Flag>,
    /// How long it rests once it is in error (Apache: `retry`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub recovery_delay: Option<Duration>,
    /// How long it may take for an answer, and between two pieces of one (Apache:
    /// `timeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub timeout: Option<Duration>,
    /// How long a connection may take (Apache: `connectiontimeout`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub connect_timeout: Option<Duration>,
    /// How long to wait for `100 Continue` (Apache: `ping`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub continue_timeout: Option<Duration>,
    /// How long to wait for a connection when all are in use (Apache: `acquire`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub acquire_timeout: Option<Duration>,
    /// How many connections to open in advance (Apache: `min`).
    pub min_connections: Option<u32>,
    /// How many requests may be in flight at it; 0 for any number (Apache: `max`).
    pub max_in_flight: Option<u32>,
    /// How many connections stay open while nobody needs them (Apache: `smax`).
    pub max_idle: Option<u32>,
    /// For how long they do (Apache: `ttl`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub idle_lifetime: Option<Duration>,
    /// Whether the system looks after idle connections (Apache: `keepalive`).
    pub tcp_keepalive: Option<bool>,
    /// Whether connections are used again (Apache: `enablereuse`, `disablereuse`).
    pub reuse: Option<bool>,
    /// For how many seconds its address is remembered; -1 for ever (Apache: `addressttl`).
    pub address_lifetime: Option<i64>,
    /// When pieces of an answer are passed on (Apache: `flushpackets`).
    pub flush: Option<FlushPolicy>,
    /// How long to wait for more before that (Apache: `flushwait`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub flush_wait: Option<Duration>,
    /// The size of a buffer in bytes (Apache: `iobuffersize`).
    pub io_buffer: Option<u32>,
    /// The size of the system's receive buffer in bytes (Apache: `receivebuffersize`).
    pub receive_buffer: Option<u32>,
    /// The longest line in the head of an answer, in bytes (Apache: `responsefieldsize`).
    pub response_field_size: Option<u32>,
    /// The secret of AJP (Apache: `secret`).
    pub secret: Option<String>,
    /// To which protocol connections may switch; `*` for any (Apache: `upgrade`).
    pub upgrade: Option<String>,
    /// How descriptors are passed (Apache: `flusher`).
    pub flusher: Option<String>,
    /// How its health is checked (Apache: `hcmethod` and its like).
    pub check: CheckConfig,
}

/// When pieces of an answer are passed on (Apache: `flushpackets`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum FlushPolicy {
    /// When nothing follows for a while.
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
    /// What is asked (Apache: `hcmethod`).
    pub method: Option<CheckMethod>,
    /// How often, 100 ms at least (Apache: `hcinterval`).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub interval: Option<Duration>,
    /// After how many good answers it serves again (Apache: `hcpasses`).
    pub passes: Option<u32>,
    /// After how many bad ones it does not (Apache: `hcfails`).
    pub fails: Option<u32>,
    /// The path that is asked for (Apache: `hcuri`).
    pub uri: Option<String>,
    /// The name of the condition that makes an answer good (Apache: `hcexpr`).
    pub condition: Option<String>,
    /// The name of the settings that this begins with (Apache: `hctemplate`).
    pub template: Option<String>,
}

/// What a health check asks (Apache: `hcmethod`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CheckMethod {
    /// `GET`, by HTTP/1.0.
    Get,
    /// `GET`, by HTTP/1.1.
    Get11,
    /// `HEAD`, by HTTP/1.0.
    Head,
    /// `HEAD`, by HTTP/1.1.
    Head11,
    /// Nothing.
    None,
    /// `OPTIONS *`, by HTTP/1.0.
    Options,
    /// `OPTIONS *`, by HTTP/1.1.
    Options11,
    /// Whether it accepts a connection.
    Tcp,
}
