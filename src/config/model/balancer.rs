//! A balancer, as it is configured: [`BalancerConfig`].

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
    /// Who picks (Apache: `lbmethod`).
    pub scheduler: Option<SchedulerName>,
    /// How sessions are recognised (Apache: `stickysession`); it has to be set before the
    /// other settings of sessions mean anything.
    pub session: SessionConfig,
    /// How long a request waits for a member when there is none (Apache: `timeout`); it
    /// does not wait by default.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::text::duration"))]
    pub wait: Option<Duration>,
    /// How many members more than the first are tried for a request (Apache:
    /// `maxattempts`); by default, all.
    pub max_failovers: Option<u32>,
    /// Statuses of members that put them in error (Apache: `failonstatus`).
    pub fail_on_status: Vec<u16>,
    /// Whether a member that lets a time limit pass is put in error (Apache:
    /// `failontimeout`).
    pub fail_on_timeout: Option<bool>,
    /// Whether, when all members are in error, all are forgiven (Apache:
    /// `forcerecovery`).
    pub forced_recovery: Option<bool>,
    /// How many members may be added while it runs (Apache: `growth`), 1 to 100.
    pub growth: Option<u16>,
    /// The secret of the manager's forms (Apache: `nonce`).
    pub nonce: Option<String>,
    /// The members, in order.
    pub members: Vec<MemberConfig>,
}

/// Who picks, by name (Apache: `lbmethod`).
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
    /// The names of cookie and URL parameter, as in `JSESSIONID|jsessionid`, or one for
    /// both (Apache: `stickysession`).
    pub names: Option<String>,
    /// What separates the session from the route (Apache: `stickysessionsep`): one
    /// character, `.` by default, or `off` if the whole value is the route.
    pub separator: Option<String>,
    /// Whether a `;` ends a parameter in the path (Apache: `scolonpathdelim`).
    pub semicolon_path_delimiter: Option<bool>,
    /// Whether a session whose member cannot serve is refused (Apache: `nofailover`).
    pub no_failover: Option<bool>,
}
