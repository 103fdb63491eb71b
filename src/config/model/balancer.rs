//! The configuration of a balancer: [`BalancerConfig`].

use std::time::Duration;

use super::MemberConfig;

/// A balancer and its members (Apache: `<Proxy balancer://name>`).
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct BalancerConfig {
    /// Its name, in lower case, without `balancer://`.
    pub name: String,
    /// The scheduler that picks a member (Apache: `lbmethod`).
    pub scheduler: Option<SchedulerName>,
    /// How sessions are recognised (Apache: `stickysession`). Without names, the other
    /// settings of sessions have no effect.
    pub session: SessionConfig,
    /// How long a request waits for a member when none is available (Apache: `timeout`). By
    /// default it does not wait.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub wait: Option<Duration>,
    /// How many more members are tried after the first one (Apache: `maxattempts`). By
    /// default, all are.
    pub max_failovers: Option<u32>,
    /// Response statuses that put a member in error (Apache: `failonstatus`).
    pub fail_on_status: Vec<u16>,
    /// Whether a member that exceeds a time limit is put in error (Apache:
    /// `failontimeout`).
    pub fail_on_timeout: Option<bool>,
    /// Whether all members are recovered when all of them are in error (Apache:
    /// `forcerecovery`).
    pub forced_recovery: Option<bool>,
    /// How many members may be added at run time (Apache: `growth`), 1 to 100.
    pub growth: Option<u16>,
    /// The nonce in the forms of the balancer manager (Apache: `nonce`).
    pub nonce: Option<String>,
    /// The members, in order.
    pub members: Vec<MemberConfig>,
}

/// The scheduler of a balancer, by name (Apache: `lbmethod`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum SchedulerName {
    /// [`ByBusyness`](crate::ByBusyness).
    ByBusyness,
    /// [`ByRequests`](crate::ByRequests).
    ByRequests,
    /// [`ByTraffic`](crate::ByTraffic).
    ByTraffic,
    /// [`Heartbeat`](crate::Heartbeat).
    Heartbeat,
}

/// How sessions are recognised.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The names of the cookie and of the URL parameter, as in `JSESSIONID|jsessionid`, or
    /// one name for both (Apache: `stickysession`).
    pub names: Option<String>,
    /// The character that separates the session from the route (Apache:
    /// `stickysessionsep`), `.` by default. With `off`, the whole value is the route.
    pub separator: Option<String>,
    /// Whether a `;` ends a path parameter (Apache: `scolonpathdelim`).
    pub semicolon_path_delimiter: Option<bool>,
    /// Whether a request is refused if the member of its session is not available (Apache:
    /// `nofailover`).
    pub no_failover: Option<bool>,
}
